"""Saliencies: exact where the loss is quadratic; the procedure: counts, rounds, and what stays deleted."""

import copy
import itertools

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.nn import Linear, Sequential, Tanh, cross_entropy, mean_squared_error
from minicompress.pruning.magnitude import prune
from minicompress.pruning.obd import (
    as_score,
    mean_loss,
    optimal_brain_damage,
    predicted_rise,
    saliencies,
    saliency,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)) * [0.1, 10, 1, 1, 1]
T = RNG.normal(size=(40, 3))
SAMPLES = (X, T)


def at_the_minimum():
    """A linear map without bias, solved: E is quadratic, and its gradient zero."""
    model = Linear(5, 3, rng=0, bias=False)
    model.weight.data[...] = np.linalg.lstsq(X, T, rcond=None)[0].T
    return model


def network():
    return Sequential([Linear(5, 8, rng=0), Tanh(), Linear(8, 3, rng=1), Tanh()])


def alive(model):
    return [np.asarray(p.forward() != 0) for p in model.weights()]


def test_the_saliency_of_a_parabola_is_its_rise():
    w, h = np.array([3.0, -2.0, 0.0]), np.array([4.0, -1.0, 5.0])
    np.testing.assert_array_equal(saliency(h, w), [18.0, -2.0, 0.0])


def test_deleting_one_weight_costs_its_saliency_where_the_loss_is_quadratic():
    model = at_the_minimum()
    s = saliencies(model, mean_squared_error, SAMPLES)[model.weight]
    dense = mean_loss(model, mean_squared_error, SAMPLES)
    for i in np.ndindex(model.weight.shape):
        other = copy.deepcopy(model)
        other.weight.data[i] = 0
        assert mean_loss(other, mean_squared_error, SAMPLES) - dense == pytest.approx(s[i], rel=1e-9)


def test_weights_of_different_outputs_do_not_interact():
    model = at_the_minimum()
    s, dense = saliencies(model, mean_squared_error, SAMPLES), mean_loss(model, mean_squared_error, SAMPLES)
    model.weight.data[[0, 1, 2], [4, 0, 1]] = 0
    rise = mean_loss(model, mean_squared_error, SAMPLES) - dense
    assert predicted_rise(s, [model.weight]) == pytest.approx(rise, rel=1e-9)
    model.weight.data[0, 1:4] = 0  # correlated inputs of one output do
    rise = mean_loss(model, mean_squared_error, SAMPLES) - dense
    assert predicted_rise(s, [model.weight]) != pytest.approx(rise, rel=1e-3)


def test_small_weights_on_large_inputs_stay():
    """Input 0 is small and its weights large; what they carry together is least."""
    size = np.array([1.0, 0.5, 2, 2, 2])
    samples = X, X @ np.tile(size, (3, 1)).T
    by_size, by_saliency = Linear(5, 3, rng=0, bias=False), Linear(5, 3, rng=0, bias=False)
    for model in (by_size, by_saliency):
        model.weight.data[...] = size
    prune([by_size.weight], 0.2)
    (done,) = optimal_brain_damage(by_saliency, mean_squared_error, samples, 0.2, rounds=1)
    np.testing.assert_array_equal(by_size.weight.forward()[0], [1, 0, 2, 2, 2])
    np.testing.assert_array_equal(by_saliency.weight.forward()[0], [0, 0.5, 2, 2, 2])
    assert done.actual == pytest.approx(done.predicted)
    assert done.actual < mean_loss(by_size, mean_squared_error, samples)


@pytest.mark.parametrize("target", [T, 5 * np.sign(T)])  # far targets bend the loss of tanh outputs downwards
def test_rounds_reach_the_sparsity_and_nothing_comes_back(target):
    model, gone, samples = network(), [], (X, target)
    if target is not T:
        assert min(s.min() for s in saliencies(model, mean_squared_error, samples).values()) < 0
    done = optimal_brain_damage(model, mean_squared_error, samples, 0.75, rounds=4,
                                retrain=lambda: gone.append([~a for a in alive(model)]))
    assert [d.sparsity for d in done] == [0.1875, 0.375, 0.5625, 0.75]
    assert [sum(g.sum() for g in masks) for masks in gone] == [12, 24, 36, 48]
    for before, after in itertools.pairwise(gone):
        assert all((later | ~earlier).all() for earlier, later in zip(before, after, strict=True))
    assert all(not p.parametrizations for p in model.parameters() if p not in model.weights()), "biases stay"


def test_each_round_tells_what_was_predicted_and_what_happened():
    model, start = network(), mean_loss(network(), mean_squared_error, SAMPLES)
    done = optimal_brain_damage(model, mean_squared_error, SAMPLES, 0.6, rounds=3)
    end = mean_loss(model, mean_squared_error, SAMPLES)
    assert sum(d.actual for d in done) == pytest.approx(end - start)
    s = saliencies(network(), mean_squared_error, SAMPLES)
    weights = [p for p in s if p.forward().ndim == 2]
    lowest = np.sort(np.concatenate([s[p].ravel() for p in weights]))
    assert done[0].predicted == pytest.approx(lowest[: round(0.2 * lowest.size)].sum())


def test_one_shot_is_one_ranking_by_saliency():
    once, by_hand = network(), network()
    optimal_brain_damage(once, mean_squared_error, SAMPLES, 0.4, rounds=1, second_derivative=False)
    s = saliencies(by_hand, mean_squared_error, SAMPLES, second_derivative=False)
    prune(by_hand.weights(), 0.4, score=as_score(s))
    assert all(np.array_equal(a, b) for a, b in zip(alive(once), alive(by_hand), strict=True))


def test_saliencies_are_computed_anew_in_every_round():
    rounds, once = network(), network()
    optimal_brain_damage(rounds, mean_squared_error, SAMPLES, 0.6, rounds=6)
    optimal_brain_damage(once, mean_squared_error, SAMPLES, 0.6, rounds=1)
    assert any(not np.array_equal(a, b) for a, b in zip(alive(rounds), alive(once), strict=True))


def test_pruned_weights_have_no_saliency_and_the_lowest_score():
    model = network()
    weight = model.layers[0].weight
    prune([weight], 0.5)
    s = saliencies(model, cross_entropy, (X, np.arange(40) % 3))
    dead = weight.forward() == 0
    assert not s[weight][dead].any() and s[weight][~dead].all()
    assert set(as_score(s)(weight)[dead]) == {-np.inf}
    before = predicted_rise(s, [weight])
    assert before == 0


def test_bad_settings_change_nothing():
    for sparsity, rounds in ((1.5, 2), (0.5, 0)):
        model = network()
        with pytest.raises(RangeError):
            optimal_brain_damage(model, mean_squared_error, SAMPLES, sparsity, rounds=rounds)
        assert not any(p.parametrizations for p in model.parameters())
