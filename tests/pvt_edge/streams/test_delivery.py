"""Sinks that are slow, fail and hang, beside others that must not notice."""

import logging
import threading
from contextlib import suppress
from time import monotonic

import numpy as np
import pytest

from pvt_edge.errors import DataError, PvtEdgeError
from pvt_edge.results import Boxes, FrameInfo, Result, StreamInfo
from pvt_edge.sinks import Sink
from pvt_edge.streams import Delivery
from pvt_edge.streams import delivery as module


def result(number, stream=0, hw=(8, 8)):
    frame = FrameInfo(number, stream=StreamInfo(stream, f"camera {stream}"))
    return Result(np.zeros((*hw, 3), np.uint8), ("RBC",), boxes=Boxes(np.zeros((0, 4)), [], []), frame=frame)


class Recorder(Sink):
    """Keeps the frames' numbers. Waits in each `write` for `gate`; raises `error` at the frame `fails_at`."""

    def __init__(self, target="recorder", *, gate=None, fails_at=None, error=None, grace_s=10.0, newest_only=False):
        self.target = target
        self.gate, self.fails_at, self.error = gate, fails_at, error or DataError("the recorder broke")
        self.grace_s, self.newest_only = grace_s, newest_only
        self.got, self.closed, self.begun = [], 0, threading.Event()

    def write(self, result):
        self.begun.set()
        if self.gate is not None:
            self.gate.wait()
        if result.frame.id == self.fails_at:
            raise self.error
        self.got.append(result.frame.id)

    def close(self):
        self.closed += 1


@pytest.fixture
def gate():
    """Opened at the latest when the test ends, so that no thread is left."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.WARNING, "pvt_edge.streams")
    return caplog


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("pvt-edge sink"):
            thread.join(5)
            assert not thread.is_alive(), thread.name


@pytest.mark.parametrize("live", [True, False])
def test_nothing_to_deliver_and_nobody_to_deliver_to(live):
    sink = Recorder()
    with Delivery([sink], live=live):
        pass
    assert (sink.got, sink.closed) == ([], 1)
    with Delivery([], live=live) as delivery:
        delivery.put(result(0))
    assert (delivery.useless, delivery.failures, delivery.losses) == (False, [], {})


def test_every_frame_of_a_file_arrives_in_order_in_every_sink(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    sinks = [Recorder(), Recorder(), Recorder()]
    with Delivery(sinks, live=False) as delivery:
        for number in range(200):
            delivery.put(result(number))
    assert [sink.got for sink in sinks] == [list(range(200))] * 3
    assert [sink.closed for sink in sinks] == [1, 1, 1]
    assert delivery.losses == {}


def test_a_file_waits_for_a_slow_sink(monkeypatch, gate):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    slow, put = Recorder(gate=gate), []

    def run():
        for number in range(10):
            delivery.put(result(number))
            put.append(number)

    with Delivery([slow], live=False) as delivery:
        runner = threading.Thread(target=run)
        runner.start()
        runner.join(0.3)
        assert len(put) == 4  # one is being written, three wait
        gate.set()
        runner.join()
    assert slow.got == list(range(10))


def test_a_live_stream_does_not_wait_for_a_slow_sink(monkeypatch, gate):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    slow, quick = Recorder("slow", gate=gate), Recorder("quick")
    with Delivery([slow, quick], live=True) as delivery:
        delivery.put(result(0))
        assert slow.begun.wait(10)
        for number in range(1, 100):
            delivery.put(result(number))
            while len(quick.got) <= number:  # the gate is shut: this ends only if nobody waits for `slow`
                pass
        gate.set()
    assert quick.got == list(range(100))
    assert slow.got == [0, 97, 98, 99]  # the newest are kept
    assert delivery.losses == {"slow": 96}


def test_what_waits_is_bounded_by_its_bytes(monkeypatch, gate):
    monkeypatch.setattr(module, "WAITING_BYTES", 5 * 100 * 100 * 3)
    slow = Recorder(gate=gate)
    with Delivery([slow], live=True) as delivery:
        delivery.put(result(0, hw=(100, 100)))
        assert slow.begun.wait(10)
        for number in range(1, 50):
            delivery.put(result(number, hw=(100, 100)))
        gate.set()
    assert slow.got == [0, 45, 46, 47, 48, 49]


def test_who_wants_the_newest_gets_the_newest_of_each_stream(gate):
    viewer = Recorder(gate=gate, newest_only=True)
    with Delivery([viewer], live=False) as delivery:
        delivery.put(result(0))
        assert viewer.begun.wait(10)
        for number in range(1, 20):
            delivery.put(result(number, stream=0))
            delivery.put(result(100 + number, stream=1))
        gate.set()
    assert viewer.got == [0, 19, 119]
    assert delivery.losses == {}  # nobody misses them


@pytest.mark.parametrize("live", [True, False])
def test_a_sink_that_fails_is_told_once_and_the_others_go_on(log, live):
    bad, good = Recorder(fails_at=3), Recorder()
    with Delivery([bad, good], live=live) as delivery:
        for number in range(20):
            delivery.put(result(number))
    assert (bad.got, bad.closed) == ([0, 1, 2], 1)
    assert good.got == list(range(20))
    assert [str(error) for error in delivery.failures] == ["the recorder broke"]
    assert [record.message for record in log.records] == ["the recorder broke"]
    assert not delivery.useless


def test_a_sinks_mistake_is_an_error_of_that_sink(log):
    bad, good = Recorder(fails_at=0, error=ZeroDivisionError("by zero")), Recorder()
    with Delivery([bad, good], live=True) as delivery:
        delivery.put(result(0))
    assert good.got == [0]
    assert [str(error) for error in delivery.failures] == ["recorder: unexpected ZeroDivisionError: by zero"]


def test_a_sink_that_cannot_be_finished_is_told(log):
    class Unfinished(Recorder):
        def close(self):
            raise DataError("cannot finish")

    with Delivery([Unfinished()], live=True) as delivery:
        delivery.put(result(0))
    assert [str(error) for error in delivery.failures] == ["cannot finish"]


def test_a_run_whose_sinks_have_all_failed_is_useless(log, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    with Delivery([Recorder(fails_at=0), Recorder(fails_at=1)], live=False) as delivery:
        for number in range(50):  # put waits for nobody then
            delivery.put(result(number))
        assert delivery.useless


def test_who_reads_standard_output_and_goes_ends_the_run(log):
    def run():
        for number in range(1000):
            delivery.put(result(number))
            stopped.wait(0.01)

    stopped = threading.Event()
    delivery = Delivery([Recorder(fails_at=2, error=BrokenPipeError())], live=True)
    with delivery, pytest.raises(BrokenPipeError):
        run()
    assert log.records == []


def test_a_file_waits_for_no_sink_that_is_not_healthy(monkeypatch, gate):
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    class Failing(Recorder):
        healthy = False

    sink = Failing(gate=gate)
    with Delivery([sink], live=False) as delivery:
        delivery.put(result(0))
        assert sink.begun.wait(10)
        for number in range(1, 100):
            delivery.put(result(number))
        gate.set()
    assert sink.got == [0, 97, 98, 99]


def test_the_end_of_a_live_run_waits_only_so_long(monkeypatch, gate, log):
    monkeypatch.setattr(module, "GIVE_UP_S", 0.1)

    class Hanging(Recorder):
        def give_up(self):
            gate.set()

    never = threading.Event()
    polite, stubborn = Hanging("polite", gate=gate, grace_s=0.2), Recorder("stubborn", gate=never, grace_s=0.2)
    with Delivery([polite, stubborn], live=True) as delivery:
        for number in range(5):
            delivery.put(result(number))
        assert polite.begun.wait(10)
        assert stubborn.begun.wait(10)
    never.set()
    assert (polite.got, polite.closed) == ([0], 1)  # what hung was broken off; the rest is dropped
    assert delivery.losses == {"polite": 4}
    assert [str(error) for error in delivery.failures] == ["stubborn hangs and was left unfinished"]


def test_a_files_run_is_written_to_its_end_however_long_that_takes(gate):
    slow = Recorder(gate=gate, grace_s=0.0)
    threading.Timer(0.5, gate.set).start()
    with Delivery([slow], live=False) as delivery:
        for number in range(5):
            delivery.put(result(number))
    assert slow.got == [0, 1, 2, 3, 4]


def test_a_second_ctrl_c_waits_for_nobody(gate, monkeypatch, log):
    monkeypatch.setattr(module, "GIVE_UP_S", 0.1)
    slow, began = Recorder(gate=gate), monotonic()
    delivery = Delivery([slow], live=False)
    with suppress(KeyboardInterrupt), delivery:
        delivery.put(result(0))
        raise KeyboardInterrupt
    assert monotonic() - began < slow.grace_s
    assert [type(error) for error in delivery.failures] == [PvtEdgeError]
    gate.set()


def test_who_has_something_to_do_between_results_does_it():
    class Pumping(Recorder):
        idle_every_s = 0.01
        idled = threading.Event()

        def idle(self):
            self.idled.set()

    sink = Pumping()
    with Delivery([sink], live=True):
        assert sink.idled.wait(10)
    assert sink.got == []
