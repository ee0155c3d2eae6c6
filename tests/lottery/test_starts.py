"""Scratch or pruned: what each training begins with, weight by weight."""

import copy

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.ledger import layer_macs
from minicompress.lottery.rethinking import (
    LAST_RATE,
    SCRATCH_E,
    TUNED,
    against_random,
    find_units,
    find_weights,
    scratch_or_tune,
)
from minicompress.lottery.tickets import densities
from minicompress.nn import SGD, Linear, ReLU, Sequential, train

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > X[:, 1]).astype(int)


def mlp(seed):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(6, 8, rng=rng), ReLU(), Linear(8, 4, rng=rng), ReLU(), Linear(4, 2, rng=rng)])


def fit(model, epochs):
    for _ in train(model, SGD(model.parameters(), 0.1), (X, Y), epochs=epochs, rng=0, batch=10, progress=False):
        pass


def macs(model):
    return layer_macs(model, X)


def same(one, other):
    a, b = one.state(), other.state()
    return list(a) == list(b) and all(np.array_equal(a[k], b[k]) for k in a)


def starts_of_the_last_round(one_shot=False):
    """Initial network, what each training began with, and the masks of the last round: ticket, random, scaled."""
    initial, starts, ends = mlp(0), [], []

    def note(model):
        starts.append([w.forward().copy() for w in model.weights()])
        fit(model, 2)
        ends.append([w.forward().copy() for w in model.weights()])

    against_random(initial, note, lambda model: 0, densities(3, 3), rng=9, one_shot=one_shot, at=(3,))
    return initial, starts, ends, [w != 0 for w in starts[3]]


def test_a_ticket_goes_back_to_its_start_and_its_rivals_draw_a_new_one():
    """ticket = m ∘ w₀, random = m ∘ w₀' of another seed, scaled = √(n / left) random"""
    initial, starts, ends, masks = starts_of_the_last_round()
    drawn = mlp(9)  # as `fresh` with this seed draws
    for w0, new, mask, ticket, random, scaled in zip(initial.weights(), drawn.weights(), masks, *starts[3:],
                                                     strict=True):
        assert np.array_equal(ticket, w0.data * mask) and np.array_equal(random, new.data * mask)
        np.testing.assert_allclose(scaled, random * np.sqrt(mask.size / mask.sum()), rtol=1e-12)
        assert not np.isclose(random[mask], ticket[mask]).any()
    assert not np.array_equal(starts[3][0], ends[2][0] * masks[0])  # not where the round before ended


def test_one_shot_takes_its_mask_from_the_dense_network_and_rounds_from_the_last():
    masks = {}
    for one_shot in (False, True):
        _, _, ends, masks[one_shot] = starts_of_the_last_round(one_shot)
        left = np.sort(np.abs(ends[0][0][masks[one_shot][0]]))
        largest = np.sort(np.abs(ends[0][0]).ravel())[-len(left):]
        assert np.array_equal(left, largest) == one_shot
    assert any((a != b).any() for a, b in zip(masks[False], masks[True], strict=True))


def test_scratch_starts_scaled_for_what_is_left():
    starts = []

    def note(model, epochs):
        starts.append(copy.deepcopy(model))
        fit(model, 1)

    scratch_or_tune(mlp(0), find_weights(0.75), note, lambda m: 0, macs, 4, rng=5, arms=(SCRATCH_E,))
    for w, new in zip(starts[1].weights(), mlp(5).weights(), strict=True):
        mask = w.parametrizations[0].mask
        np.testing.assert_allclose(w.forward(), mask * new.data * np.sqrt(mask.size / mask.sum()), rtol=1e-12)


def test_going_on_at_the_last_rate_is_an_arm_of_its_own():
    went, calls = [], []

    def go_on(model, epochs):
        went.append((copy.deepcopy(model), epochs))

    def note(model, epochs):
        calls.append(copy.deepcopy(model))
        fit(model, 1)

    found = scratch_or_tune(mlp(0), find_units(0.5), note, lambda m: 0, macs, 8, rng=5, arms=(LAST_RATE, TUNED),
                            go_on=go_on)
    assert list(found) == ["dense", "cut", LAST_RATE, TUNED] and found[LAST_RATE].epochs == 2
    [(start, epochs)] = went
    assert epochs == 2 and len(calls) == 2 and same(start, calls[1])  # from what is left of the trained network
    with pytest.raises(RangeError, match="an arm is 'fine-tuned, E/4, last rate'"):
        scratch_or_tune(mlp(0), find_units(0.5), note, lambda m: 0, macs, 8, rng=5, arms=(LAST_RATE,))
    assert len(calls) == 2
