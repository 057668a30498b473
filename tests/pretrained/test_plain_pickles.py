"""PyTorch files are read as data: settings of other toolkits come out plain, and nothing runs."""

import argparse
import collections
import pathlib
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf
from omegaconf.base import SCMode

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.plain_pickles import Inert, as_plain, load_as_data
from tests.hostile import WRITERS, Calls, attacks

SETTINGS = {"model": {"conv": "[(8, 10, 5)]", "layers": [1, 2], "none": None}, "lr": 0.5}
KINDS = [pytest.param(True, id="zip"), pytest.param(False, id="legacy")]


def save(path, content, is_zip=True):
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


@pytest.mark.parametrize("is_zip", KINDS)
def test_tensors_and_plain_containers_are_as_they_were_saved(tmp_path, is_zip):
    half = torch.randn(3, 2).half()
    content = {"model": {"w": torch.arange(6.0).view(2, 3).t(), "h": half}, "lr": 0.5}
    read = load_as_data(save(tmp_path / "a.pt", content, is_zip))
    assert torch.equal(read["model"]["w"], content["model"]["w"])
    assert read["model"]["h"].dtype == torch.float16
    assert as_plain(read["lr"]) == 0.5


@pytest.mark.parametrize("is_zip", KINDS)
def test_settings_of_other_toolkits_come_out_as_dictionaries(tmp_path, is_zip):
    content = {
        "cfg": OmegaConf.create(SETTINGS),
        "args": argparse.Namespace(width=8, inner=argparse.Namespace(groups=(1, 2))),
        "enum": SCMode.DICT,
        "enum of 3.11": Calls(getattr, SCMode, "DICT"),
        "type": Calls(list, "ab"),
        "path": pathlib.PurePosixPath("a"),
        "counts": collections.defaultdict(list, a=[1]),
        "queue": collections.deque([1, 2], maxlen=3),
    }
    read = load_as_data(save(tmp_path / "a.pt", content, is_zip))
    assert isinstance(read["cfg"], Inert) and read["cfg"].what.startswith("omegaconf.")
    plain = as_plain(read)
    assert plain["cfg"] == SETTINGS
    assert plain["args"] == {"width": 8, "inner": {"groups": (1, 2)}}
    assert (plain["counts"], plain["queue"]) == ({"a": [1]}, [1, 2])
    assert (plain["enum"], plain["enum of 3.11"]) == (SCMode.DICT.value, "DICT")


def test_a_node_that_holds_itself_ends():
    loop = Inert()
    loop.state = {"self": loop, "a": [1]}
    assert as_plain([loop, loop]) == [{"self": None, "a": [1]}] * 2


def test_what_is_named_twice_is_made_once():
    doubled = (1,)
    for _ in range(200):  # 2 ** 200 elements, were each written out
        doubled = (doubled, doubled)
    made = as_plain(doubled)
    assert made[0] is made[1]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("trick", attacks(pathlib.Path("x")))
def test_a_hostile_pickle_is_refused_in_one_line_and_nothing_runs(tmp_path, kind, trick):
    sentinel = tmp_path / "sentinel"
    path = WRITERS[kind](tmp_path / "evil.pt", attacks(sentinel)[trick])
    with pytest.raises(UserError, match=r"evil\.pt") as caught:
        load_as_data(path)
    assert "\n" not in str(caught.value)
    assert not sentinel.exists()


def test_the_attacks_are_attacks():
    """Under Python's own unpickler the first of them does what it is meant to."""
    program = (
        "import pathlib, pickle, tempfile\n"
        "from tests.hostile import attacks\n"
        "place = pathlib.Path(tempfile.mkdtemp(), 'sentinel')\n"
        "for trick in ('os.system', 'eval', 'exec', 'inst', 'protocol 4'):\n"
        "    pickle.loads(attacks(place)[trick])\n"
        "    assert place.exists(), trick\n"
        "    place.unlink()\n"
    )
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)


@pytest.mark.parametrize(
    ("trick", "name"),
    [
        ("os.system", "os.system"),
        ("eval", "builtins.eval"),
        ("protocol 4", "os.system"),
        ("partial", "functools.partial"),
        ("class of torch", "torch.utils.cpp_extension.load"),
        ("result of getattr", "trying to call reduce"),
        ("hidden in omegaconf", "os.system"),
    ],
)
def test_the_refusal_names_what_was_asked_for(tmp_path, trick, name):
    path = WRITERS["zip"](tmp_path / "evil.pt", attacks(tmp_path / "sentinel")[trick])
    with pytest.raises(UserError, match=f"pickles {name}.*Nothing was run"):
        load_as_data(path)


@pytest.mark.parametrize("is_zip", KINDS)
def test_a_truncated_file_is_one_line_with_its_size(tmp_path, is_zip):
    path = save(tmp_path / "a.pt", {"w": torch.randn(1000)}, is_zip)
    for part in (0, 1, 10, 200, 2000):
        path.write_bytes(path.read_bytes()[:part] if part < path.stat().st_size else b"")
        with pytest.raises(UserError, match=r"a\.pt \(\d+ bytes\) is not a whole PyTorch file"):
            load_as_data(path)
        save(path, {"w": torch.randn(1000)}, is_zip)


def test_another_file_is_no_pytorch_file(tmp_path):
    path = tmp_path / "a.pt"
    for content in (b"RIFF....WAVEfmt ", b"PK\x03\x04 and no more", "ä ü".encode() * 100):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a whole PyTorch file"):
            load_as_data(path)
