"""Signals of a real process."""

import signal
import subprocess
import sys
import threading

import pytest

from pvt_edge.streams.service import stop_on_signals

PATIENT = """
import os, signal, sys, threading
from pvt_edge.streams.service import stop_on_signals

number = signal.Signals[sys.argv[1]]
before, stopped = signal.getsignal(number), threading.Event()
with stop_on_signals(stopped.set) as signals:
    assert signals == []
    os.kill(os.getpid(), number)
    assert stopped.wait(10)
    assert signals == [number]
    if number == signal.SIGTERM:
        os.kill(os.getpid(), number)  # only stops again
        assert signals == [number, number]
assert signal.getsignal(number) is before
"""

IMPATIENT = """
import os, signal, threading
from pvt_edge.streams.service import stop_on_signals

calls = []
with stop_on_signals(lambda: calls.append("stop"), hurry=lambda: calls.append("hurry")) as signals:
    os.kill(os.getpid(), signal.SIGINT)
    assert (calls, signals) == (["stop"], [signal.SIGINT])
    try:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(10)
    except KeyboardInterrupt:
        print(calls, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(10)
print("not reached")
"""


@pytest.fixture
def run(tmp_path):
    """Runs the code in a process of its own, as other libraries have a hand in the signals of this one."""

    def run_code(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)

    return run_code


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_and_the_handlers_are_as_before(run, name):
    done = run(PATIENT, name)
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_second_ctrl_c_hurries_and_the_third_kills(run):
    done = run(IMPATIENT)
    assert (done.stdout, done.returncode) == ("['stop', 'hurry']\n", -signal.SIGINT)


def test_another_thread_takes_no_signals():
    before, given = signal.getsignal(signal.SIGINT), []

    def stop():
        with stop_on_signals(lambda: None) as signals:
            given.append((signals, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=stop)
    thread.start()
    thread.join()
    assert given == [([], before)]
