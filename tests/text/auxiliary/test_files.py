"""Stage 5's files: units of each set, and the list of the training set's."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.files import make_aux_texts
from asr_dro_plugin.text.tokens import read_tokens


def write_set(folder, texts, langs):
    write_table(folder / "text", texts)
    write_table(folder / "utt2lang", langs)
    return folder


@pytest.fixture
def sets(tmp_path):
    train = {"fra-1": "[fra] le chat", "fra-2": "[fra] le lac"}
    return (
        write_set(tmp_path / "train", train, dict.fromkeys(train, "fra")),
        write_set(tmp_path / "dev", {"fra-3": "[fra] le zoo"}, {"fra-3": "fra"}),
    )


def test_units_of_the_training_set_alone_are_listed(espeak, recipe, sets, tmp_path, caplog):
    train, dev = sets
    tokens = make_aux_texts("phonemes", train, [dev], str(tmp_path / "out"))
    assert read_table(tmp_path / "out/train/text_aux") == {
        "fra-1": "l ə ʃ a", "fra-2": "l ə l a k",
    }  # fmt: skip
    assert read_table(tmp_path / "out/dev/text_aux") == {"fra-3": "l ə z o"}
    assert tokens == read_tokens(tmp_path / "out/tokens_aux.txt")
    assert tokens == ["<blank>", "<unk>", "l", "a", "ə", "k", "ʃ", "<sos/eos>"]
    assert "dev: 2 units are not in the training texts, and count as <unk>: o z" in caplog.messages


def test_an_utterance_without_a_language_is_named(espeak, recipe, sets, tmp_path):
    train, dev = sets
    write_table(dev / "utt2lang", {"other": "fra"})
    with pytest.raises(
        UserError, match="utt2lang lacks 1 utterances of .*example fra-3. Run stage"
    ):
        make_aux_texts("phonemes", train, [dev], str(tmp_path / "out"))
    assert not (tmp_path / "out/tokens_aux.txt").exists()
