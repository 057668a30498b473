"""An utterance has the same log probabilities alone and padded in a batch, in every stack.

Through the two ways that users take: ``Recogniser.emission`` (decode, transcribe, align) and
``model.encode`` of a padded batch (dev CER while training).
"""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.espnet.tiny import TOKENS

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]
pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5
LENGTHS = (9000, 9100, 8133)  # samples; their triples are the company
LOG_MEL = {"frontend": "default", "frontend_conf": {"n_mels": 40}}
NEMO_MEL = {"frontend": "log_mel", "frontend_conf": {"n_mels": 40}, "normalize": "none"}
RAW = {"frontend": "none", "normalize": "none"}
ATTENTION = {"output_size": 16, "attention_heads": 2, "num_blocks": 2}
FORWARD = {**ATTENTION, "linear_units": 32}
GATED = {"cgmlp_linear_units": 32, "cgmlp_conv_kernel": 7}
BLOCKS = [
    {"filters": 16, "repeat": 1, "kernel": 5, "stride": 2, "residual": False},
    {"filters": 16, "repeat": 2, "kernel": 7, "residual": True},
    {"filters": 24, "repeat": 1, "kernel": 5, "dilation": 2, "residual": False},
]
RECURRENT = {"hidden_size": 16}
SMALL_CONV = {"hidden_size": 16, "num_blocks": 2, "kernel_size": 5, "strides": [2, 2]}


def raw(encoder, **conf):
    return {**RAW, "encoder": encoder, "encoder_conf": conf}


def on_mel(encoder, front=LOG_MEL, **conf):
    return {**front, "encoder": encoder, "encoder_conf": conf}


def over_s3prl(**front):
    return {"frontend": "s3prl", "frontend_conf": front, "encoder": "identity"}


def over_whisper(encoder="identity", encoder_conf=None, **front):
    front = {"frontend": "hf_whisper", "frontend_conf": front}
    return {**front, "encoder": encoder, "encoder_conf": encoder_conf or {}}


# Name -> (keys of a YAML, which pretrained model it starts from).
STACKS = {
    "conv_ctc": (on_mel("conv_ctc", **SMALL_CONV), None),
    "identity-default": (on_mel("identity"), None),
    "identity-log_mel": (on_mel("identity", NEMO_MEL), None),
    "identity-s3prl": (over_s3prl(multilayer_feature=True), "hf"),
    "identity-s3prls_file": (over_s3prl(multilayer_feature=True), "s3prl"),
    "quartznet": (on_mel("quartznet", NEMO_MEL, blocks=BLOCKS), None),
    "quartznet-se": (on_mel("quartznet", NEMO_MEL, blocks=BLOCKS, se=True), None),
    "quartznet-default": (on_mel("quartznet", blocks=BLOCKS), None),
    "deepspeech2-hw2": (on_mel("deepspeech2", variant="hw2", num_layers=2, **RECURRENT), None),
    "deepspeech2-sooftware": (
        on_mel("deepspeech2", variant="sooftware", num_layers=2, **RECURRENT), None,
    ),
    "transformer": (on_mel("transformer", **FORWARD), None),
    "conformer": (on_mel("conformer", **FORWARD, rel_pos_type="latest"), None),
    "e_branchformer": (on_mel("e_branchformer", **FORWARD, **GATED), None),
    "branchformer": (on_mel("branchformer", **ATTENTION, **GATED), None),
    "wav2vec2": (raw("wav2vec2", output_size=16), "fairseq"),
    "hf_wav2vec2": (raw("hf_wav2vec2"), "hf"),
    "hf_wav2vec2-weighted": (raw("hf_wav2vec2", layers="weighted"), "hf"),
    "hf_wav2vec2-base": (raw("hf_wav2vec2"), "base"),
    "fairseq_wav2vec2": (raw("fairseq_wav2vec2"), "fairseq"),
    "fairseq_wav2vec2-base": (raw("fairseq_wav2vec2"), "base_fairseq"),
    "hf_whisper-30s": (raw("hf_whisper"), "whisper"),
    "hf_whisper-untrimmed": (raw("hf_whisper", do_pad_trim=False), "whisper"),
    "identity-hf_whisper": (over_whisper(), "whisper"),
    "identity-hf_whisper-30s": (over_whisper(do_pad_trim=True), "whisper"),
    "identity-hf_whisper-pooled": (over_whisper(pool=2, layers=[0, -2]), "whisper"),
    "transformer-hf_whisper": (
        over_whisper("transformer", {**FORWARD, "input_layer": "conv1d2"}), "whisper",
    ),
}  # fmt: skip

# What cannot have it, and why: in a batch of one length only is an utterance what it is alone.
OTHERS = {
    # The positions of ESPnet's first relative attention count from the end of the batch.
    "conformer-legacy": (on_mel("conformer", **FORWARD, rel_pos_type="legacy"), None),
    # A group norm takes mean and variance over the padding, too; hf_wav2vec2 and fairseq_wav2vec2
    # read the same files, and take them over the utterance.
    "wav2vec2-base": (raw("wav2vec2", output_size=16), "base_fairseq"),
    "identity-s3prl-base": (over_s3prl(multilayer_feature=True), "base"),
}


@pytest.fixture(scope="module")
def pretrained(tiny_ssl, make_tiny_ssl, tiny_whisper):
    """Where each kind of pretrained model lies."""
    base = make_tiny_ssl(variant="base")
    return {
        "hf": tiny_ssl.hf, "s3prl": tiny_ssl.s3prl, "fairseq": tiny_ssl.fairseq,
        "base": base.hf, "base_fairseq": base.fairseq, "whisper": tiny_whisper,
    }  # fmt: skip


@pytest.fixture(scope="module")
def recogniser_of(task, pretrained):
    """``recogniser_of(keys, kind)``: a random model of that stack, ready to decode."""
    from asr_dro_plugin.espnet.decode.inference import as_recogniser

    def make(keys, kind=None):
        args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **keys})
        args.token_list, args.model_conf, args.model = TOKENS, {"ctc_weight": 1.0}, "dro"
        args.ssl_checkpoint = str(pretrained[kind]) if kind else None
        for slot in ("frontend", "normalize", "decoder"):
            setattr(args, slot, None if getattr(args, slot) == "none" else getattr(args, slot))
        torch.manual_seed(0)
        return as_recogniser(task.build_model(args), args, Path("random"))

    return make


def speech(num_samples, seed=0):
    """Noise over a rising tone: no two frames are alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (300 + 400 * time) * time)
    return (tone + 0.1 * rng.standard_normal(num_samples)).astype(np.float32)


def emitted(recogniser, batch):
    emission = recogniser.emission(batch)
    return torch.from_numpy(emission.log_probs), torch.from_numpy(emission.lengths)


@torch.no_grad()
def encoded(recogniser, batch):
    """As training's collate function pads a batch."""
    lengths = torch.tensor([len(samples) for samples in batch])
    padded = torch.zeros(len(batch), int(lengths.max()))
    for row, samples in zip(padded, batch, strict=True):
        row[: len(samples)] = torch.from_numpy(samples)
    encoder_out, encoder_out_lens = recogniser.model.encode(padded, lengths)
    return recogniser.model.ctc.log_softmax(encoder_out), encoder_out_lens


WAYS = {"emission": emitted, "encode": encoded}


def difference(recogniser, way, num_samples, times=3):
    """Greatest difference of log probs: alone, and before and behind one ``times`` as long."""
    own, other = speech(num_samples), speech(times * num_samples, seed=1)
    alone, length = WAYS[way](recogniser, [own])
    length = int(length[0])
    found = []
    for row, batch in enumerate(([own, other], [other, own])):
        together, lengths = WAYS[way](recogniser, batch)
        assert int(lengths[row]) == length
        found.append((together[row, :length] - alone[0, :length]).abs().max().item())
    assert alone[0, :length].std(dim=0).max() > 1e-4  # the model hears what is said
    return max(found)


@pytest.mark.parametrize("name", STACKS)
def test_no_utterance_depends_on_its_company(recogniser_of, name):
    recogniser = recogniser_of(*STACKS[name])
    for way in WAYS:
        for num_samples in LENGTHS:
            assert difference(recogniser, way, num_samples) < TOLERANCE, (way, num_samples)


@pytest.mark.parametrize("name", OTHERS)
def test_what_depends_on_its_company_does_not_among_equals(recogniser_of, name):
    recogniser = recogniser_of(*OTHERS[name])
    for way in WAYS:
        assert difference(recogniser, way, 8000, times=1) < TOLERANCE, way
        assert difference(recogniser, way, 8000) > 100 * TOLERANCE, way


def test_espnets_recurrent_encoder_takes_a_batch_in_any_order(recogniser_of):
    conf = {"hidden_size": 16, "output_size": 16, "num_layers": 1}
    recogniser = recogniser_of(on_mel("rnn", **conf))
    for num_samples in LENGTHS:
        assert difference(recogniser, "emission", num_samples) < TOLERANCE
    short, long = speech(8000), speech(24000)
    (ordered, lengths), (turned, _) = (
        encoded(recogniser, batch) for batch in ([long, short], [short, long])
    )
    for row, length in enumerate(lengths.tolist()):
        assert (ordered[row, :length] - turned[1 - row, :length]).abs().max() < TOLERANCE


def test_every_frontend_and_encoder_of_ours_and_of_our_yamls_is_among_them():
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.stack.components import OURS

    paths = Path(__file__).resolve().parents[3].glob("conf/train_asr_*.yaml")
    shipped = [load_config(path) for path in paths]
    for slot in ("frontend", "encoder"):
        needed = set(OURS[slot]) | {config[slot] for config in shipped}
        assert needed <= {keys[slot] for keys, _ in STACKS.values()}
