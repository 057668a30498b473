"""Whatever happens to a file: its sound as a second reader has it, or one line of refusal."""

import collections

import numpy as np
import pytest

from asr_dro_plugin.audio.files import read
from tests.audio import fuzz

NUM = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fuzz.whole_files(tmp_path_factory.mktemp("whole"))


def test_whole_files_are_confirmed_by_a_second_reader(whole, tmp_path):
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
        assert fuzz.judge(tmp_path / name) == "confirmed", name


def test_broken_files_are_confirmed_or_refused(whole, tmp_path):
    rng, names, verdicts = np.random.default_rng(20), list(whole), collections.Counter()
    for number in range(NUM):
        name = names[number % len(names)]
        kind, content = fuzz.broken(whole[name], rng)
        (tmp_path / name).write_bytes(content)
        verdict = fuzz.judge(tmp_path / name)
        assert verdict in ("confirmed", "refused"), f"{name}, {kind}: {verdict}"
        verdicts[verdict] += 1
    assert min(verdicts.values()) > NUM // 5 and len(verdicts) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.concatenate([x, x[-16000:]]),
        lambda x: np.concatenate([x[:20000], x[18000:]]),
        lambda x: x[6000:],
        lambda x: np.concatenate([x[:20000], x[24000:]]),
        lambda x: np.concatenate([x[24000:], x[:24000]]),
    ],
)
def test_the_judge_sees_what_is_twice_missing_or_elsewhere(whole, tmp_path, change):
    path = tmp_path / "a.mkv"
    path.write_bytes(whole["a.mkv"])
    frames, samples = list(fuzz.frames_of(path)), read(path)[0]
    assert fuzz.compare(samples, frames) == "confirmed"
    assert "are missing" in fuzz.compare(change(samples), frames)


def test_the_judge_lets_silence_pass(whole, tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(whole["a.mkv"])
    frames, samples = list(fuzz.frames_of(path)), read(path)[0]
    cut = len(frames[0]) * 8
    longer = np.concatenate([samples[:cut], np.zeros(5000, np.float32), samples[cut:]])
    assert fuzz.compare(longer, frames) == "confirmed"
