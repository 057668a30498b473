import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.options import KEYS, MODES, read_decode_config
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "conf").glob("decode_*.yaml")), ids=lambda p: p.stem
)
def test_every_shipped_decoding_configuration_is_read(path):
    assert read_decode_config(path)["batch_duration"] > 0


def test_an_empty_configuration_is_greedy_with_every_default():
    assert read_decode_config({}) == {
        "mode": "greedy", "batch_duration": 60.0, "lang": "free", "times": False,
        "chunk_length": None, "stride": None, "max_chars_per_second": 30.0,
        "end_repetition": True,
        "blank_penalty": 0.0, "by_language": None,
    }  # fmt: skip


def test_defaults_follow_the_mode_and_the_unit():
    assert read_decode_config({"mode": "beam"})["beam_size"] == 20
    lm = read_decode_config({"mode": "lm"})
    assert (lm["beam_size"], lm["lm_weight"], lm["lexicon"]) == (50, 0.5, True)
    assert read_decode_config({"mode": "lm", "lm_unit": "char"})["lexicon"] is False


def test_values_come_in_one_form():
    config = read_decode_config({"batch_duration": 30, "chunk_length": 20, "stride": 4})
    assert config["stride"] == (4.0, 4.0) and isinstance(config["batch_duration"], float)
    assert read_decode_config({"lang": ["eng", "fra"]})["lang"] == "eng fra"
    assert read_decode_config({"lang": "eng, fra eng"})["lang"] == "eng fra"


def test_weights_by_language_are_those_that_the_mode_uses():
    own = {"eng": {"lm_weight": 1, "blank_penalty": 2}, "deu": {}}
    assert read_decode_config({"mode": "lm", "by_language": own})["by_language"] == own
    assert read_decode_config({"by_language": {}})["by_language"] is None


def test_mode_espnet_keeps_its_own_keys_and_gets_no_others():
    given = {"mode": "espnet", "beam_size": 5, "ctc_weight": 1.0}
    assert read_decode_config(given) == {**given, "batch_duration": 60.0}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"beam": 3}, "'beam' is no option. Did you mean 'beam_size'"),
        ({"mode": "gredy"}, "Did you mean 'greedy'"),
        ({"mode": None}, "Legal: greedy, beam, lm, espnet"),
        ({"beam_size": 5}, "mode greedy does not use beam_size. Delete it, or set mode beam or lm"),
        ({"mode": "beam", "lm_weight": 0.5}, "does not use lm_weight.*set mode lm"),
        ({"mode": "espnet", "lexicon": True}, "'lexicon' is no option"),
        ({"blank_penalty": 101}, "blank_penalty must be at least -100 and at most 100"),
        ({"by_language": ["eng"]}, "by_language must be a mapping"),
        ({"by_language": {"english": {}}}, "by_language: english is no ISO code"),
        ({"by_language": {True: {}}}, "by_language: True is no ISO code.*'yes' in quotes"),
        ({"by_language": {"eng": 0.5}}, "by_language: eng must be a mapping"),
        ({"by_language": {"eng": {"lm_weight": 1}}}, "no weight of mode greedy.*blank_penalty"),
        ({"mode": "lm", "by_language": {"eng": {"lm_weight": -1}}}, "eng: lm_weight must be at"),
        ({"mode": "beam", "beam_size": 0}, "beam_size must be at least 1"),
        ({"mode": "beam", "beam_size": 2.5}, "beam_size must be a whole number"),
        ({"mode": "beam", "beam_size": True}, "beam_size must be a whole number"),
        ({"mode": "beam", "blank_threshold": 1.5}, "above 0 and at most 1, not 1.5"),
        ({"batch_duration": float("nan")}, "batch_duration must be a number"),
        ({"batch_duration": 0}, "batch_duration must be above 0"),
        ({"mode": "lm", "lm_weight": -1}, "lm_weight must be at least 0"),
        ({"mode": "lm", "lm_unit": "wrd"}, "Did you mean 'word'"),
        ({"mode": "lm", "lexicon": "yes"}, "lexicon must be true or false"),
        ({"lang": "english"}, "lang is 'english'"),
        ({"lang": "forcd"}, "Did you mean 'forced'"),
        ({"lang": "forced eng"}, "Give free, forced, or ISO"),
        ({"stride": 3}, "stride needs chunk_length"),
        ({"chunk_length": 5, "stride": [3, 2]}, "leave nothing of a chunk_length of 5 s"),
        ({"chunk_length": 5, "stride": [1, 1, 1]}, "one number or"),
        ({"mode": "beam", "nbest": 30}, "nbest 30 is more than beam_size 20"),
        ({"mode": "lm", "lm_unit": "char", "lexicon": True}, "lm_unit char has no words"),
        ({"mode": "lm", "lm_unit": "char", "unk_score": -5.0}, "unk_score is for words"),
        ({"mode": "lm", "unk_score": -5.0}, "set lexicon false"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_remedy(config, words):
    with pytest.raises(UserError, match=words) as error:
        read_decode_config(config, "d.yaml")
    assert str(error.value).startswith("d.yaml: ") and "\n" not in str(error.value)


WORDS = st.sampled_from(["lm", "char", "free"])
NUMBERS = st.one_of(st.integers(-2, 100), st.floats())
LISTS = st.lists(st.integers(0, 3), max_size=3)
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=4), LISTS, WORDS)


@given(st.sampled_from(MODES), st.dictionaries(st.sampled_from([*KEYS, "x"]), VALUES, max_size=4))
@settings(deadline=None, max_examples=200)
def test_whatever_is_in_the_yaml_the_answer_is_settings_or_one_line(mode, config):
    try:
        read = read_decode_config({"mode": mode, **config})
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert read_decode_config(read) == read


def test_a_typo_is_answered_without_torch_or_espnet(tmp_path):
    path = tmp_path / "typo.yaml"
    path.write_text("mode: lm\nlm_wieght: 0.3\n")
    code = (
        "import sys\n"
        "from asr_dro_plugin.decoding.options import read_decode_config\n"
        "from asr_dro_plugin.errors import UserError\n"
        "try:\n    read_decode_config(sys.argv[1])\n"
        "except UserError as error:\n    print(error)\n"
        "print([m for m in ('torch', 'espnet2', 'numpy', 'kenlm') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "Did you mean 'lm_weight'" in done.stdout and done.stdout.endswith("[]\n")
