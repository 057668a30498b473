"""onnxruntime under what has broken others: forks, threads, many lengths, too little memory."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from asr_dro_plugin.runtime import Recogniser
from asr_dro_plugin.runtime.folder import open_folder
from asr_dro_plugin.runtime.session import OnnxRecogniser, open_session
from tests.export.onnx.exps import speech

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import os, resource, sys
import numpy as np
from asr_dro_plugin.runtime.folder import open_folder
from asr_dro_plugin.runtime.session import OnnxRecogniser
from asr_dro_plugin.transcribing.abs_recogniser import OutOfMemory

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

before = status("Threads")
recogniser = OnnxRecogniser(open_folder(sys.argv[1]), threads=int(sys.argv[2]))
noise = np.random.default_rng(0).standard_normal(1 << 24, np.float32)
"""
FORKED = """
expected = recogniser.emission([noise[:80000]]).log_probs
child = os.fork()
if not child:
    same = np.array_equal(recogniser.emission([noise[:80000]]).log_probs, expected)
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
VARYING = """
lengths = np.random.default_rng(1).integers(5000, 100_000, 300)
for number, length in enumerate(lengths):
    recogniser.emission([noise[:length]])
    if number == 100:
        middle = status("VmRSS")
print(status("VmRSS") - middle, status("Threads") - before)
"""
LITTLE = """
limit = status("VmData") * 1024 + (100 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    recogniser.emission([noise])
    print("there was enough")
except OutOfMemory:
    print(recogniser.emission([noise[:80000]]).log_probs.shape[1])
"""


def said(program, folder, threads=1):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, str(folder), str(threads)], cwd=ROOT,
        capture_output=True, text=True, timeout=60, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_process_that_was_forked_opens_a_session_of_its_own(exported, threads):
    assert said(FORKED, exported, threads) == ["0"]


def test_memory_does_not_grow_with_lengths_and_threads_are_those_asked_for(exported):
    kilobytes, threads = map(int, said(VARYING, exported, 1))
    assert kilobytes < 4000 and threads <= 1  # onnxruntime has one of its own


def test_too_little_memory_is_said_and_less_is_computed_all_the_same(exported):
    assert said(LITTLE, exported) == ["126"]


def test_one_recogniser_serves_several_threads(exported):
    recogniser = Recogniser(exported, threads=2)
    talks = [speech(16000 * (1 + number % 5), seed=number) for number in range(12)]
    alone = [recogniser.transcribe(talk) for talk in talks]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recogniser.transcribe, talks)) == alone


def test_a_batch_says_what_each_says_alone(exported):
    recogniser = OnnxRecogniser(open_folder(exported))
    talks = [speech(16000 * length, seed=length) for length in (1, 3, 2)]
    together = recogniser.emission(talks)
    for row, talk in enumerate(talks):
        alone = recogniser.emission([talk])
        length = int(alone.lengths[0])
        assert length == together.lengths[row]
        difference = np.abs(together.log_probs[row, :length] - alone.log_probs[0])
        assert difference.max() < 1e-5


def test_the_bytes_of_a_model_are_not_kept_beside_it(exported):
    data = (exported / "model.onnx").read_bytes()
    before = sys.getrefcount(data)
    session = open_session(data, 1, "a model")
    assert sys.getrefcount(data) == before and session
