"""What our task trains is what ESPnet's own ``Speech2Text`` decodes, for every kind of stack.

One process of ESPnet's for all stacks.  Three are not trained but disturbed: every parameter, the
pretrained ones too, differs from what building the model from its ``config.yaml`` gives.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_dro_plugin.base.kaldi_io import read_table
from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]
MODEL = "valid.cer_ctc.ave.pth"
STACKS = ("conv_ctc", "identity", "s3prl", "wav2vec2")

ESPNETS_OWN = """
import sys, numpy as np, soundfile, torch
import asr_dro_plugin.espnet
from espnet2.bin.asr_inference import Speech2Text
audio, out, *exps = sys.argv[1:]
speech = torch.from_numpy(soundfile.read(audio, dtype="float32")[0])[None]
for number, exp in enumerate(exps):
    speech2text = Speech2Text(f"{exp}/config.yaml", f"{exp}/valid.cer_ctc.ave.pth", ctc_weight=1.0)
    with torch.no_grad():
        enc, _ = speech2text.asr_model.encode(speech, torch.tensor([speech.shape[1]]))
        np.save(f"{out}/{number}.npy", speech2text.asr_model.ctc.log_softmax(enc).numpy())
"""


def disturbed(task, dump: Path, root: Path, **changes) -> Path:
    """An experiment as training leaves it, its parameters moved at random."""
    root.mkdir()
    config = write_config(root / "train.yaml", model="dro", **changes)
    task.main(cmd=[*arguments(dump, root / "exp", config), "--dry_run", "true"])
    model, _ = task.build_model_from_file(root / "exp" / "config.yaml")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    torch.save(model.state_dict(), root / "exp" / MODEL)
    return root / "exp"


@pytest.fixture(scope="module")
def experiments(task, dump, trained, tiny_ssl, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("stacks")
    plain = {"encoder": "identity", "encoder_conf": {}}
    s3prl = {"frontend": "s3prl", "frontend_conf": {}, "ssl_checkpoint": str(tiny_ssl.hf)}
    raw = {"frontend": "none", "frontend_conf": {}, "normalize": "none", "encoder_conf": {}}
    fairseq = {"encoder": "wav2vec2", "ssl_checkpoint": str(tiny_ssl.fairseq)}
    return {
        "conv_ctc": trained,
        "identity": disturbed(task, dump, root / "identity", **plain),
        "s3prl": disturbed(task, dump, root / "s3prl", **plain | s3prl),
        "wav2vec2": disturbed(task, dump, root / "wav2vec2", **raw | fairseq),
    }


@pytest.fixture(scope="module")
def audio(dump) -> str:
    return next(iter(read_table(dump / "test" / "wav.scp").values()))


@pytest.fixture(scope="module")
def espnets(experiments, audio, tmp_path_factory) -> dict[str, torch.Tensor]:
    """Log probabilities that ESPnet's own loader gives, by stack."""
    out = tmp_path_factory.mktemp("espnets")
    command = [sys.executable, "-c", ESPNETS_OWN, audio, str(out), *map(str, experiments.values())]
    subprocess.run(command, check=True, capture_output=True)
    return {
        name: torch.from_numpy(np.load(out / f"{number}.npy"))
        for number, name in enumerate(experiments)
    }


@pytest.mark.parametrize("stack", STACKS)
def test_speech2text_gives_our_log_probs_and_they_are_those_of_the_loaded_parameters(
    experiments, espnets, audio, task, stack
):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    exp, speech = experiments[stack], soundfile.read(audio, dtype="float32")[0]
    recogniser = load_recogniser(exp, MODEL)
    state, loaded = torch.load(exp / MODEL, weights_only=True), recogniser.model.state_dict()
    torch.testing.assert_close(dict(loaded), state, rtol=0, atol=0, equal_nan=True)
    ours = torch.from_numpy(recogniser.emission([speech]).log_probs)
    assert espnets[stack].shape == ours.shape
    assert torch.allclose(espnets[stack], ours, atol=1e-6)

    built = task.build_model_from_file(exp / "config.yaml")[0].eval()
    names = [name for name, _ in built.named_parameters()]
    # A step of training may leave a bias as it was.
    others = [name for name in names if not torch.equal(built.state_dict()[name], state[name])]
    assert others == names or (stack == "conv_ctc" and others)
    with torch.no_grad():
        encoded, _ = built.encode(torch.from_numpy(speech)[None], torch.tensor([len(speech)]))
        assert (built.ctc.log_softmax(encoded) - ours).abs().max() > 1e-3


@pytest.mark.parametrize("stack", STACKS)
def test_the_frame_counter_knows_what_is_too_short_for_the_stack(experiments, stack):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    recogniser = load_recogniser(experiments[stack], MODEL)
    for num_samples in (1, 255, 256, 257, 399, 400, 960, 961, 1039, 1040, 1600):
        try:
            speech = np.ones(num_samples, dtype=np.float32)
            frames = int(recogniser.emission([speech]).lengths[0])
        except (RuntimeError, AssertionError):
            frames = 0
        assert recogniser.frames.num_frames(num_samples) == frames, num_samples
