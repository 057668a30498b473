"""The longest batch was loaded in the main process, which left the ark open for all later workers.

Processes that inherit an open file share its position: two workers read each other's bytes, and one
alone read the wrong ones where its copy of the buffer did not know that the position had moved.
"""

import os

import kaldiio
import numpy as np
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.dataset import ESPnetDataset

from asr_dro_plugin.espnet.batches.iterators import PlannedIterFactory
from asr_dro_plugin.samplers import build_sampler

NUM = 64


def opened_below(folder):
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    files = [os.readlink(link) for link in links if os.path.lexists(link)]
    return [file for file in files if str(folder) in file]


def factory_of(tmp_path, num_workers):
    waves = {f"utt{i:03d}": np.full(4000 + 40 * i, i, dtype=np.int16) for i in range(NUM)}
    entries = {utt_id: (16000, wave) for utt_id, wave in waves.items()}
    kaldiio.save_ark(f"{tmp_path}/wav.ark", entries, scp=f"{tmp_path}/wav.scp")
    path = (f"{tmp_path}/wav.scp", "speech", "kaldi_ark")
    seconds = [len(wave) / 16000 for wave in waves.values()]
    return waves, PlannedIterFactory(
        ESPnetDataset([path], max_cache_fd=32), list(waves), seconds,
        [0] * NUM, build_sampler("group_duration", duration=1.0), seed=0,
        collate_fn=CommonCollateFn(), num_workers=num_workers,
    )  # fmt: skip


def test_trying_the_longest_batch_opens_no_file_that_workers_would_share(tmp_path):
    waves, factory = factory_of(tmp_path, num_workers=2)
    utt_ids, batch = factory.load(factory.longest_batch())
    assert len(utt_ids) == len(batch["speech"])
    assert opened_below(tmp_path) == []


def test_two_workers_read_every_utterance_whole_after_the_longest_batch_was_tried(tmp_path):
    waves, factory = factory_of(tmp_path, num_workers=2)
    factory.load(factory.longest_batch())
    for epoch in (1, 2, 3):
        for utt_ids, batch in factory.build_iter(epoch):
            rows = zip(utt_ids, batch["speech"], batch["speech_lengths"], strict=True)
            for utt_id, speech, length in rows:
                expected = waves[utt_id]
                assert int(length) == len(expected)
                assert np.allclose(speech[:length], expected)
