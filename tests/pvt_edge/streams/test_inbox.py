"""Fairness, order and what is dropped."""

import threading
from collections import Counter

import pytest

from pvt_edge.streams.inbox import Inbox


def box(inbox, *, live=True, depth=2):
    dropped = []
    return inbox.add(live=live, depth=depth, on_drop=dropped.append), dropped


def test_without_streams_there_is_nothing():
    assert Inbox().take(1) == []


def test_the_newest_of_a_live_stream_wins():
    inbox = Inbox()
    live, dropped = box(inbox)
    for item in range(5):
        inbox.put(live, item)
    assert inbox.take(3) == [4]
    assert sum(dropped) == 4


def test_a_file_gives_everything_in_order_and_waits_for_room():
    inbox = Inbox()
    file, dropped = box(inbox, live=False, depth=2)

    def fill():
        for item in range(50):
            inbox.put(file, item)
        inbox.end(file)

    thread = threading.Thread(target=fill)
    thread.start()
    taken = []
    while items := inbox.take(3):
        assert len(file.items) <= 2
        taken += items
    thread.join()
    assert taken == list(range(50))
    assert dropped == []


def test_streams_take_turns():
    inbox = Inbox()
    boxes = [box(inbox, live=False, depth=9)[0] for _ in range(3)]
    for i, one in enumerate(boxes):
        for item in range(3):
            inbox.put(one, f"{i}{item}")
    assert [inbox.take(2) for _ in range(4)] == [["00", "10"], ["20", "01"], ["11", "21"], ["02", "12"]]
    assert inbox.take(9) == ["22"]


def test_a_fast_stream_does_not_starve_a_slow_one():
    inbox = Inbox()
    fast, slow = (box(inbox)[0] for _ in range(2))
    served = Counter()
    for number in range(100):
        inbox.put(fast, "fast")
        if number % 2:
            inbox.put(slow, "slow")
        served.update(inbox.take(1))
    assert served["slow"] >= 45


def test_fill_waits_until_there_are_enough_or_no_more():
    inbox = Inbox()
    file, _ = box(inbox, live=False, depth=9)
    timer = threading.Timer(0.1, lambda: [inbox.put(file, item) for item in (1, 2)])
    inbox.put(file, 0)
    timer.start()
    assert inbox.take(3, fill=True) == [0, 1, 2]
    inbox.put(file, 3)
    timer = threading.Timer(0.1, inbox.end, [file])
    timer.start()
    assert inbox.take(3, fill=True) == [3]
    assert inbox.take(3, fill=True) == []
    timer.join()


def test_what_was_left_is_given_after_the_end():
    inbox = Inbox()
    live, _ = box(inbox)
    inbox.put(live, 1)
    inbox.end(live)
    assert inbox.take(1) == [1]
    assert inbox.take(1) == []


@pytest.mark.parametrize("waits_for", ["take", "room"])
def test_close_sends_everyone_home(waits_for):
    inbox = Inbox()
    file, _ = box(inbox, live=False, depth=1)
    if waits_for == "room":
        inbox.put(file, 1)
        thread = threading.Thread(target=inbox.put, args=(file, 2))
    else:
        thread = threading.Thread(target=inbox.take, args=(1,))
    thread.start()
    inbox.close()
    thread.join(10)
    assert not thread.is_alive()
    assert inbox.take(1) == []
    inbox.put(file, 3)  # is lost, and does not wait
