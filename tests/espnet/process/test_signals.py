"""Signals ask; they never break off a step."""

import multiprocessing
import os
import signal
import subprocess
import threading
import time

import pytest

from asr_dro_plugin.espnet.process.signals import (
    SAVE_SIGNALS,
    STOP_SIGNALS,
    StopRequest,
    leave_signals_to_parent,
    start_workers,
)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_is_remembered_and_said(number, capfd):
    with StopRequest() as request:
        assert request.stop is None
        os.kill(os.getpid(), number)
        assert request.stop == number and not request.save
    assert signal.Signals(number).name in capfd.readouterr().err


@pytest.mark.parametrize("number", SAVE_SIGNALS)
def test_a_save_signal_does_not_stop(number):
    with StopRequest() as request:
        os.kill(os.getpid(), number)
        assert request.stop is None and request.save


def test_the_second_interrupt_stops_at_once():
    with StopRequest() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.stop == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (*STOP_SIGNALS, *SAVE_SIGNALS)]
    with StopRequest():
        pass
    assert [signal.getsignal(number) for number in (*STOP_SIGNALS, *SAVE_SIGNALS)] == before


def test_outside_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with StopRequest():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def worker(ready):
    leave_signals_to_parent()
    ready.set()
    time.sleep(60)


def test_a_loaders_worker_outlives_the_jobs_signals_and_ends_with_its_parents():
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    child = context.Process(target=worker, args=(ready,), daemon=True)
    child.start()
    assert ready.wait(120)
    names = " ".join(str(int(number)) for number in (*STOP_SIGNALS, *SAVE_SIGNALS))
    # Another process sends them: a signal of the parent's own means that it clears up.
    subprocess.run(
        ["bash", "-c", f"for s in {names}; do kill -$s {child.pid}; done; sleep 0.5"], check=True
    )
    assert child.is_alive()
    child.terminate()
    child.join(120)
    assert child.exitcode == 0


class Loader:
    """A loader whose worker is slow to begin."""

    def __init__(self):
        self.context = multiprocessing.get_context("fork")
        self.ready = self.context.Event()

    def work(self):
        time.sleep(0.5)
        worker(self.ready)

    def __iter__(self):
        self.child = self.context.Process(target=self.work, daemon=True)
        self.child.start()
        return iter([1, 2])


def test_a_signal_that_meets_a_worker_before_it_has_begun_does_not_end_it():
    loader = Loader()
    assert list(start_workers(loader)) == [1, 2]
    names = " ".join(str(int(number)) for number in (*STOP_SIGNALS, *SAVE_SIGNALS))
    kill = f"for s in {names}; do kill -$s {loader.child.pid}; done"
    subprocess.run(["bash", "-c", kill], check=True)
    assert loader.ready.wait(120) and loader.child.is_alive()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {*STOP_SIGNALS, *SAVE_SIGNALS}
    loader.child.terminate()
    loader.child.join(120)
    assert loader.child.exitcode == 0
