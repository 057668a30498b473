"""The first lines of a decoding configuration say what it differs in; here they are believed."""

import re
from pathlib import Path

import pytest
import yaml

from asr_dro_plugin.decoding.options import read_decode_config

CONF = Path(__file__).resolve().parents[2] / "conf"
FILES = sorted(path.name for path in CONF.glob("decode_asr_*.yaml"))
CLAIM = re.compile(r"differs from (\S+\.yaml) in ([\w, ]+)\.")
THE_FIRST = "decode_asr_greedy.yaml"


def claim(name):
    """(other file, names) that the comment at the beginning of a file claims."""
    head = re.match(r"(#.*\n)*", (CONF / name).read_text("utf-8"))[0].replace("\n# ", " ")
    other, names = CLAIM.search(head).groups()
    return other, {word.strip() for word in names.split(",")}


def settings(name):
    """What a file says."""
    return yaml.safe_load((CONF / name).read_text("utf-8"))


@pytest.mark.parametrize("name", [name for name in FILES if name != THE_FIRST])
def test_a_file_differs_from_the_other_in_what_its_first_lines_say(name):
    other, names = claim(name)
    ours, theirs = settings(name), settings(other)
    different = {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
    if ours["mode"] == "espnet":  # its options are ESPnet's: only the mode is compared
        different &= {"mode"}
    assert different == names


def test_there_is_a_file_for_every_way_to_decode():
    found = {(s["mode"], s.get("lm_unit"), s.get("lexicon")) for s in map(settings, FILES)}
    assert found == {
        ("greedy", None, None), ("beam", None, None), ("espnet", None, None),
        ("lm", "word", True), ("lm", "word", False), ("lm", "char", False),
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_and_keeps_what_it_says(name):
    said = settings(name)
    assert read_decode_config(CONF / name).items() >= said.items()
