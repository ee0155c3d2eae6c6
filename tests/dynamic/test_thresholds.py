"""Thresholds: shares, budgets and errors come out as asked for, on the samples on which they were chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.dynamic.routing import ALWAYS, NEVER, doubt, entropy
from minicompress.dynamic.thresholds import (
    between,
    cheapest,
    common,
    curve,
    for_shares,
    graded,
    leaves_at,
    power_shares,
    uncertainties,
    within_budget,
)
from minicompress.errors import LabelError, RangeError, ShapeError

RNG = np.random.default_rng(0)
LABELS = np.arange(300) % 4
COSTS = np.array([10, 25, 100])


def outputs(rng=RNG):
    """Logits of three exits, each closer to the labels than the one before."""
    right = np.eye(4)[LABELS]
    return [rng.normal(size=(300, 4)) + strength * right for strength in (1.5, 2.5, 4)]


Z = outputs()
U = uncertainties(Z)


def test_uncertainties_are_those_of_each_exit():
    np.testing.assert_array_equal(uncertainties(Z, doubt), [doubt(z) for z in Z])
    assert U.shape == (3, 300)


def test_the_first_exit_that_is_certain_enough():
    u = np.array([[0.1, 0.9, 0.9, 0.5], [0.9, 0.2, 0.9, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert leaves_at(u, 0.5).tolist() == [0, 1, 2, 0]
    assert leaves_at(u, [0.4, 1.0]).tolist() == [0, 1, 1, 1]
    assert leaves_at(u, NEVER).tolist() == [2] * 4 and leaves_at(u, ALWAYS).tolist() == [0] * 4


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(-1, 14))
def test_a_threshold_between_two_values(values, count):
    t = between(np.array(values, float), count)
    left = int((np.array(values) <= t).sum())
    wanted = min(max(count, 0), len(values))
    ties = wanted > 0 and sorted(values)[wanted - 1] in sorted(values)[wanted:]
    assert left > wanted if ties else left == wanted


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100))
def test_shares_are_geometric(q):
    shares = power_shares(q, 4)
    np.testing.assert_allclose(shares[1:] / shares[:-1], q)
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("shares", [[0.5, 0.3, 0.2], [0, 0, 1], [1, 0, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
def test_as_many_leave_as_asked_for(shares):
    left = leaves_at(U, for_shares(U, shares))
    np.testing.assert_allclose(np.bincount(left, minlength=3) / 300, shares, atol=1e-12)
    stayed = U[0][left > 0]
    assert stayed.size == 0 or (left == 0).sum() == 0 or U[0][left == 0].max() < stayed.min()


def test_ties_leave_together():
    u = np.array([[1.0, 1, 1, 2], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert leaves_at(u, for_shares(u, [0.25, 0.25, 0.5])).tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize("shares", [[0.5, 0.6, -0.1], [0.5, 0.5, 0.5]])
def test_shares_out_of_range(shares):
    with pytest.raises(RangeError):
        for_shares(U, shares)


@pytest.mark.parametrize("family", [common, graded])
def test_candidates_go_from_one_end_to_the_other(family):
    points = curve(Z, LABELS, COSTS, family(U))
    costs = np.array([p.macs for p in points])
    assert min(costs) == 10 and max(costs) == 100
    steps = np.diff(costs)
    assert (steps <= 1e-9).all() or (steps >= -1e-9).all()
    assert np.abs(steps).max() < 3


def test_a_point_is_what_its_thresholds_lead_to():
    for p in curve(Z, LABELS, COSTS, [[0.3, 0.6], 0.1, NEVER]):
        left = leaves_at(U, p.thresholds)
        assert p.macs == pytest.approx(COSTS[left].mean())
        assert p.error == pytest.approx(np.mean([Z[k][n].argmax() != LABELS[n] for n, k in enumerate(left)]))
        np.testing.assert_allclose(p.shares, [np.mean(left == k) for k in range(3)])
    assert curve(Z, LABELS, COSTS, [NEVER])[0].error == np.mean(Z[2].argmax(1) != LABELS)


@pytest.mark.parametrize("family", [common, graded])
@pytest.mark.parametrize("budget", [10, 20, 50, 99])
def test_the_budget_is_kept_and_spent(family, budget):
    points = curve(Z, LABELS, COSTS, family(U))
    assert 0.9 * budget <= within_budget(points, budget).macs <= budget


def test_the_cheapest_of_the_good():
    points = curve(Z, LABELS, COSTS, common(U))
    last = np.mean(Z[2].argmax(1) != LABELS)
    best = cheapest(points, last)
    assert best.error <= last and best.macs < 100
    assert not [p for p in points if p.error <= last and p.macs < best.macs]


def test_what_cannot_be_had_is_said():
    points = curve(Z, LABELS, COSTS, common(U))
    with pytest.raises(RangeError, match="10, the first exit"):
        within_budget(points, 9)
    with pytest.raises(RangeError, match="the least of this curve"):
        cheapest(points, -0.1)
    with pytest.raises(ShapeError):
        curve(Z, LABELS, COSTS, [])
    with pytest.raises(LabelError):
        curve(Z, LABELS + 1, COSTS, [0.5])


def test_the_measure_is_that_of_the_thresholds():
    u = uncertainties(Z, doubt)
    a = curve(Z, LABELS, COSTS, common(u), doubt)
    assert max(p.macs for p in a) == 100 and min(p.macs for p in a) == 10
    assert curve(Z, LABELS, COSTS, [0.5], doubt)[0].macs != curve(Z, LABELS, COSTS, [0.5], entropy)[0].macs
