"""Log-mel features and QuartzNet as ESPnet has them: one stack, no padding in it."""

import argparse
import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.features.log_mel import LogMel
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.stack.frames import frame_counter

CONFIG = Path(__file__).resolve().parents[3] / "conf/train_asr_quartznet15x5_tiny.yaml"
LENGTHS = (16000, 9123, 4000)


@pytest.fixture(scope="module")
def config():
    return load_config(CONFIG)


@pytest.fixture(scope="module")
def model(task, config):
    """The tiny stack whose batch norms have seen something, in evaluation mode."""
    from asr_dro_plugin.espnet.start.checks import model_conf_of

    args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **config})
    args.token_list, args.groups, args.decoder = ["<blank>", "<unk>", "a", "<sos/eos>"], None, None
    args.model_conf = model_conf_of(args)
    torch.manual_seed(0)
    model = task.build_model(args).train()
    with torch.no_grad():
        for _ in range(20):
            model.encode(*batch())
    return model.eval()


def batch():
    rng = np.random.default_rng(0)
    rows = [torch.from_numpy(0.1 * rng.standard_normal(n)).float() for n in LENGTHS]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor(LENGTHS)


def test_the_frontends_arguments_are_the_settings(task):
    from asr_dro_plugin.espnet.parts.frontends import LogMelFrontend

    given = inspect.signature(LogMelFrontend).parameters.values()
    fields = dataclasses.fields(LogMelSettings)
    assert [(p.name, p.default) for p in given] == [(f.name, f.default) for f in fields]
    frontend = LogMelFrontend(n_mels=40, log="clamp")
    assert frontend.features.settings == LogMelSettings(n_mels=40, log="clamp")
    assert frontend.output_size() == 40


def test_the_frontend_gives_what_numpy_gives(model, config):
    speech, lengths = batch()
    features, frames = model.frontend(speech, lengths)
    numpy_features = LogMel(LogMelSettings.from_dict(config["frontend_conf"]))
    for samples, length, row, count in zip(speech, lengths, features, frames, strict=True):
        expected = numpy_features(samples[:length].numpy())
        assert np.abs(row[:count].numpy() - expected).max() < 1e-5


@torch.no_grad()
def test_an_utterance_has_the_same_log_probs_alone_and_in_a_batch(model):
    speech, lengths = batch()
    encoder_out, counts = model.encode(speech, lengths)
    together = model.ctc.log_softmax(encoder_out)
    for row, samples, length, count in zip(together, speech, lengths, counts, strict=True):
        alone = model.ctc.log_softmax(model.encode(samples[None, :length], length[None])[0])
        assert alone.shape[1] == count
        assert (alone[0] - row[:count]).abs().max() < 1e-5


@torch.no_grad()
def test_the_plan_counts_the_frames_that_ctc_sees(model, config):
    counter = frame_counter(config)
    assert counter.exact
    for length in (160, 319, 320, 480, 1601, 16000, 16159):
        _, counts = model.encode(torch.randn(1, length), torch.tensor([length]))
        assert counts.tolist() == [counter.num_frames(length)]


def test_training_dithers_and_evaluation_does_not(model):
    speech, lengths = batch()
    with torch.no_grad():
        first, second = (model.encode(speech, lengths)[0] for _ in range(2))
        assert torch.equal(first, second)
    dithered = model.frontend.train()(speech, lengths)[0]
    plain = model.frontend.eval()(speech, lengths)[0]
    assert not torch.equal(dithered, plain)
    assert (dithered - plain).abs().mean() < 1e-3
