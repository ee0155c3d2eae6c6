"""Ranks: what a share of the energy needs, and from where on two layers cost more than one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.architecture.low_rank import factors, low_rank, relative_error
from minicompress.architecture.moments import input_moments
from minicompress.architecture.rank import (
    break_even,
    cost,
    energy,
    lost,
    rank_for_energy,
    ranks_by_energy,
    spectrum,
)
from minicompress.counting import layer_macs
from minicompress.errors import RangeError


def test_shares_that_are_met_exactly_need_no_more():
    s = np.array([3.0, 1.0, 1.0, 1.0, 2.0**-30])  # squares 9, 1, 1, 1: 0.75, 0.8333, 0.9167, 1
    assert [rank_for_energy(s, share) for share in (0, 0.75, 0.7500001, 0.9, 0.95, 1)] == [1, 1, 2, 3, 4, 4]
    assert rank_for_energy(np.sqrt([9.0, 1.0]), 0.9) == 1  # 1 - 0.9 is less than 0.1 in floating point
    assert rank_for_energy(np.array([2.0, 1.0, 0.0]), 1) == 2
    assert rank_for_energy(np.zeros(3), 1) == 1


@given(st.integers(0, 99), st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_the_rank_is_the_least_that_keeps_the_share(seed, share):
    s = np.sort(np.random.default_rng(seed).exponential(size=8))[::-1]
    r, kept = rank_for_energy(s, share), np.cumsum(s**2) / np.sum(s**2)
    assert kept[r - 1] >= share - 1e-9 and (r == 1 or kept[r - 2] < share + 1e-9)
    np.testing.assert_allclose(energy(s), kept, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_lost_is_the_squared_relative_error(weighted):
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(5, 7)), rng.uniform(size=(30, 7))
    C = x.T @ x / 30 if weighted else None
    s = spectrum(W, C)
    for r in range(1, 6):
        U, V = factors(W, r, C, grid=0)
        np.testing.assert_allclose(relative_error(W, U @ V, C) ** 2, lost(s)[r - 1], atol=1e-11)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None, max_examples=100)
def test_break_even_is_where_two_layers_begin_to_cost_as_much(M, N):
    r = break_even(M, N)
    assert cost(M, N, r) < M * N <= cost(M, N, r + 1)
    assert M != N or r == (M - 1) // 2


def test_costs_are_those_of_the_layers():
    linear = nn.Linear(784, 300, rng=0, bias=False)
    assert (break_even(300, 784), cost(300, 784, 30)) == (216, 32_520)
    assert sum(p.data.size for p in low_rank(linear, 30).parameters()) == 32_520
    conv, x = nn.Conv2d(8, 16, 3, rng=0, padding=1, bias=False), np.zeros((1, 8, 5, 5))
    for kind, (M, N) in {"channels": (16, 72), "spatial": (48, 24)}.items():
        assert sum(layer_macs(low_rank(conv, 3, conv=kind), x).values()) == 25 * cost(M, N, 3)


def test_ranks_of_a_network_leave_out_what_would_grow():
    rng = np.random.default_rng(0)
    model = nn.Sequential([nn.Linear(20, 30, rng=rng), nn.ReLU(), nn.Linear(30, 4, rng=rng)])
    model.layers[0].weight.become(rng.normal(size=(30, 5)) @ rng.normal(size=(5, 20)))
    assert ranks_by_energy(model, 1) == {"layers.0": 5}
    x = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 20))
    assert ranks_by_energy(model, 1, input_moments(model, x))["layers.0"] == 2
    with pytest.raises(RangeError):
        ranks_by_energy(model, 90)
