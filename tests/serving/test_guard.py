import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.serving.guard import Guard, Refused
from tests.serving import bombs
from tests.sounds import encode, noise

PROGRAM = """
import json, os, resource, sys, time
import av, numpy, soundfile, soxr
from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.serving.guard import Guard
from tests.sounds import noise, encode
guard = Guard(4 * 3600.0)
def attempt(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.unlink(path)
    try:
        with guard.open(descriptor) as blocks:
            return f"read {sum(map(len, blocks))} samples"
    except AudioError as error:
        return str(error)
    finally:
        os.close(descriptor)
def size(name):
    lines = [line for line in open("/proc/self/status") if line.startswith(name)]
    return int(lines[0].split()[1])
attempt(sys.argv[1])  # what is loaded once
for path in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before, begun = size("VmRSS"), time.process_time()
    said = attempt(path)
    peak = (size("VmHWM") - before) / 1024
    print(json.dumps([os.path.basename(path), said, time.process_time() - begun, peak]))
"""


def test_bombs_are_refused_within_a_second_and_64_mb(tmp_path):
    contents = bombs.all_of(tmp_path)
    (tmp_path / "warm").write_bytes(bombs.wav())
    for number, content in enumerate(contents.values()):
        (tmp_path / str(number)).write_bytes(content)
    paths = [str(tmp_path / name) for name in ("warm", *map(str, range(len(contents))))]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    names, lines = list(contents), [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(names)
    wrong = []
    for name, (_, said, seconds, megabytes) in zip(names, lines, strict=True):
        is_read = said.startswith("read") and name not in bombs.AS_LONG_AS_THEY_ARE
        if is_read or "\n" in said or seconds > 1 or megabytes > 64:
            wrong.append((name, said, round(seconds, 2), round(megabytes)))
        assert str(tmp_path) not in said and "/proc" not in said
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ({"rate": 7999}, "unsupported_sample_rate"),
        ({"rate": 192001}, "unsupported_sample_rate"),
        ({"channels": 9}, "unsupported_channels"),
        ({"content": bytes(2 * 16000 * 11)}, "audio_too_long"),
    ],
)
def test_each_limit_has_a_word_of_its_own(tmp_path, sizes, code):
    (tmp_path / "a.wav").write_bytes(bombs.wav(**sizes))
    with (tmp_path / "a.wav").open("rb") as file, pytest.raises(Refused) as refusal:
        Guard(10.0).open(file.fileno())
    assert refusal.value.code == code
    assert refusal.value.status == (413 if code == "audio_too_long" else 400)


@pytest.mark.parametrize("sizes", [{"rate": 8000}, {"rate": 192000}, {"channels": 8}])
def test_what_is_just_within_the_limits_is_read(tmp_path, sizes):
    (tmp_path / "a.wav").write_bytes(bombs.wav(**sizes))
    with (tmp_path / "a.wav").open("rb") as file, Guard(10.0).open(file.fileno()) as blocks:
        assert sum(map(len, blocks)) > 0


def test_what_no_header_tells_is_counted(tmp_path):
    path = encode(tmp_path / "a.mp3", noise(70.0), 16000, "libmp3lame", options={"write_xing": "0"})
    with path.open("rb") as file, Guard(60.0).open(file.fileno()) as blocks:
        assert blocks.duration is None
        with pytest.raises(Refused, match="longer than 60 s"):
            list(blocks)
        assert 60 < blocks.seconds < 62


def test_a_last_page_that_lies_gains_no_time(tmp_path):
    (tmp_path / "a.opus").write_bytes(bombs.hours_of_opus(tmp_path, 0.1, is_honest=False))
    with (tmp_path / "a.opus").open("rb") as file, Guard(60.0).open(file.fileno()) as blocks:
        assert sum(map(len, blocks)) < 2 * 16000


def test_one_recording_is_read_twice_from_its_beginning(tmp_path):
    """A second try has the same descriptor, whose place the first one must not have moved."""
    soundfile.write(tmp_path / "a.wav", noise(2.0), 16000)
    with (tmp_path / "a.wav").open("rb") as file:
        made = []
        for _ in range(2):
            with Guard(60.0).open(file.fileno()) as blocks:
                made.append(np.concatenate(list(blocks)))
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
    np.testing.assert_array_equal(*made)


def test_what_a_decoder_does_not_expect_is_the_audios_fault(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(2.0), 16000)

    def fails(self, *_args, **_kwargs):
        raise MemoryError("cannot allocate")

    monkeypatch.setattr(soundfile.SoundFile, "read", fails)
    refused = pytest.raises(AudioError, match=r"The recording cannot be read \(MemoryError\)")
    with (
        (tmp_path / "a.wav").open("rb") as file,
        Guard(60.0).open(file.fileno()) as blocks,
        refused,
    ):
        list(blocks)
