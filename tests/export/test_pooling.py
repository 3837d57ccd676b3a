"""Pooling at fixed sizes against PyTorch's adaptive pooling, and against the training form's windows."""

import pytest
import torch
import torch.nn.functional as F

from pvt_edge.export.deploy.pooling import FixedPool, Spread, WindowPool, pooling_matrix, window_matrix
from pvt_edge.models.pvt_v2 import pool_tokens, spread_tokens

from .made import noise

SIZES = [
    *((7, 7), (8, 8), (13, 13), (14, 28), (15, 20), (16, 16), (20, 20), (50, 84), (100, 168)),
    *((1, 1), (3, 3), (1, 3), (3, 20), (20, 2), (6, 8)),  # smaller than the grid: pixels repeat
]


@pytest.mark.parametrize("size", SIZES)
def test_equals_adaptive_pooling(size):
    tokens = noise(2, size[0] * size[1], 5)
    grid = tokens.transpose(1, 2).unflatten(2, size)  # (B, C, H, W)
    expected = F.adaptive_avg_pool2d(grid, 7).flatten(2).transpose(1, 2)
    found = FixedPool(*(pooling_matrix(side, 7) for side in size), tokens)(tokens)
    assert found.shape == (2, 49, 5)
    assert (found - expected).abs().max() < 1e-12


def test_a_matrix_by_hand():
    third = 1 / 3
    assert pooling_matrix(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    assert pooling_matrix(5, 2).tolist() == [[third, third, third, 0, 0], [0, 0, third, third, third]]
    assert pooling_matrix(1, 3).tolist() == [[1], [1], [1]]


@pytest.mark.parametrize("side", [1, 3, 7, 8, 13, 50, 84, 1000])
def test_rows_add_up_to_one(side):
    # what lets a LayerNorm's shift pass through the pool
    assert pooling_matrix(side, 7).sum(dim=1).tolist() == pytest.approx([1] * 7, abs=1e-12)


def test_takes_the_precision_of_what_it_is_like():
    matrix = pooling_matrix(3, 7)
    assert FixedPool(matrix, matrix, torch.zeros(1)).rows.dtype == torch.float32
    assert FixedPool(matrix, matrix, torch.zeros(1).half())(torch.ones(1, 9, 2).half()).dtype == torch.float16


def test_windows_by_hand():
    third = 1 / 3
    assert window_matrix(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    assert window_matrix(5, 3).tolist() == [[third, third, third, 0, 0], [0, 0, 0, 0.5, 0.5]]
    assert window_matrix(3, 3).tolist() == [[third, third, third]]


@pytest.mark.parametrize("map_hw", [(2, 2), (2, 3), (15, 20), (16, 24), (7, 7), (25, 42), (41, 83)])
def test_windows_and_back(map_hw):
    tokens = noise(2, map_hw[0] * map_hw[1], 3)
    for side in range(2, min(map_hw) + 1):
        wanted, *small_hw = pool_tokens(tokens, *map_hw, side)
        pool = WindowPool(map_hw, side, noise(5, 3))  # a weight that reads 3 channels
        found = pool(tokens.transpose(1, 2).unflatten(2, map_hw))
        assert found.shape[2:] == pool.map_hw == tuple(small_hw)
        assert (found.flatten(2).transpose(1, 2) - wanted).abs().max() < 1e-12
        back = Spread(map_hw, side)(found).flatten(2).transpose(1, 2)
        assert (back - spread_tokens(wanted, *map_hw, side)).abs().max() < 1e-12
