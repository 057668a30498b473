"""Decoding ten times as many utterances takes no more memory."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.transcripts.partial import read_so_far
from tests.espnet import decoding

SECONDS = 6
# VmHWM is of this process; getrusage's ru_maxrss is never below that of the one it came from.
PROGRAM = """
import sys
from asr_dro_plugin.bin import decode

decode.main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def data_of(dump, folder, number):
    """``number`` utterances of six seconds: as samples 300 of them would take 115 MB."""
    folder.mkdir()
    sound = next(iter(read_table(dump / "test" / "wav.scp").values()))
    samples, rate = soundfile.read(sound, dtype="float32")
    soundfile.write(folder / "long.wav", np.resize(samples, SECONDS * rate), rate)
    utt_ids = [f"utt{row:04d}" for row in range(number)]
    write_table(folder / "wav.scp", dict.fromkeys(utt_ids, str(folder / "long.wav")))
    write_table(folder / "utt2num_samples", dict.fromkeys(utt_ids, str(SECONDS * rate)))
    return folder


def peak(arguments):
    """MB at most in memory of a process that decodes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=decoding.ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_300_utterances_take_less_than_50_MB_more_than_30(trained, dump, tmp_path):
    peaks = {}
    for number in (30, 300):
        data, out = data_of(dump, tmp_path / f"data{number}", number), tmp_path / f"out{number}"
        # What decides is a batch, of four utterances either way.
        peaks[number] = peak(decoding.words(trained, data, out, seconds=4.0 * SECONDS))
        assert len(read_so_far(out / "parts")) == number
    assert peaks[300] - peaks[30] < 50, peaks
