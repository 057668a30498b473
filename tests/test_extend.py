"""The worked examples of docs/extend.md are put into a copy of the package, and used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
MINI = ROOT / "conf" / "train_asr_ctc_dro_mini.yaml"


def blocks(kind: str) -> list[tuple[str, str]]:
    """(first line without its mark, the other lines) of the document's blocks of one kind."""
    text = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    found = [body.partition("\n") for name, body in BLOCK.findall(text) if name == kind]
    return [(first.lstrip("#- "), rest) for first, _, rest in found]


def added(source: str, change: str) -> str:
    """A file with the lines of a diff, each behind the one above it, which is there once."""
    above = ""
    for line in change.splitlines():
        mark, words = line[:1], line[1:] + "\n"
        if mark == "+":
            source = source.replace(above, above + words)
            above += words
        else:
            above = words
            assert source.count(above) == 1, above
    return source


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A folder with the package and the examples in it."""
    root = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "asr_dro_plugin", root / "asr_dro_plugin", ignore=ignored)
    for name, content in blocks("python"):
        assert not (root / name).exists()
        (root / name).write_text(content, encoding="utf-8")
    for name, change in blocks("diff"):
        (root / name).write_text(added((root / name).read_text(), change))
    for name, content in blocks("yaml"):
        config = yaml.safe_load(MINI.read_text()) | yaml.safe_load(content)
        (root / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return root


def run(root: Path, *arguments: str) -> str:
    """What a Python of the extended package prints."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_there_is_an_example_of_each(extended):
    assert sorted(path.stem for path in extended.glob("*.yaml")) == [
        "encoder", "objective", "sampler",
    ]  # fmt: skip
    assert (len(blocks("python")), len(blocks("diff"))) == (5, 3)


@pytest.mark.parametrize("part", ["encoder", "sampler", "objective"])
def test_its_yaml_is_one_that_can_be_trained(part, extended):
    run(extended, "-m", "asr_dro_plugin.bin.check_config", f"{part}.yaml", "--build")


ENCODER = """
import yaml, torch
import asr_dro_plugin.espnet
from espnet2.tasks.asr import encoder_choices
from espnet2.utils.get_default_kwargs import get_default_kwargs
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.receptive_field import receptive_field

config = yaml.safe_load(open("encoder.yaml"))
part, tdnn = chosen(config, "encoder"), encoder_choices.get_class("tdnn")
assert get_default_kwargs(tdnn)["dilations"] == [1, 2, 3]
encoder = tdnn(input_size=80, **config["encoder_conf"])
assert encoder.output_size() == part.output_size == 96
for frames in range(1, 30):
    out, lengths = encoder(torch.randn(1, frames, 80), torch.tensor([frames]))[:2]
    assert out.shape == (1, int(part.step.rule(torch.tensor(frames))), 96), frames
    assert lengths.tolist() == [out.shape[1]]
assert sum(dilation * (kernel - 1) for kernel, _, dilation in part.view.layers[:-1]) == 14
print(receptive_field(config))
"""


def test_the_encoder_is_built_by_espnet_and_is_what_its_description_says(extended):
    assert "samples" in run(extended, "-c", ENCODER)


SAMPLER = """
from asr_dro_plugin.samplers import plan_batches
durations, groups = [1.0, 5.0, 2.0, 4.0, 3.0, 6.0], [0, 1, 0, 1, 0, 1]
batches = plan_batches(durations, groups, method="curriculum", duration=6.0)
assert sorted(sum(batches, [])) == [0, 1, 2, 3, 4, 5]
longest = [max(durations[i] for i in batch) for batch in batches]
assert longest == sorted(longest)
falling = plan_batches(durations, groups, method="curriculum", duration=6.0, falling=True)
assert max(durations[i] for i in falling[0]) == 6.0
"""


def test_the_sampler_plans_from_short_to_long(extended):
    run(extended, "-c", SAMPLER)


OBJECTIVE = """
import torch
from asr_dro_plugin.objectives import build_objective
objective = build_objective("root_dro", 2, step_size=0.01)
q, loss = torch.tensor([0.25, 0.75]).double(), torch.tensor([4.0, 4.0]).double()
steps = torch.tensor([0.08, 0.04 / 0.75**0.5]).double()
assert torch.allclose(objective.step(q, loss, 0.01), steps)
assert objective.group_weights.tolist() == [0.5, 0.5]
"""


def test_the_objective_steps_by_its_formula(extended):
    run(extended, "-c", OBJECTIVE)
