"""Signals of a real process."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from pvt_edge.streams.stopping import stop_on_signals

ONE_SIGNAL = [signal.SIGINT, signal.SIGTERM]

IMPATIENT = """
import os, signal, threading
from pvt_edge.streams.stopping import stop_on_signals

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


@pytest.mark.parametrize("number", ONE_SIGNAL)
def test_a_signal_stops_and_the_handlers_are_as_before(number):
    before, stopped = signal.getsignal(number), threading.Event()
    with stop_on_signals(stopped.set) as signals:
        assert signals == []
        os.kill(os.getpid(), number)
        assert stopped.wait(10)
        assert signals == [number]
    assert signal.getsignal(number) is before


def test_a_second_sigterm_only_stops_again():
    calls = []
    with stop_on_signals(lambda: calls.append(1)) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals == [signal.SIGTERM] * 2
    assert len(calls) == 2


def test_the_second_ctrl_c_hurries_and_the_third_kills():
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("['stop', 'hurry']\n", -signal.SIGINT)


def test_another_thread_takes_no_signals():
    before, given = signal.getsignal(signal.SIGINT), []

    def run():
        with stop_on_signals(lambda: None) as signals:
            given.append((signals, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert given == [([], before)]
