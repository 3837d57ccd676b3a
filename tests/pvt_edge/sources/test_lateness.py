"""How late frames are, by two clocks that have no common beginning."""

import pytest

from pvt_edge.sources.video_frames import CLOCK_JUMP_S, WINDOW_S, Lateness


def told(pairs):
    lateness = Lateness()
    return [round(lateness.now_s(sent, now), 3) for sent, now in pairs]


@pytest.mark.parametrize(
    ("pairs", "late"),
    [
        ([], []),
        ([(None, 1.0)], [0.0]),
        ([(0.0, 100.0), (1.0, 101.0), (2.0, 102.0)], [0.0, 0.0, 0.0]),
        ([(0.0, 100.0), (1.0, 101.5), (2.0, 103.0), (3.0, 103.0)], [0.0, 0.5, 1.0, 0.0]),  # a queue grows and empties
        ([(0.0, 105.0), (1.0, 105.1), (5.0, 105.2), (6.0, 107.0)], [0.0, 0.0, 0.0, 0.8]),  # it was there before
        ([(0.0, 100.0), (CLOCK_JUMP_S + 50, 101.0), (CLOCK_JUMP_S + 51, 102.0)], [0.0, 0.0, 0.0]),  # it was set
        ([(500.0, 100.0), (0.0, 101.0), (1.0, 102.2)], [0.0, 0.0, 0.2]),  # or counts anew
    ],
)
def test_lateness(pairs, late):
    assert told(pairs) == late


def test_drifting_clocks_do_not_add_up():
    lateness = Lateness()
    day = [lateness.now_s(float(second), second * (1 + 50e-6)) for second in range(0, 86_400, 5)]
    assert max(day) <= 2 * WINDOW_S * 50e-6 + 5 * 50e-6


def test_a_queue_is_seen_though_it_grows_slowly():
    lateness = Lateness()
    late = [lateness.now_s(second, second * 1.05) for second in range(300)]
    assert late[20] == pytest.approx(1.0)
    assert min(late[60:]) > 1.0
