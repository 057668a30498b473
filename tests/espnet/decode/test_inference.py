"""What was trained is what is decoded."""

import numpy as np
import pytest
import soundfile
import torch

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcribing.abs_recogniser import OutOfMemory

MODEL = "valid.cer_ctc.ave.pth"


@pytest.fixture(scope="module")
def recogniser(task, trained):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    return load_recogniser(trained, MODEL)


def test_no_utterance_depends_on_its_company(recogniser, dump):
    """Lengths differ by less than half a window too, where ESPnet's batch would mirror it."""
    speech = [soundfile.read(path, dtype="float32")[0] for path in
              list(read_table(dump / "test" / "wav.scp").values())[:4]]  # fmt: skip
    speech += [speech[0][:-cut] for cut in (1, 100, 255, 256, 257)] + [speech[1][:257]]
    together = recogniser.emission(speech)
    for row, samples in enumerate(speech):
        alone = recogniser.emission([samples])
        length = int(alone.lengths[0])
        assert length == int(together.lengths[row])
        difference = np.abs(together.log_probs[row, :length] - alone.log_probs[0])
        assert difference.max() < 1e-5


def test_alone_an_utterance_has_espnets_own_log_probs(recogniser, dump):
    for path in list(read_table(dump / "test" / "wav.scp").values())[:4]:
        samples = soundfile.read(path, dtype="float32")[0]
        model, lengths = recogniser.model, torch.tensor([len(samples)])
        with torch.no_grad():
            encoded, encoded_lens = model.encode(torch.from_numpy(samples)[None], lengths)
            espnets = model.ctc.log_softmax(encoded)
        ours = recogniser.emission([samples])
        assert ours.lengths.tolist() == encoded_lens.tolist()
        assert np.array_equal(ours.log_probs, espnets.numpy())


def test_the_frame_shift_is_that_of_the_strides(recogniser):
    assert recogniser.frames.frame_shift == pytest.approx(0.04)


def test_a_model_file_that_does_not_fit_the_config_is_refused(trained, tmp_path):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    state = torch.load(trained / MODEL, weights_only=True)
    state.pop("ctc.ctc_lo.bias")
    (tmp_path / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(UserError, match=r"missing \['ctc.ctc_lo.bias'\]"):
        load_recogniser(tmp_path, "broken.pth")


def test_an_absent_model_file_lists_what_is_there(trained):
    from asr_dro_plugin.espnet.decode.inference import find_model_file

    with pytest.raises(UserError, match="1epoch.pth"):
        find_model_file(trained, "valid.acc.best.pth")


@pytest.mark.parametrize("mode", ["greedy", "espnet"])
def test_decoding_in_two_parts_gives_every_utterance_once(trained, dump, tmp_path, mode):
    from asr_dro_plugin.bin import decode

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
    with pytest.raises(UserError, match="hyp.1of2.jsonl does not exist"):
        decode.main([*words, "--out_dir", str(tmp_path), "--num_parts", "2", "--merge", "true"])


def test_a_batch_that_torch_has_no_memory_for_is_told_as_every_recognisers(recogniser, monkeypatch):
    def encode(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recogniser.model, "encode", encode)
    with pytest.raises(OutOfMemory, match="CUDA out of memory"):
        recogniser.emission([np.zeros(16000, np.float32)])
