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
    assert ready.wait(20)
    names = " ".join(str(int(number)) for number in (*STOP_SIGNALS, *SAVE_SIGNALS))
    # Another process sends them: a signal of the parent's own means that it clears up.
    subprocess.run(
        ["bash", "-c", f"for s in {names}; do kill -$s {child.pid}; done; sleep 0.5"], check=True
    )
    assert child.is_alive()
    child.terminate()
    child.join(20)
    assert child.exitcode == 0
