"""Waits that grow, differ, and begin anew."""

import random

from pvt_edge.streams.reader import FIRST_WAIT_S, LONGEST_WAIT_S, PEEK_S, Backoff


def test_waits_double_up_to_the_most():
    backoff = Backoff(random.Random(0))
    waits = [backoff.wait_s() for _ in range(12)]
    for number, wait in enumerate(waits):
        longest = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
        assert longest / 2 <= wait <= longest
    assert waits[-1] == backoff.last_s


def test_no_two_wait_alike():
    waits = {Backoff().wait_s() for _ in range(50)}
    assert len(waits) == 50
    assert max(waits) - min(waits) > FIRST_WAIT_S / 8


def test_a_source_that_holds_starts_anew_and_one_that_flaps_does_not():
    backoff = Backoff(random.Random(0))
    for _ in range(5):
        last = backoff.wait_s()
    backoff.connected_for(last / 2)
    assert backoff.wait_s() > FIRST_WAIT_S
    backoff.connected_for(100.0)
    assert backoff.wait_s() <= FIRST_WAIT_S


def test_restart():
    backoff = Backoff(random.Random(0))
    for _ in range(5):
        backoff.wait_s()
    backoff.restart()
    assert backoff.wait_s() <= FIRST_WAIT_S


def test_peeks_differ():
    backoff = Backoff()
    peeks = {backoff.peek_s() for _ in range(50)}
    assert len(peeks) == 50
    assert all(PEEK_S / 2 <= peek <= PEEK_S for peek in peeks)
