"""The longest batch that is told before training is the one that training tries first."""

import numpy as np
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.preflight.first_epoch import batch_facts, plan_first_epoch, read_lengths
from asr_dro_plugin.samplers import build_sampler
from asr_dro_plugin.stack.frames import frame_counter

MINI = {
    "frontend": "default", "frontend_conf": {"hop_length": 160, "n_mels": 80},
    "encoder": "conv_ctc", "encoder_conf": {"hidden_size": 64, "strides": [2, 2]},
    "decoder": "none", "model": "dro", "model_conf": {"ctc_weight": 1.0},
}  # fmt: skip
TASK = MINI | {"iterator_type": "task", "sampler": "group_duration", "seed": 5,
               "sampler_conf": {"duration": 10.0}}  # fmt: skip


@pytest.fixture
def stats_dir(tmp_path):
    """Lengths and groups as stage 10 leaves them: 40 utterances of 1 to 4 s in two groups."""
    folder = tmp_path / "stats" / "train"
    folder.mkdir(parents=True)
    lengths = {f"u{row:02d}": 16000 + 1200 * row for row in range(40)}
    (folder / "speech_shape").write_text("".join(f"{u} {n}\n" for u, n in lengths.items()))
    (folder / "utt2group").write_text("".join(f"{u} {n % 3 % 2}\n" for u, n in lengths.items()))
    return folder.parent


def test_the_longest_batch_is_the_one_that_training_tries_first(stats_dir):
    from asr_dro_plugin.espnet.batches.iterators import PlannedIterFactory

    found = plan_first_epoch(TASK, stats_dir, frame_counter(TASK))
    utt_ids, samples, group_ids = read_lengths(stats_dir / "train")
    sampler = build_sampler(TASK["sampler"], **TASK["sampler_conf"])
    factory = PlannedIterFactory(
        None, utt_ids, np.array(samples) / 16000, group_ids, sampler, seed=TASK["seed"]
    )
    longest = factory.longest_batch()
    at_most = max(samples[utt_ids.index(utt_id)] for utt_id in longest)
    assert found.num_utterances == len(longest) > 1
    assert samples[utt_ids.index(found.first)] == at_most
    assert found.seconds == pytest.approx(len(longest) * at_most / 16000)
    assert found.frames == len(longest) * frame_counter(TASK).num_frames(at_most)
    assert found.plan.startswith(f"{len(factory.plan())} batches of up to 10 s hold 40 utt")


def test_of_espnets_batches_the_longest_utterance_is_told(stats_dir):
    config = MINI | {"batch_type": "sorted"}
    found = plan_first_epoch(config, stats_dir, frame_counter(config))
    assert batch_facts(found, config, stats_dir) == {
        "longest": "utterance: 3.9 s and 99 frames with padding (longest: u39, 3.9 s); "
        "the batches are ESPnet's (batch_type: sorted)"
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("speech_shape", "u00 x\n", "what is no number .* Run stage 10 again"),
        ("utt2group", "u00 eng\n", "what is no number"),
        ("utt2group", "u00 -1\n", "has a group below 0. Run stage 10"),
        ("speech_shape", "u99 16000\n", "names no utterance with samples and a group"),
    ],
)
def test_damaged_lengths_are_one_line(stats_dir, name, text, words):
    (stats_dir / "train" / name).write_text(text)
    with pytest.raises(UserError, match=words):
        read_lengths(stats_dir / "train")
