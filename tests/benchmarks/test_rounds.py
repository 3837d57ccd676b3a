"""Everyone has a turn in every round, in an order that the seed draws; who fails leaves the rest alone."""

import pytest

from pvt_edge.benchmarks.timing import Turn, run_rounds


def contestants(names, log, failing=None, after=3):
    """Each logs its turns and gives their numbers as samples; `failing` raises in its turn `after`."""
    counts = dict.fromkeys(names, 0)

    def of(name):
        def turn(seconds):
            log.append((name, seconds))
            counts[name] += 1
            if name == failing and counts[name] == after:
                raise RuntimeError("the device went away\nat line 5")
            return Turn([float(counts[name])] * 2, [], seconds)

        return turn

    return {name: of(name) for name in names}


def test_nobody_and_no_round():
    assert run_rounds({}, rounds=3, slice_s=0.1, seed=0) == {}
    (track,) = run_rounds(contestants(["a"], []), rounds=0, slice_s=0.1, seed=0).values()
    assert (track.turns, track.whole.samples_ms, track.error) == (0, [], None)


def test_every_round_holds_everyone_once():
    log = []
    tracks = run_rounds(contestants("abcd", log), rounds=6, slice_s=0.25, seed=1)
    rounds = [[name for name, _ in log[i : i + 4]] for i in range(0, len(log), 4)]
    assert len(rounds) == 6
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len({tuple(one) for one in rounds}) > 2, "the order must change"
    assert {seconds for _, seconds in log} == {0.25}
    assert all(track.turns == 6 and track.whole.seconds == pytest.approx(1.5) for track in tracks.values())
    assert tracks["c"].whole.samples_ms == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_the_seed_decides_the_order():
    orders = []
    for seed in (3, 3, 4):
        log = []
        run_rounds(contestants("abcde", log), rounds=4, slice_s=0.1, seed=seed)
        orders.append([name for name, _ in log])
    assert orders[0] == orders[1] != orders[2]


def test_warm_up_is_not_counted():
    log = []
    tracks = run_rounds(contestants("ab", log), rounds=2, slice_s=0.1, seed=0, warmup_s=0.7)
    assert log[:2] == [("a", 0.7), ("b", 0.7)]
    assert tracks["a"].whole.samples_ms == [2, 2, 3, 3]
    assert tracks["a"].turns == 2


@pytest.mark.parametrize(("after", "warmup_s", "kept"), [(1, 0.1, []), (3, 0.1, [2, 2]), (3, 0, [1, 1, 2, 2])])
def test_one_that_fails_keeps_what_it_did_and_the_others_go_on(after, warmup_s, kept):
    log = []
    tracks = run_rounds(
        contestants("abc", log, failing="b", after=after), rounds=5, slice_s=0.1, seed=0, warmup_s=warmup_s
    )
    assert tracks["b"].error == "the device went away; at line 5"
    assert tracks["b"].whole.samples_ms == kept
    assert [name for name, _ in log].count("b") == after
    assert tracks["a"].error is tracks["c"].error is None
    assert tracks["a"].turns == tracks["c"].turns == 5


def test_between_and_tell_are_called_for_each_turn():
    heard, told = [], []
    run_rounds(
        contestants("ab", [], failing="a", after=2),
        rounds=3,
        slice_s=0.1,
        seed=0,
        between=lambda: heard.append(1),
        on_step=told.append,
    )
    assert (len(told), len(heard)) == (6, 5)  # a has no third turn, and the bar goes on
