"""What is measured, refused and told before training."""

from dataclasses import dataclass

import numpy as np
import pytest

from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.preflight.measure import TABLES, Ruler
from asr_dro_plugin.preflight.report import problems, table, warnings
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.limits import Limits, limits_of
from asr_dro_plugin.text import tokens
from tests.sounds import data_dir

TOKENS = ["<blank>", "<unk>", "[deu]", "[eng]", *"abcdefgh", "<space>", "<sos/eos>"]
CTC = Limits(needs_alignment=True)


@dataclass
class EveryShift:
    """Frames by division alone."""

    frame_shift: float = 0.04
    blame: str = "encoder x (stride 4 on 10 ms frames)"

    def num_frames(self, num_samples):
        return np.asarray(num_samples) // 640


def ruler(limits=CTC, listed=TOKENS, frames=None):
    to_ids = tokens.token_ids(tokens.build_tokenizer("char", ["[deu]", "[eng]"]), listed)
    return Ruler(to_ids, listed, frames or EveryShift(), limits)


def dump(path, texts, seconds=1.0):
    lengths = seconds if isinstance(seconds, dict) else dict.fromkeys(texts, seconds)
    samples = {utt_id: str(round(16000 * lengths[utt_id])) for utt_id in texts}
    data_dir(path, texts, text=texts, utt2num_samples=samples)
    return UttTables.read(path, TABLES)


def sets_of(tmp_path, train, valid=None, test=None, by=None, seconds=1.0):
    by = by or ruler()
    found = [by.measure(dump(tmp_path / "train", train, seconds), "train")]
    for role, texts in (("valid", valid), ("test", test)):
        if texts is not None:
            data = dump(tmp_path / role, texts, seconds)
            found.append(by.measure(data, role, found[0].characters))
    return found


MANY = {f"eng_{number:02d}": "[eng] abc de" for number in range(12)}
MANY |= {f"deu_{number:02d}": "[deu] fgh" for number in range(12)}
DEV = {"eng_v": "[eng] bad", "deu_v": "[deu] hag"}


def test_good_data_has_neither_problem_nor_warning(tmp_path):
    by = ruler()
    found = sets_of(tmp_path, MANY, DEV, {"eng_t": "[eng] a", "deu_t": "[deu] b"}, by)
    assert not list(problems(found, by, 0.05)) and not list(warnings(found, by))


def test_figures_of_a_language_are_those_of_its_utterances(tmp_path):
    lengths = {"eng_a": 1.0, "eng_b": 2.0, "eng_c": 6.0, "deu_a": 0.5}
    texts = {"eng_a": "[eng] ab", "eng_b": "[eng] a b", "eng_c": "[eng] aab", "deu_a": "[deu] h"}
    facts = sets_of(tmp_path, texts, seconds=lengths)[0].languages["eng"].as_dict()
    assert (facts["num_utts"], facts["median_seconds"], facts["longest_seconds"]) == (3, 2, 6)
    assert facts["hours"] == pytest.approx(9 / 3600)
    assert facts["longest_utt"] == "eng_c"
    assert facts["num_tokens"] == 4 + 5 + 5 and facts["num_chars"] == 7


@pytest.mark.parametrize(("strides", "expected"), [([2, 2], 0), ([2, 2, 2], 1)])
def test_unalignable_is_what_stage_10_drops_at_the_stacks_frame_shift(tmp_path, strides, expected):
    config = {"frontend_conf": {"hop_length": 160}, "encoder": "conv_ctc",
              "encoder_conf": {"strides": strides}}  # fmt: skip
    by = ruler(frames=frame_counter(config))
    texts = {"eng_a": "[eng] " + "abcdefg" * 2, "eng_b": "[eng] a"}
    found = by.measure(dump(tmp_path / "train", texts, 0.9), "train")
    assert found.languages["eng"].unalignable.count == len(found.dropped.drops) == expected
    assert set(found.usable) == set(found.num_labels) == set(texts) - found.dropped.utt_ids


def test_more_unalignable_utterances_than_max_drop_are_refused_and_fewer_told(tmp_path):
    texts = MANY | {"eng_x": "[eng] " + "ab" * 40, "eng_y": "[eng] " + "ab" * 40}
    by = ruler()
    found = sets_of(tmp_path, texts, DEV)
    (line,) = problems(found, by, 0.05)
    assert line.startswith(
        "train: eng: 2 of 14 utterances have fewer frames than CTC needs for their text at 40 ms "
        "per frame (encoder x (stride 4 on 10 ms frames)) (first: eng_x eng_y). Choose a stack"
    )
    assert line.endswith("mend their texts, or raise --max_drop.")
    assert not list(problems(found, by, 0.2))
    assert any("2 utterances have too few frames" in line for line in warnings(found, by))


def test_a_list_that_does_not_spell_the_text_is_no_reason_to_blame_the_frames(tmp_path):
    texts = {f"eng_{row}": "[eng] " + "x" * 20 for row in range(12)}  # <unk> 20 times: 39 frames
    by = ruler()
    found = sets_of(tmp_path, texts, by=by)
    assert found[0].languages["eng"].unalignable.count == 12
    (line,) = problems(found, by, 0.05)
    assert "the token list spells 0 of its 240 characters" in line


def test_cross_entropy_needs_no_frame_for_each_label(tmp_path):
    by = ruler(Limits(needs_alignment=False))
    found = sets_of(tmp_path, {"eng_x": "[eng] " + "ab" * 40}, by=by)
    assert found[0].languages["eng"].unalignable.count == 0


def test_a_language_without_one_alignable_utterance_is_refused_whatever_max_drop_is(tmp_path):
    found = sets_of(tmp_path, MANY | {"fra_a": "[fra] " + "ab" * 40})
    assert [line[:10] for line in problems(found, ruler(), 1.0)] == ["train: fra"]


def test_a_validation_language_that_training_lacks_is_refused_a_test_language_told(tmp_path):
    by = ruler()
    found = sets_of(tmp_path, MANY, DEV | {"fra_v": "[eng] a"}, {"ita_t": "[eng] a"}, by)
    assert list(problems(found, by, 0.05)) == [
        "valid: fra is no language of train (deu eng). Validate on the languages you train on."
    ]
    assert "test: ita is not trained on: expect its error to be high." in list(warnings(found, by))


def test_a_training_language_that_nothing_validates_is_told(tmp_path):
    found = sets_of(tmp_path, MANY, {"eng_v": "[eng] a"})
    assert "no validation utterance is of deu: their error is not watched." in list(
        warnings(found, ruler())
    )


def test_characters_that_only_dev_or_test_has_are_told_with_counts(tmp_path):
    found = sets_of(tmp_path, MANY, DEV, {"eng_t": "[eng] aqq q", "eng_u": "[eng] z"})
    told = [line for line in warnings(found, ruler()) if "training text lacks" in line]
    assert told == [
        "test: eng: the training text lacks 2 characters: 'q' U+0071 LATIN SMALL LETTER Q 3 times, "
        "'z' U+007A LATIN SMALL LETTER Z 1 times."
    ]
    assert "".join(table(found)[-1].split()[-1:]) == "4"


@pytest.mark.parametrize(
    ("case", "norm"), [("upper", "upper_no_punct"), ("lower", "lower_no_punct")]
)
def test_a_list_in_the_other_case_is_refused_with_the_remedy(tmp_path, case, norm):
    listed = [t if t[0] in "<[" else getattr(t, case)() for t in TOKENS]
    texts = {u: t[:6] + t[6:].swapcase() if case == "lower" else t for u, t in MANY.items()}
    by = ruler(listed=listed)
    lines = list(problems(sets_of(tmp_path, texts, by=by), by, 0.05))
    assert len(lines) == 2  # one a language
    assert (
        f"The list is in {case} case and the text is not: run stage 1 with --text_norm {norm}"
        in (lines[0])
    )


def test_a_list_of_another_language_is_refused_and_a_few_unknown_characters_are_told(tmp_path):
    by = ruler()
    texts = MANY | {"rus_a": "[eng] привет", "eng_q": "[eng] abcq"}
    found = sets_of(tmp_path, texts, by=by)
    (line,) = problems(found, by, 0.05)
    assert line.startswith("train: rus: the token list spells 0 of its 6 characters; it lacks 6 ")
    assert line.endswith(
        "Make the list from this text (stage 5), or normalise the text (--text_norm)."
    )
    assert any(
        line.startswith("train: eng: the token list lacks 1 characters: 'q'")
        for line in warnings(found, by)
    )


def test_what_whisper_cannot_hear_or_write_is_refused_in_training_and_told_in_tests(tmp_path):
    config = {"encoder": "hf_whisper", "decoder": "hf_whisper", "model_conf": {"ctc_weight": 0.0}}
    config["encoder_conf"] = {"model_config": {"max_target_positions": 20}}
    limits = limits_of(config)
    assert limits == Limits(False, 30.0, 17, "Whisper")
    by = ruler(limits)
    texts = {"eng_a": "[eng] a", "eng_b": "[eng] " + "ab" * 9}
    lengths = {"eng_a": 31.0, "eng_b": 30.0}
    found = sets_of(tmp_path, texts, None, texts, by, lengths)
    long, many = problems(found, by, 0.05)
    assert long.startswith("train: eng: 1 utterances are longer than the 30 s that Whisper hears (")
    assert many.startswith(
        "train: eng: 1 texts have more than the 17 tokens that Whisper's decoder"
    )
    told = list(warnings(found, by))
    assert "test: eng: 1 utterances are decoded in pieces (first: eng_a)." in told


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"encoder": "conv_ctc", "model_conf": {"ctc_weight": 1.0}}, Limits(True)),
        ({"encoder": "conformer", "decoder": "transformer"}, Limits(True)),
        ({"encoder": "conformer", "decoder": "transducer"}, Limits(False)),
        (
            {"encoder": "hf_whisper", "model_conf": {"ctc_weight": 1.0}},
            Limits(True, 30.0, None, "Whisper"),
        ),
    ],
    ids=["ctc", "hybrid", "transducer", "whisper_encoder"],
)
def test_the_loss_and_the_components_say_what_an_utterance_may_hold(config, expected):
    assert limits_of(config) == expected


def test_utterances_of_two_sets_and_scarce_languages_are_told(tmp_path):
    found = sets_of(tmp_path, {"eng_a": "[eng] a"}, {"eng_a": "[eng] a"})
    assert list(warnings(found, ruler())) == [
        "train: eng has 1 utterances only.",
        "1 utterances of valid are in train too: eng_a ...",
    ]


def test_the_table_has_a_row_for_each_language_and_one_for_all(tmp_path):
    lines = table(sets_of(tmp_path, MANY, {"eng_v": "[eng] a"}))
    rows = [line.split() for line in lines if not line.startswith("-")]
    assert [row[:3] for row in rows[1:]] == [
        ["train", "deu", "12"], ["train", "eng", "12"], ["train", "all", "24"],
        ["valid", "eng", "1"],
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1  # aligned
