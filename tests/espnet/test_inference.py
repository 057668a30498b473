"""What was trained is what is decoded, in our tools and in ESPnet's own."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.kaldi_io import read_table

MODEL = "valid.cer_ctc.ave.pth"

ESPNETS_OWN = """
import sys, numpy as np, soundfile, torch
import asr_dro_plugin.espnet
from espnet2.bin.asr_inference import Speech2Text
exp, audio, out = sys.argv[1:]
speech2text = Speech2Text(f"{exp}/config.yaml", f"{exp}/valid.cer_ctc.ave.pth", ctc_weight=1.0)
speech = torch.from_numpy(soundfile.read(audio, dtype="float32")[0])[None]
with torch.no_grad():
    enc, _ = speech2text.asr_model.encode(speech, torch.tensor([speech.shape[1]]))
    np.save(out, speech2text.asr_model.ctc.log_softmax(enc).numpy())
"""


@pytest.fixture(scope="module")
def recogniser(task, trained):
    from asr_dro_plugin.espnet.inference import load_recogniser

    return load_recogniser(trained, MODEL)


def test_espnets_own_speech2text_gives_the_same_log_probs(recogniser, trained, dump, tmp_path):
    audio = next(iter(read_table(dump / "test" / "wav.scp").values()))
    command = [sys.executable, "-c", ESPNETS_OWN, str(trained), audio, str(tmp_path / "lp.npy")]
    subprocess.run(command, check=True, capture_output=True)
    theirs = torch.from_numpy(np.load(tmp_path / "lp.npy"))
    emission = recogniser.emission([soundfile.read(audio, dtype="float32")[0]])
    assert theirs.shape == emission.log_probs.shape
    assert torch.allclose(theirs, emission.log_probs, atol=1e-6)
    state = torch.load(trained / MODEL, weights_only=True)  # and they are the trained ones
    assert torch.equal(recogniser.model.ctc.ctc_lo.weight, state["ctc.ctc_lo.weight"])


def test_a_batch_changes_an_utterance_only_by_what_the_stft_reflects_at_its_end(recogniser, dump):
    paths = list(read_table(dump / "test" / "wav.scp").values())[:4]
    speech = [soundfile.read(path, dtype="float32")[0] for path in paths]
    together = recogniser.emission(speech)
    for row, samples in enumerate(speech):
        alone = recogniser.emission([samples])
        length = int(alone.lengths[0])
        assert length == int(together.lengths[row])
        difference = (together.log_probs[row, :length] - alone.log_probs[0]).abs()
        assert difference[:-4].max() < 0.02  # only the utterance's mean moved
        if len(samples) == max(map(len, speech)):
            assert difference.max() < 1e-5


def test_the_frame_shift_is_that_of_the_strides(recogniser):
    assert recogniser.frame_shift == pytest.approx(0.04)


def test_a_model_file_that_does_not_fit_the_config_is_refused(trained, tmp_path):
    from asr_dro_plugin.espnet.inference import load_recogniser

    state = torch.load(trained / MODEL, weights_only=True)
    state.pop("ctc.ctc_lo.bias")
    (tmp_path / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(UserError, match=r"missing \['ctc.ctc_lo.bias'\]"):
        load_recogniser(tmp_path, "broken.pth")


def test_an_absent_model_file_lists_what_is_there(trained):
    from asr_dro_plugin.espnet.inference import find_model_file

    with pytest.raises(UserError, match="1epoch.pth"):
        find_model_file(trained, "valid.acc.best.pth")


@pytest.mark.parametrize("mode", ["greedy", "espnet"])
def test_decoding_in_two_parts_gives_every_utterance_once(
    trained, dump, tmp_path, mode, monkeypatch
):
    from asr_dro_plugin.bin import decode

    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    config = tmp_path / "decode.yaml"
    config.write_text(f"mode: {mode}\n" + ("beam_size: 2\nctc_weight: 1.0\n" * (mode == "espnet")))
    words = ["--exp", str(trained), "--config", str(config), "--data_dir", str(dump / "test")]
    words += ["--out_dir", str(tmp_path / "out"), "--num_parts", "2"]
    for part in ("1", "2"):
        decode.main([*words, "--part", part])
    decode.main([*words, "--merge", "true"])
    assert set(read_table(tmp_path / "out" / "text")) == set(read_table(dump / "test" / "text"))


def test_a_missing_part_is_named_when_parts_are_joined(trained, dump, tmp_path):
    from asr_dro_plugin.bin import decode

    words = ["--exp", str(trained), "--config", "x", "--data_dir", str(dump / "test")]
    with pytest.raises(UserError, match="text.1of2 does not exist"):
        decode.main([*words, "--out_dir", str(tmp_path), "--num_parts", "2", "--merge", "true"])
