"""In a batch, s3prl stacks wrote a symbol too many behind shorter utterances.

s3prl rounds the number of frames up and repeats the last frame to get there, but that of the padded
batch: all but its longest utterance ended in a frame of padding.
"""

import numpy as np
import pytest
import torch

from asr_dro_plugin.espnet.decode.inference import load_recogniser
from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]


@pytest.fixture(scope="module")
def recogniser(task, dump, tiny_ssl, tmp_path_factory):
    root = tmp_path_factory.mktemp("s3prl")
    config = write_config(
        root / "train.yaml", frontend="s3prl", frontend_conf={}, normalize="none",
        encoder="identity", encoder_conf={}, ssl_checkpoint=str(tiny_ssl.hf),
    )  # fmt: skip
    task.main(cmd=[*arguments(dump, root / "exp", config), "--dry_run", "true"])
    model, _ = task.build_model_from_file(root / "exp" / "config.yaml")
    torch.save(model.state_dict(), root / "exp" / "model.pth")
    return load_recogniser(root / "exp", "model.pth")


def test_an_utterance_says_in_a_batch_what_it_says_alone(recogniser):
    rng = np.random.default_rng(0)
    lengths = (16000, 15999, 12345, 9600, 4000, 961 + 80)
    speech = [rng.standard_normal(length).astype(np.float32) for length in lengths]
    together = recogniser.emission(speech)
    for row, samples in enumerate(speech):
        alone = recogniser.emission([samples])
        length = int(alone.lengths[0])
        assert length == int(together.lengths[row])
        difference = np.abs(together.log_probs[row, :length] - alone.log_probs[0])
        assert difference.max() < 1e-4


def test_alone_it_has_espnets_own_log_probs(recogniser):
    samples = np.random.default_rng(1).standard_normal(12345).astype(np.float32)
    model = recogniser.model
    ours = recogniser.emission([samples]).log_probs
    for hook in list(model.frontend._forward_hooks):
        model.frontend._forward_hooks.pop(hook)
    with torch.no_grad():
        encoded, _ = model.encode(torch.from_numpy(samples)[None], torch.tensor([12345]))
    assert np.array_equal(ours, model.ctc.log_softmax(encoded).detach().numpy())
