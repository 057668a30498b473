"""A YAML's first lines say what it differs in from which file; here they are believed or not."""

import re
from pathlib import Path

import pytest
import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"
CLAIM = re.compile(r"differs from (\S+\.yaml) in ([\w, ]+)\.")


def claims():
    """(file, other file, names) of each claim in the comments that begin a file of conf/."""
    for path in sorted(CONF.glob("train_asr_*.yaml")):
        head = re.match(r"(#.*\n)*", path.read_text("utf-8"))[0].replace("\n# ", " ")
        for other, names in CLAIM.findall(head):
            yield path.name, other, {name.strip() for name in names.split(",")}


def settings(name):
    """Settings by component: ``encoder`` stands for ``encoder`` and ``encoder_conf``."""
    found = {}
    for key, value in yaml.safe_load((CONF / name).read_text("utf-8")).items():
        found.setdefault(key.removesuffix("_conf"), {})[key] = value
    return found


@pytest.mark.parametrize("name, other, names", list(claims()))
def test_a_file_differs_from_the_other_in_what_its_first_line_says(name, other, names):
    ours, theirs = settings(name), settings(other)
    assert {key for key in ours | theirs if ours.get(key) != theirs.get(key)} == names


def test_the_ssl_stacks_make_such_a_claim():
    files = {name for name, _, _ in claims()}
    assert {f"train_asr_{x}.yaml" for x in ("s3prl_identity", "wav2vec2")} <= files
    assert "train_asr_s3prl_linear_transformer.yaml" in files


def test_the_twins_and_what_is_derived_from_them_make_such_a_claim():
    made = {(name, other) for name, other, names in claims() if names == {"objective"}}
    for suffix in ("", "_mini"):
        dro, ctc = (f"train_asr_{method}{suffix}.yaml" for method in ("ctc_dro", "ctc"))
        assert {(dro, ctc), (f"train_asr_group_dro{suffix}.yaml", ctc)} <= made
    assert ("train_asr_ctc_dro_ml_superb6.yaml", "train_asr_ctc_dro.yaml") in made
    files = {name for name, _, _ in claims()}
    assert {path.name for path in CONF.glob("train_asr_*.yaml")} == files
