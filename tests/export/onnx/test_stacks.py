"""export/onnx: each stack's graph computes what torch does, alone and in any company."""

import json

import numpy as np
import pytest

from asr_dro_plugin.export.onnx.folder import export_onnx
from asr_dro_plugin.export.onnx.parity import session_of
from tests import hf_models
from tests.export.onnx.exps import speech, write_exp
from tests.importing.reading import imported

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]

LOG_MEL = {"frontend": "default", "frontend_conf": {"n_mels": 20, "hop_length": 160}}
NEMO_MEL = {"frontend": "log_mel", "frontend_conf": {"n_mels": 40}, "normalize": "none"}
BLOCKS = [
    {"filters": 16, "repeat": 1, "kernel": 5, "stride": 2, "residual": False},
    {"filters": 16, "repeat": 2, "kernel": 7, "residual": True},
    {"filters": 24, "repeat": 1, "kernel": 5, "dilation": 2, "residual": False},
]
SMALL_CONV = {"hidden_size": 16, "num_blocks": 2, "kernel_size": 5, "strides": [2, 2]}
RAW = {"frontend": "none", "normalize": "none"}
FORWARD = {"output_size": 16, "attention_heads": 2, "num_blocks": 2, "linear_units": 32}
WHISPER_SECONDS = 2


def on_mel(encoder, front=LOG_MEL, **conf):
    return {**front, "encoder": encoder, "encoder_conf": conf}


def raw(encoder, **conf):
    return {**RAW, "encoder": encoder, "encoder_conf": conf}


def over_whisper(encoder="identity", encoder_conf=None, **front):
    front = {"frontend": "hf_whisper", "frontend_conf": front}
    return {**front, "encoder": encoder, "encoder_conf": encoder_conf or {}}


def over_s3prl(encoder="identity", encoder_conf=None, **front):
    front = {"frontend": "s3prl", "frontend_conf": front}
    return {**front, "encoder": encoder, "encoder_conf": encoder_conf or {}}


# As they come from a Hugging Face folder: (architecture, changes of its configuration).
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
IMPORTED = {
    "hubert": ("hubert", {}),
    "wavlm": ("wavlm", STABLE),
    "mms-adapters": ("wav2vec2", {**STABLE, "adapter_attn_dim": 4}),
    "add_adapter": ("wav2vec2", {"add_adapter": True, "num_adapter_layers": 1}),
}
LORA = {"use_adapter": True, "adapter": "lora", "adapter_conf": {"rank": 2}}
HOULSBY = {"use_adapter": True, "adapter": "houlsby", "adapter_conf": {"bottleneck": 4}}
LINEAR = {"preencoder": "linear", "preencoder_conf": {"output_size": 12}}
# Name -> (keys of a YAML, which pretrained model it starts from).
STACKS = {
    "conv_ctc": (on_mel("conv_ctc", **SMALL_CONV), None),
    "conv_ctc-live": (
        {**on_mel("conv_ctc", **SMALL_CONV, gates=False), "normalize": "none"}, None,
    ),
    "quartznet-se": (on_mel("quartznet", NEMO_MEL, blocks=BLOCKS, se=True), None),
    "deepspeech2-hw2": (on_mel("deepspeech2", NEMO_MEL, num_layers=2, hidden_size=16), None),
    "deepspeech2-sooftware": (
        on_mel("deepspeech2", NEMO_MEL, variant="sooftware", num_layers=2, hidden_size=16), None,
    ),
    "transformer": (on_mel("transformer", **FORWARD), None),
    "conformer": (
        on_mel("conformer", **FORWARD, rel_pos_type="latest", cnn_module_kernel=7), None,
    ),
    "hf_wav2vec2": (raw("hf_wav2vec2"), "hf"),
    "hf_wav2vec2-base": (raw("hf_wav2vec2", layers="weighted", attention_mask=False), "base"),
    "fairseq_wav2vec2": (raw("fairseq_wav2vec2"), "fairseq"),
    "hf_wav2vec2-lora": ({**raw("hf_wav2vec2"), **LORA}, "hf"),
    "hf_wav2vec2-houlsby": ({**raw("hf_wav2vec2"), **HOULSBY}, "hf"),
    "wav2vec2": ({**raw("wav2vec2", output_size=16), "normalize": "utterance_mvn"}, "fairseq"),
    "s3prl-identity": (over_s3prl(multilayer_feature=True), "hf"),
    "s3prls_file-linear-transformer": (
        {**over_s3prl("transformer", {**FORWARD, "input_layer": "conv2d2"},
                      multilayer_feature=True), **LINEAR}, "s3prl",
    ),
    "hf_whisper-30s": (raw("hf_whisper"), "whisper"),
    "conv_ctc-hf_whisper": (over_whisper("conv_ctc", SMALL_CONV, do_pad_trim=True), "whisper"),
    "linear-transformer-hf_whisper": (
        {**over_whisper("transformer", {**FORWARD, "input_layer": "conv1d2"}, pool=2), **LINEAR},
        "whisper",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pretrained(tiny_ssl, make_tiny_ssl, tiny_whisper):
    """Where each kind of pretrained model lies."""
    base = make_tiny_ssl(variant="base")
    return {
        "hf": tiny_ssl.hf, "s3prl": tiny_ssl.s3prl, "fairseq": tiny_ssl.fairseq,
        "base": base.hf, "whisper": tiny_whisper,
    }  # fmt: skip


@pytest.fixture(scope="module", params=[*STACKS, *IMPORTED])
def exported(request, pretrained, tmp_path_factory):
    """(experiment, exported folder) of a stack."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param in IMPORTED:
        kind, changes = IMPORTED[request.param]
        hf_models.write_folder(root / "hf", kind, **changes)
        exp = imported("hf", root / "hf", root / "exp")
    else:
        keys, kind = STACKS[request.param]
        exp = write_exp(root / "exp", keys, pretrained[kind] if kind else None)
    export_onnx(exp, root / "out")
    return exp, root / "out"


def test_batches_and_lengths_are_open_and_padding_reaches_no_utterance(exported):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    exp, out = exported
    facts = json.loads((out / "asr_dro_onnx.json").read_text("utf-8"))
    recogniser, session = load_recogniser(exp, "model.pth"), session_of(out / "model.onnx")
    fewest = facts["min_samples"]
    most = round(16000 * (facts["longest"] or 60)) - 321
    for lengths in ((37 * 160,), (fewest, 256 * 160, 256 * 160 - 1), (9000, 8999), (fewest,)):
        lengths = [min(length, most) for length in lengths]
        batch = [speech(length, seed=length) for length in lengths]
        padded = np.stack([np.pad(each, (0, max(lengths) + 321 - len(each))) for each in batch])
        feed = {"input_values": padded, "input_lengths": np.array(lengths)}
        log_probs, frames = session.run(["log_probs", "lengths"], feed)
        for row, samples in enumerate(batch):
            alone = recogniser.emission([samples])
            assert frames[row] == int(alone.lengths[0]) >= 1
            expected = np.asarray(alone.log_probs[0])[: frames[row]]
            np.testing.assert_allclose(log_probs[row, : frames[row]], expected, rtol=0, atol=1e-4)
            assert (log_probs[row, frames[row] :].argmax(-1) == facts["blank_id"]).all()


def test_the_runtime_gives_what_torch_gives_of_speech_longer_than_the_model_takes_too(exported):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser
    from asr_dro_plugin.runtime.folder import open_folder
    from asr_dro_plugin.runtime.session import OnnxRecogniser

    exp, out = exported
    ours = OnnxRecogniser(open_folder(out))
    theirs = load_recogniser(exp, "model.pth")
    batch = [speech(16000 * 2 + 7), speech(9000, seed=1)]
    if ours.longest:
        batch.append(speech(round(16000 * ours.longest * 1.7), seed=2))
    found = ours.emission(batch)
    for row, samples in enumerate(batch):
        alone, count = theirs.emission([samples]), found.lengths[row]
        assert found.frame_shift == alone.frame_shift and count == alone.lengths[0]
        expected = np.asarray(alone.log_probs[0])[:count]
        np.testing.assert_allclose(found.log_probs[row, :count], expected, rtol=0, atol=1e-4)
