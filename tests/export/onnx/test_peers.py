"""export/onnx/peers.py: onnx-asr and sherpa-onnx load the folder and write what torch does."""

import json

import numpy as np
import onnx_asr.loader
import pytest
from onnx_asr.asr import _AsrWithCtcDecoding
from onnx_asr.preprocessors.preprocessor import IdentityPreprocessor

from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.export.onnx.folder import export_onnx
from asr_dro_plugin.export.onnx.parity import session_of
from tests.espnet.tiny import TOKENS
from tests.export.onnx.exps import speech, write_exp
from tests.export.onnx.test_stacks import LOG_MEL, RAW

pytest_plugins = ["tests.fixtures_ssl"]
CONV = {"hidden_size": 16, "num_blocks": 2, "kernel_size": 5, "strides": [2, 2]}
STACKS = {
    "conv_ctc": {**LOG_MEL, "encoder": "conv_ctc", "encoder_conf": CONV},
    "hf_wav2vec2": {**RAW, "encoder": "hf_wav2vec2"},
}
SAMPLES = (16000, 23456, 40001)


class Wav2Vec2Ctc(_AsrWithCtcDecoding):
    """onnx-asr's model type wav2vec2-ctc, which its main branch has and its release 0.12 has not:
    the names that it asks for, and how it counts frames; all else is the release's own."""

    def __init__(self, folder):
        files = {"config": folder / "config.json", "vocab": folder / "vocab.txt"}
        super().__init__(files, lambda name: IdentityPreprocessor(), {})
        self.session = session_of(folder / "model.onnx")

    _preprocessor_name = "identity"

    @staticmethod
    def _get_model_files(quantization=None):
        return {}

    @property
    def _subsampling_factor(self):
        return self.config["subsampling_factor"]

    def _encode(self, waveforms, waveforms_len):
        feed = {"input_values": waveforms, "input_lengths": waveforms_len}
        (log_probs,) = self.session.run(["logprobs"], feed)
        frames = waveforms_len // self._subsampling_factor + 1
        return log_probs, np.minimum(frames, log_probs.shape[1])


@pytest.fixture(scope="module", params=STACKS)
def made(request, tiny_ssl, tmp_path_factory):
    """(folder, speech without a constant offset, what torch writes to it)."""
    root = tmp_path_factory.mktemp(request.param)
    checkpoint = tiny_ssl.hf if request.param == "hf_wav2vec2" else None
    exp = write_exp(root / "exp", STACKS[request.param], checkpoint)
    export_onnx(exp, root / "out")
    utterances = [speech(length, seed=length) for length in SAMPLES]
    utterances = [each - each.mean() for each in utterances]
    recogniser = load_recogniser(exp, "model.pth")
    return root / "out", utterances, [written(recogniser, each) for each in utterances]


def written(recogniser, samples):
    """Greedily, every symbol as it is."""
    ids = np.asarray(recogniser.emission([samples]).log_probs[0]).argmax(-1)
    kept = [number for number, before in zip(ids, [-1, *ids]) if number != before]
    symbols = [
        TOKENS[number].replace("<space>", " ") for number in kept if TOKENS[number] != "<blank>"
    ]
    return "".join(symbols)


def without_spaces(text):
    """onnx-asr drops those before what is no letter, such as a tag in the middle of noise."""
    return "".join(text.split())


def without_double_spaces(text):
    return " ".join(text.split())


def test_onnx_asr_writes_the_same_alone_and_in_a_batch(made):
    folder, utterances, expected = made
    expected = [without_spaces(text) for text in expected]
    assert all(expected) and len(set(expected)) > 1
    if "wav2vec2-ctc" in onnx_asr.loader.AsrTypeNames.__args__:
        model = onnx_asr.load_model("wav2vec2-ctc", folder)
    else:
        model = onnx_asr.loader.Manager()._create_asr_adapter(Wav2Vec2Ctc(folder))
    assert [without_spaces(model.recognize(each)) for each in utterances] == expected
    assert [without_spaces(text) for text in model.recognize(utterances)] == expected


def test_sherpa_onnx_writes_the_same(made):
    import sherpa_onnx

    folder, utterances, expected = made
    recogniser = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt")
    )
    for samples, text in zip(utterances, expected, strict=True):
        stream = recogniser.create_stream()
        stream.accept_waveform(16000, samples)
        recogniser.decode_stream(stream)
        assert without_double_spaces(stream.result.text) == without_double_spaces(text)


def test_the_manifest_says_where_sherpa_onnx_differs(made):
    facts = json.loads((made[0] / "asr_dro_onnx.json").read_text("utf-8"))
    is_raw = facts["stack"]["encoder"] == "hf_wav2vec2"
    assert facts["peers"]["sherpa-onnx"]["same_text"] == is_raw
    assert ("constant offset" in facts["peers"]["sherpa-onnx"]["why"]) != is_raw
