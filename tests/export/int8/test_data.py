"""Speech with references, from a data directory; refusals."""

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.int8 import data


@pytest.fixture
def recipe(tmp_path):
    """A recipe's folder with a training and a validation set, named from there."""
    rng = np.random.default_rng(0)
    for name, langs in (("train", ["eng"] * 12 + ["fra"] * 3), ("dev", ["eng", "fra"] * 3)):
        folder = tmp_path / "dump/raw" / name
        folder.mkdir(parents=True)
        tables = {"wav.scp": [], "text": [], "utt2lang": []}
        for number, lang in enumerate(langs):
            utt, wav = f"{lang}_{number:02}", f"dump/raw/{name}/{number}.wav"
            soundfile.write(tmp_path / wav, rng.normal(0, 0.1, SAMPLE_RATE // 4), SAMPLE_RATE)
            tables["wav.scp"].append(f"{utt} {wav}")
            tables["text"].append(f"{utt} [{lang}] words of {number}")
            tables["utt2lang"].append(f"{utt} {lang}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in sorted(lines)))
    return tmp_path


def config():
    return {
        f"{part}_data_path_and_name_and_type": [[f"dump/raw/{name}/wav.scp", "speech", "sound"]]
        for part, name in (("train", "train"), ("valid", "dev"))
    }


def test_the_validation_set_is_measured_and_found_from_anywhere(recipe, monkeypatch):
    monkeypatch.chdir("/")
    folder = data.measuring_folder(None, recipe / "exp/asr_x", config())
    found = data.read_references(folder)
    assert sorted(found.texts) == ["eng_00", "eng_02", "eng_04", "fra_01", "fra_03", "fra_05"]
    assert all(len(samples) == SAMPLE_RATE // 4 for samples in found.speech.values())
    assert found.few() == {"eng": 3, "fra": 3} and found.left_out == 0


def test_each_beginning_is_even_over_languages(recipe, monkeypatch):
    monkeypatch.setattr(data, "MOST_SECONDS", 0.9)
    found = data.read_references(recipe / "dump/raw/dev")
    assert sorted(found.languages.values()) == ["eng", "eng", "fra", "fra"]
    assert found.left_out == 2


def test_calibration_is_even_over_languages_of_the_training_set(recipe, monkeypatch):
    monkeypatch.setattr(data, "CALIBRATION_UTTERANCES", 6)
    assert len(data.calibration_speech(recipe / "exp/asr_x", config())) == 6
    assert data.calibration_speech(recipe / "exp/asr_x", {}) == []


def test_an_utterance_too_short_for_a_frame_or_unreadable_is_left_out(recipe):
    (recipe / "dump/raw/dev/0.wav").write_bytes(b"no audio")
    found = data.read_references(recipe / "dump/raw/dev")
    assert len(found.speech) == 5 and found.left_out == 1
    with pytest.raises(UserError, match="Not one utterance"):
        data.read_references(recipe / "dump/raw/dev", min_samples=SAMPLE_RATE)


def test_without_references_the_remedy_is_told(recipe):
    with pytest.raises(UserError, match="validation set of .* is not here. Give --int8_data"):
        data.measuring_folder(None, recipe / "exp/asr_x", {})
    (recipe / "dump/raw/dev/text").unlink()
    with pytest.raises(UserError, match="dev has no text. Give --int8_data FOLDER"):
        data.measuring_folder(recipe / "dump/raw/dev", recipe / "exp/asr_x", {})
