from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.preflight import shape_files as shapes
from asr_dro_plugin.preflight.measure import TABLES, Ruler, SetFacts, labels_and_repeats
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.limits import Limits
from asr_dro_plugin.text import tokens
from tests.sounds import data_dir

TOKENS = ["<blank>", "<unk>", "[deu]", "[eng]", "a", "b", "<space>", "<sos/eos>"]
ENCODER = {"frontend_conf": {"hop_length": 160}, "encoder": "conv_ctc"}


def to_ids(text: str) -> list[int]:
    return tokens.token_ids(tokens.build_tokenizer("char", TOKENS[2:4]), TOKENS)(text)


def dump(path, texts: dict[str, str], frames: dict[str, int], shift: int = 640) -> UttTables:
    """Tables of utterances whose sound gives so many frames of ``shift`` samples."""
    samples = {utt_id: str(num * shift) for utt_id, num in frames.items()}
    data_dir(path, texts, text=texts, utt2num_samples=samples)
    return UttTables.read(path, TABLES)


@dataclass
class EveryShift:
    """Frames by division alone, to put an utterance exactly on the limit."""

    frame_shift: float = 0.04
    blame: str = "encoder x (stride 4 on 10 ms frames)"

    def num_frames(self, num_samples):
        return np.asarray(num_samples) // round(self.frame_shift * 16000)


def measured(data: UttTables, frames=None, limits=None) -> tuple[Ruler, SetFacts]:
    ruler = Ruler(to_ids, TOKENS, frames or EveryShift(), limits or Limits())
    return ruler, ruler.measure(data, "train")


def write(tmp_path, data: UttTables, groups=("deu", "eng"), frames=None):
    out = tmp_path / "stats/train"
    _, found = measured(data, frames)
    shapes.write_shapes(found, out, len(TOKENS), "char", GroupMap(groups))
    return out, found.dropped


def conclude(tmp_path, data: UttTables, frames, max_drop: float) -> None:
    ruler, found = measured(data, frames)
    groups = GroupMap(["eng"])
    shapes.write_statistics(tmp_path / "stats", {"train": found}, ruler, "char", groups, max_drop)


@settings(deadline=None)  # the first example imports torch
@given(st.lists(st.integers(2, 4), min_size=1, max_size=7), st.integers(1, 14))
def test_the_rule_is_when_ctc_has_a_finite_loss(ids, num_frames):
    import torch

    labels, repeats = labels_and_repeats(ids)
    loss = torch.nn.functional.ctc_loss(
        torch.zeros(num_frames, 1, 5).log_softmax(-1), torch.tensor([ids]),
        torch.tensor([num_frames]), torch.tensor([len(ids)]), reduction="sum",
    )  # fmt: skip
    assert bool(torch.isfinite(loss)) == (num_frames >= labels + repeats)


def test_the_files_are_what_espnets_stage_10_leaves(tmp_path):
    texts = {"eng_b": "[eng] ab", "deu_a": "[deu] ab b", "eng_a": "[eng] b"}
    out, ledger = write(tmp_path, dump(tmp_path / "data", texts, dict.fromkeys(texts, 50)))
    assert not ledger.drops
    assert (out / "speech_shape").read_text() == "deu_a 32000\neng_a 32000\neng_b 32000\n"
    assert (out / "text_shape.char").read_text() == "deu_a 6,8\neng_a 3,8\neng_b 4,8\n"
    assert (out / "utt2group").read_text() == "deu_a 0\neng_a 1\neng_b 1\n"
    assert (out / "batch_keys").read_text() == "speech\ntext\n"
    assert (out / "stats_keys").read_text() == ""


def test_espnet_reads_the_shapes(tmp_path):
    from espnet2.fileio.read_text import load_num_sequence_text

    texts = {"eng_b": "[eng] ab", "deu_a": "[deu] b"}
    out, _ = write(tmp_path, dump(tmp_path / "data", texts, dict.fromkeys(texts, 50)))
    shape = load_num_sequence_text(out / "text_shape.char", loader_type="csv_int")
    assert shape == {"eng_b": [4, 8], "deu_a": [3, 8]}


@pytest.mark.parametrize(("text", "needed"), [
    ("[eng] ab", 4), ("[eng] abba", 7), ("[eng] aaa", 7), ("[eng] xy", 5), ("[eng]", 1),
])  # fmt: skip
def test_an_utterance_needs_a_frame_for_each_label_and_repeat(tmp_path, text, needed):
    frames = {"eng_enough": needed, "eng_short": needed - 1}
    data = dump(tmp_path / "data", dict.fromkeys(frames, text), frames)
    out, ledger = write(tmp_path, data)
    assert ledger.utt_ids == {"eng_short"}
    for name in ("speech_shape", "text_shape.char", "utt2group"):
        assert set(read_table(out / name)) == {"eng_enough"}


@pytest.mark.parametrize(("strides", "shift", "lost"), [([2, 2], 40, 0), ([2, 2, 2], 80, 4)])
def test_the_real_stack_decides_and_is_blamed(tmp_path, strides, shift, lost):
    texts = {f"eng_{i}": "[eng] " + "ab" * 10 for i in range(4)}
    data = dump(tmp_path / "data", texts, dict.fromkeys(texts, 25))
    frames = frame_counter({**ENCODER, "encoder_conf": {"strides": strides}})
    _, ledger = write(tmp_path, data, frames=frames)
    assert len(ledger.drops) == lost
    if lost:
        with pytest.raises(UserError, match=rf"lose 4 of 4 eng .*At {shift} ms per frame \(enc"):
            conclude(tmp_path, data, frames, 0.05)
    else:
        conclude(tmp_path, data, frames, 0.0)
    listed = (tmp_path / "stats/dropped.tsv").read_text().splitlines()[1:]
    assert len(listed) == lost and all("too few frames for CTC" in line for line in listed)


def test_a_set_without_any_utterance_is_refused_whatever_the_cap(tmp_path):
    data = dump(tmp_path / "data", {"eng_a": "[eng] ab"}, {"eng_a": 1})
    with pytest.raises(UserError, match="no utterance left. At 40 ms per frame"):
        conclude(tmp_path, data, EveryShift(), 1.0)
    assert not (tmp_path / "stats/groups.txt").exists()


def test_a_validation_category_that_training_lacks_is_named(tmp_path):
    data = dump(tmp_path / "data", {"fra_a": "[fra] ab"}, {"fra_a": 50})
    with pytest.raises(UserError, match=r"'fra_a' the category 'fra'.*it has deu eng"):
        write(tmp_path, data)


def test_a_continued_model_keeps_its_groups_and_takes_new_ones_only_on_purpose(tmp_path):
    old = tmp_path / "groups.txt"
    GroupMap(["eng", "pol"]).write(old)
    here = Counter({"eng": 5, "deu": 2})
    assert shapes.choose_groups(here).names == ("deu", "eng")
    with pytest.raises(UserError, match=r"1 groups that .* lacks: deu.*--extend_groups true"):
        shapes.choose_groups(here, str(old))
    assert set(shapes.choose_groups(here, str(old), extend=True).names) == {"deu", "eng", "pol"}
    assert shapes.choose_groups(Counter(eng=1), str(old)).names == ("eng", "pol")


def test_without_ctc_a_text_may_have_more_labels_than_frames(tmp_path):
    data = dump(
        tmp_path / "data", {"eng_a": "[eng] abba", "eng_b": "[eng] ab"}, {"eng_a": 1, "eng_b": 0}
    )
    _, found = measured(data, limits=Limits(needs_alignment=False))
    assert found.dropped.utt_ids == {"eng_b"}
