"""The camera that is not there."""

import time

import numpy as np
import pytest

from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.sources.synthetic import SyntheticCells


def test_a_seed_draws_the_same_frames():
    options = SourceOptions(width=64, height=48, fps=1000)
    first, second, other = ([frame.image for frame in SyntheticCells(options, seed=s, frames=40)] for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[-1])  # it drifts


@pytest.mark.parametrize("wh", [(1, 1), (33, 70), (640, 480)])
def test_any_size(wh):
    source = open_source(f"synthetic://cells?width={wh[0]}&height={wh[1]}&frames=1")
    (frame,) = source
    assert frame.image.shape == (wh[1], wh[0], 3)
    assert (source.fps, source.ended) == (30.0, True)


def test_frames_come_in_their_own_time_and_none_is_caught_up():
    with open_source("synthetic://cells?width=32&height=32&fps=100") as source:
        began = time.perf_counter()
        ids = [source.read().id for _ in range(11)]
        assert time.perf_counter() - began >= 0.1
        time.sleep(0.1)
        source.read()
        began = time.perf_counter()
        ids += [source.read().id for _ in range(5)]
        assert time.perf_counter() - began >= 0.04
    assert ids == [*range(11), *range(12, 17)]
