"""Trials: every ticket starts from the same history, has exact counts, and the answers are reproducible."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import ShapeError
from minicompress.lottery.deconstruct import CRITERIA, KEPT, PRUNED, at_random, large_final
from minicompress.lottery.trials import begin, choose, ticket, what_are_the_pruned, where_to_start, which_to_keep
from minicompress.pruning.magnitude import kept_count

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (120, 6))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
DENSITIES = [0.3, 0.55]


def network():
    rng = np.random.default_rng(1)
    return nn.Sequential([nn.Linear(6, 12, rng=rng), nn.ReLU(), nn.Linear(12, 3, rng=rng)])


def fit(model):
    list(nn.train(model, nn.Adam(model.parameters(), 0.02), (X, LABELS), epochs=8, rng=0, batch=20, progress=False))


@pytest.fixture(scope="module")
def trial():
    return begin(network(), fit, lambda model: nn.error(model, X, LABELS))


def test_the_network_stays_untrained(trial):
    plain = network()
    for weight, same, i, f in zip(trial.model.weights(), plain.weights(), trial.initial, trial.final, strict=True):
        assert (weight.data == same.data).all() and (i == same.data).all() and (f != i).any()
        assert i is not weight.data


@pytest.mark.parametrize("name", CRITERIA)
def test_counts_are_exact(trial, name):
    masks = choose(trial, CRITERIA[name], DENSITIES)
    assert [m.sum() for m in masks] == [kept_count(m.size, 1 - d) for m, d in zip(masks, DENSITIES, strict=True)]


def test_a_ticket_is_the_initial_network_under_its_masks(trial):
    masks = choose(trial, large_final, DENSITIES)
    for weight, mask, i in zip(ticket(trial, masks).weights(), masks, trial.initial, strict=True):
        np.testing.assert_array_equal(weight.forward(), mask * i)
    for weight, i in zip(ticket(trial, masks, pruned=PRUNED["init"]).weights(), trial.initial, strict=True):
        np.testing.assert_array_equal(weight.forward(), i)


def test_training_leaves_pruned_weights_where_they_are(trial):
    masks = choose(trial, large_final, DENSITIES)
    for values in PRUNED.values():
        model = ticket(trial, masks, pruned=values)
        fit(model)
        for weight, mask, i, f in zip(model.weights(), masks, trial.initial, trial.final, strict=True):
            np.testing.assert_array_equal(weight.forward()[~mask], values(i, f)[~mask])
            assert (weight.forward()[mask] != i[mask]).any()


def test_held_at_zero_is_masked(trial):
    masks = choose(trial, large_final, DENSITIES)
    one, other = ticket(trial, masks), ticket(trial, masks, pruned=PRUNED["zero"])
    for model in (one, other):
        fit(model)
    assert all((a.forward() == b.forward()).all() for a, b in zip(one.weights(), other.weights(), strict=True))


def test_the_three_questions(trial):
    criteria = {**CRITERIA, "random": at_random(0)}
    keep, zeros = which_to_keep(trial, DENSITIES, criteria), what_are_the_pruned(trial, DENSITIES)
    start = where_to_start(trial, DENSITIES, rng=3)
    assert set(keep) == set(criteria) and set(zeros) == set(PRUNED) and set(start) == set(KEPT)
    assert keep["large final"] == zeros["zero"] == start["rewind"]  # one network, three names
    assert keep["large final"] < keep["small final"]
    assert start == where_to_start(trial, DENSITIES, rng=3)


def test_a_density_for_every_layer(trial):
    with pytest.raises(ShapeError, match="1 densities for 2 weights"):
        choose(trial, large_final, [0.5])
