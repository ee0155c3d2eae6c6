"""Scratch or pruned: the cuts, the budgets, the random starts, and that every arm is what its name says."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.counting import layer_macs
from minicompress.errors import RangeError, StateError
from minicompress.lottery.rethinking import (
    ARMS,
    ORIGINAL,
    QUARTER,
    SCRATCH_2E,
    SCRATCH_B,
    SCRATCH_E,
    TUNED,
    against_random,
    find_units,
    find_weights,
    fresh,
    matched_epochs,
    multiplications,
    scratch_or_tune,
)
from minicompress.lottery.tickets import densities, masked
from minicompress.nn import SGD, BatchNorm, Conv2d, Flatten, Linear, ReLU, Sequential, predict, train
from minicompress.pruning.masks import Scatter

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > X[:, 1]).astype(int)
IMAGES = np.random.default_rng(1).random((5, 1, 6, 6))


def mlp(seed):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(6, 8, rng=rng), ReLU(), Linear(8, 4, rng=rng), ReLU(), Linear(4, 2, rng=rng)])


def cnn(seed):
    rng = np.random.default_rng(seed)
    return Sequential([Conv2d(1, 4, 3, rng=rng, padding=1), BatchNorm(4), ReLU(), Conv2d(4, 6, 3, rng=rng, stride=2),
                       ReLU(), Flatten(), Linear(24, 3, rng=rng)])


def fit(model, epochs):
    for _ in train(model, SGD(model.parameters(), 0.1), (X, Y), epochs=epochs, rng=0, batch=10, progress=False):
        pass


def macs(model):
    return layer_macs(model, X)


def same(one, other):
    a, b = one.state(), other.state()
    return list(a) == list(b) and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("build", [mlp, cnn])
def test_a_fresh_network_is_what_its_constructor_draws(build):
    """So the random start has the distribution of the original one, and nothing of the training is left."""
    trained = build(3)
    for p in trained.parameters():
        p.data += 1
    for layer in trained.layers:
        if isinstance(layer, BatchNorm):
            layer.mean += 1
            layer.variance += 1
    before = copy.deepcopy(trained)
    assert same(fresh(trained, 5), build(5)) and same(trained, before)
    assert same(fresh(trained, 5, scaled=True), build(5)), "without a mask there is nothing to scale"


def test_a_fresh_network_keeps_its_masks_and_scales_for_what_they_keep():
    model = mlp(0)
    find_weights(0.75)(model)(model)
    plain, scaled = fresh(model, 1), fresh(model, 1, scaled=True)
    assert same(plain, masked(mlp(1), [w.parametrizations[0].mask for w in model.weights()]))
    for w, a, b in zip(model.weights(), plain.weights(), scaled.weights(), strict=True):
        left = np.count_nonzero(w.parametrizations[0].mask)
        assert left == w.data.size - round(0.75 * w.data.size)
        np.testing.assert_allclose(b.data, a.data * np.sqrt(w.data.size / left), rtol=1e-12)


def test_other_parametrizations_are_refused():
    model = mlp(0)
    mask = np.ones((8, 6), bool)
    model.layers[0].weight.become(np.ones(48), [Scatter(mask)])
    with pytest.raises(StateError, match="masked"):
        fresh(model, 0)
    with pytest.raises(StateError, match="masked"):
        multiplications(model, macs(model))


def test_weights_are_cut_by_magnitude_not_by_value():
    model = Sequential([Linear(4, 1, rng=0)])
    model.layers[0].weight.data[...] = [[-4, 3, -2, 1]]
    find_weights(0.5)(model)(model)
    assert model.layers[0].weight.forward().tolist() == [[-4, 3, 0, 0]]


def test_a_cut_takes_the_same_units_from_every_network():
    trained, other = mlp(0), mlp(1)
    norms = np.abs(trained.layers[0].weight.data).sum(1)
    left = np.sort(np.argsort(-norms, kind="stable")[:4])
    start = other.layers[0].weight.data.copy()
    cut = find_units(0.5)(trained)
    cut(other)
    assert [w.shape for w in other.weights()] == [(4, 6), (2, 4), (2, 2)]
    assert np.array_equal(other.layers[0].weight.data, start[left])
    assert trained.layers[0].weight.shape == (8, 6)


def test_filters_are_cut_and_multiplications_fall():
    model = cnn(0)
    large = multiplications(model, layer_macs(model, IMAGES))
    assert large == 36 * 9 * 4 + 4 * 9 * 4 * 6 + 24 * 3
    find_units(0.5)(model)(model)
    assert multiplications(model, layer_macs(model, IMAGES)) == 36 * 9 * 2 + 4 * 9 * 2 * 3 + 12 * 3
    assert predict(model, IMAGES).shape == (5, 3)


def test_the_ledger_counts_zeros_and_multiplications_do_not():
    model = mlp(0)
    find_weights(0.5)(model)(model)
    assert sum(macs(model).values()) == 48 + 32 + 8 == 2 * multiplications(model, macs(model))


@given(st.integers(1, 500), st.integers(1, 10**6), st.integers(1, 10**6))
@settings(deadline=None, max_examples=50)
def test_matched_epochs_are_the_most_that_the_budget_allows(epochs, small, more):
    dense = small + more
    matched = matched_epochs(epochs, dense, small)
    assert matched * small <= epochs * dense < (matched + 1) * small
    assert matched_epochs(epochs, dense, small, cap=2) == min(matched, 2 * epochs)
    assert matched_epochs(epochs, small, small) == epochs


@pytest.mark.parametrize("arguments", [(0, 2, 1), (1, 0, 1), (1, 1, 0)])
def test_budgets_must_be_positive(arguments):
    with pytest.raises(RangeError):
        matched_epochs(*arguments)


def test_every_arm_starts_and_trains_as_its_name_says():
    """`fit` writes down where it began and for how long; it leaves its mark on the first bias."""
    calls = []

    def note(model, epochs):
        calls.append((copy.deepcopy(model), epochs))
        model.layers[0].weight.data += 0.25

    initial = mlp(0)
    before = copy.deepcopy(initial)
    found = scratch_or_tune(initial, find_units(0.5), note, lambda m: m.layers[0].weight.data.copy(), macs, 8, rng=7)
    assert same(initial, before)
    (dense, epochs), *rest = calls
    assert epochs == 8 and same(dense, initial)
    ratio = found["dense"].macs, found["cut"].macs
    assert ratio == (48 + 32 + 8, 24 + 8 + 4)
    assert [e for _, e in rest] == [found[name].epochs for name in ARMS] == [2, 8, 8, 8, 16, 8 * 88 // 36]
    starts = dict(zip(ARMS, (m for m, _ in rest), strict=True))
    assert same(starts[QUARTER], starts[TUNED]) and same(starts[SCRATCH_E], starts[SCRATCH_B])
    assert same(starts[SCRATCH_2E], starts[SCRATCH_B])
    pruned, ticket, scratch = (starts[n].layers[0].weight.data for n in (TUNED, ORIGINAL, SCRATCH_E))
    np.testing.assert_allclose(pruned, ticket + 0.25)
    assert np.array_equal(found["cut"].result, pruned) and np.array_equal(found[TUNED].result, pruned + 0.25)
    assert not np.isclose(scratch, ticket).any()
    assert all(row in initial.layers[0].weight.data.tolist() for row in ticket.tolist())


def test_few_arms_can_be_asked_for_and_weights_stay_cut():
    arms = (TUNED, SCRATCH_B)

    def left(model):
        return [np.count_nonzero(w.forward()) for w in model.weights()]

    found = scratch_or_tune(mlp(0), find_weights(0.75), fit, left, macs, 4, rng=1, arms=arms)
    assert list(found) == ["dense", "cut", *arms]
    assert found[SCRATCH_B].epochs == 16 and found[SCRATCH_B].result == found[TUNED].result == [12, 8, 2]


@pytest.mark.parametrize("one_shot", [False, True])
def test_a_ticket_and_its_rivals_share_the_mask_and_nothing_else(one_shot):
    seen = []

    def look(model):
        fit(model, 2)
        seen.append(model)

    def measure(model):
        return [w.forward() != 0 for w in model.weights()]

    dense, rows = against_random(mlp(0), look, measure, densities(3, 3), rng=9, one_shot=one_shot, at=(1, 3))
    assert all(m.all() for m in dense) and [row.density for row in rows] == sorted(r.density for r in rows)[::-1]
    assert len(rows) == 2 and len(seen) == 1 + 3 + 2 * 2
    for row in rows:
        for a, b, c in zip(row.ticket, row.random, row.scaled, strict=True):
            assert np.array_equal(a, b) and np.array_equal(b, c)
    again = against_random(mlp(0), lambda m: fit(m, 2), measure, densities(3, 3), rng=9, one_shot=one_shot, at=(1, 3))
    assert pickle.dumps(again) == pickle.dumps((dense, rows))
