"""Stage 10's files of auxiliary targets."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.preflight.aux_files import write_aux_ids
from asr_dro_plugin.preflight.measure import TABLES, Ruler
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.limits import Limits
from tests.sounds import data_dir

UNITS = ["<blank>", "<unk>", "tʃ", "a", "<sos/eos>"]
FRAMES = frame_counter({"frontend_conf": {"hop_length": 160}, "encoder": "conv_ctc"})


@pytest.fixture
def measured(tmp_path):
    """One set of three utterances of ten frames; c cannot be aligned."""
    texts = {"a": "xy", "b": "xyx", "c": "x" * 30}
    samples = dict.fromkeys(texts, "6400")
    data_dir(tmp_path / "train", texts, text=texts, utt2num_samples=samples)
    ruler = Ruler(lambda text: [3] * len(text), UNITS, FRAMES, Limits())
    return ruler.measure(UttTables.read(tmp_path / "train", TABLES), "train")


def aux_dir(root, units):
    (root / "train").mkdir(parents=True)
    write_table(root / "train/text_aux", units)
    (root / "tokens_aux.txt").write_text("".join(f"{unit}\n" for unit in UNITS), encoding="utf-8")
    return root


def test_units_become_numbers_of_the_utterances_that_training_takes(measured, tmp_path, caplog):
    units = {"a": "tʃ a", "b": "a " * 7, "c": "a", "d": "a"}
    write_aux_ids(tmp_path / "stats", aux_dir(tmp_path / "x", units), {"train": measured}, FRAMES)
    ids = read_table(tmp_path / "stats/train/text_aux")
    assert ids == {"a": "2 3", "b": "3 3 3 3 3 3 3"}
    # seven equal units want thirteen frames, and there are eleven
    assert caplog.messages == ["train: 1 of 2 utterances have too few frames for their units: b"]


def test_a_unit_that_training_lacks_is_unknown(measured, tmp_path):
    units = {"a": "tʃ ʒ", "b": "<unk>", "c": "a"}
    write_aux_ids(tmp_path / "stats", aux_dir(tmp_path / "x", units), {"valid": measured}, FRAMES)
    assert read_table(tmp_path / "stats/valid/text_aux") == {"a": "2 1", "b": "1"}


def test_an_utterance_without_units_and_a_folder_without_files_are_refused(measured, tmp_path):
    folder = aux_dir(tmp_path / "x", {"a": "tʃ"})
    with pytest.raises(UserError, match="train/text_aux lacks 1 utterances, for example b. Run st"):
        write_aux_ids(tmp_path / "stats", folder, {"train": measured}, FRAMES)
    with pytest.raises(UserError, match="tokens_aux.txt does not exist. Run stage 5 with --aux_te"):
        write_aux_ids(tmp_path / "stats", tmp_path, {"train": measured}, FRAMES)
