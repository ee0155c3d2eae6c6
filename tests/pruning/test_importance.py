"""Scores of units: values worked out by hand, equal ways to the same number, gradients against differences."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import NonFiniteError, RangeError, ShapeError
from minicompress.pruning.importance import (
    apoz,
    batch_norm_scale,
    comparable,
    frequency,
    gate_taylor,
    incoming_norm,
    mean_activation,
    observe,
    outgoing_norm,
    summed_saliency,
    taylor,
)

RNG = np.random.default_rng(0)
W = np.array([[1.0, -2.0, 2.0], [0.0, 0.0, -3.0]])


def test_norms_of_incoming_and_outgoing_weights():
    assert incoming_norm(W).tolist() == [5, 3] and incoming_norm(W, 2).tolist() == [3, 3]
    assert outgoing_norm(W, 3).tolist() == [1, 2, 5] and outgoing_norm(np.hstack([W, W]), 3).tolist() == [3, 6, 7]
    filters = RNG.normal(size=(4, 3, 2, 2))
    np.testing.assert_allclose(outgoing_norm(filters, 3, 2), [np.linalg.norm(filters[:, c]) for c in range(3)])
    np.testing.assert_allclose(incoming_norm(filters, 2), [np.linalg.norm(f) for f in filters])
    with pytest.raises(ShapeError, match="multiple"):
        outgoing_norm(W, 2)
    with pytest.raises(RangeError):
        incoming_norm(W, 3)
    with pytest.raises(NonFiniteError):
        incoming_norm(np.full((2, 2), np.nan))


def test_scale_and_saliency():
    assert batch_norm_scale(np.array([-2.0, 0.5])).tolist() == [2, 0.5]
    assert summed_saliency(W, np.array([[1.0, 1, 2], [5, 5, -1]])).tolist() == [6.5, -4.5]
    with pytest.raises(ShapeError):
        summed_saliency(W, np.ones((2, 2)))


def test_activity():
    a = np.array([[0.0, 2.0, -1.0], [0.0, 0.0, 3.0]])
    assert apoz(a).tolist() == [1, 0.5, 0] and frequency(a).tolist() == [0, 0.5, 1]
    assert mean_activation(a).tolist() == [0, 1, 1]
    images = RNG.normal(size=(5, 3, 2, 2)) * (RNG.random((5, 3, 2, 2)) < 0.5)
    np.testing.assert_allclose(apoz(images), (images == 0).mean((0, 2, 3)))
    np.testing.assert_allclose(mean_activation(images), images.mean((0, 2, 3)))


def test_taylor_averages_absolute_values_over_samples_only():
    a, da = np.ones((2, 1, 1, 2)), np.array([[[[1.0, 3.0]]], [[[-1.0, -1.0]]]])
    assert taylor(a, da).tolist() == [1.5]  # sample means 2 and -1
    assert taylor(np.ones((2, 1)), np.array([[2.0], [-1.0]])).tolist() == [1.5]
    assert gate_taylor(np.array([2.0]), np.array([-3.0])).tolist() == [6]


def test_comparable_scores_have_length_one():
    scores = comparable(np.array([3.0, 4.0]))
    np.testing.assert_allclose(scores, [0.6, 0.8])
    assert comparable(np.zeros(2)).tolist() == [0, 0]


def network():
    return nn.Sequential([nn.Conv2d(1, 3, 3, rng=0), nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(), nn.Gate(3),
                          nn.Flatten(), nn.Linear(12, 5, rng=1), nn.Tanh(), nn.Linear(5, 4, rng=2)])


SAMPLES = RNG.normal(size=(6, 1, 6, 6)), RNG.integers(0, 4, 6)


@pytest.mark.parametrize(("path", "shape"), [("layers.0", (6, 3, 2, 2)), ("layers.2", (6, 3, 2, 2)),
                                             ("layers.6", (6, 5)), ("layers.8", (6, 4))])
def test_observe_shows_what_the_next_layer_reads(path, shape):
    model = network()
    model.train(False)
    model.forward(SAMPLES[0])
    assert observe(model, path, SAMPLES).a.shape == shape
    assert repr(model) == repr(network()) and not any(p.grad.any() for p in model.parameters())


def test_observed_gradients_are_those_of_each_samples_own_loss():
    model = network()
    a, da = observe(model, "layers.0", SAMPLES)
    tail, h = nn.Sequential(model.layers[5:]), 1e-6
    tail.train(False)
    for n, c, i, j in [(0, 1, 0, 1), (5, 2, 1, 1)]:
        values = []
        for step in (h, -h):
            moved = a[n : n + 1].copy()
            moved[0, c, i, j] += step
            values.append(nn.cross_entropy(tail.forward(moved), SAMPLES[1][n : n + 1])[0])
        np.testing.assert_allclose(da[n, c, i, j], (values[0] - values[1]) / (2 * h), rtol=1e-6, atol=1e-9)


def test_a_gates_gradient_is_the_sum_of_the_products():
    model = network()
    a, da = observe(model, "layers.0", SAMPLES)
    model.train(False)
    model.backward(nn.cross_entropy(model.forward(SAMPLES[0]), SAMPLES[1])[1])
    gate = model.layers[4].gate
    np.testing.assert_allclose(gate.grad, (a * da).sum((0, 2, 3)) / len(a), rtol=1e-10)
    assert (gate_taylor(gate.data, gate.grad) <= taylor(a, da) * 4 + 1e-12).all()  # 4 places; no cancelling in taylor


def test_observe_inside_containers():
    body = nn.Sequential([nn.Linear(4, 3, rng=0), nn.Sigmoid(), nn.Linear(3, 4, rng=1)])
    side = nn.Concat([nn.Linear(4, 2, rng=2), nn.Linear(4, 3, rng=3)])
    model = nn.Sequential([nn.Residual(body), side, nn.Linear(5, 2, rng=4)])
    samples = RNG.normal(size=(7, 4)), RNG.integers(0, 2, 7)
    assert observe(model, "layers.0.body.layers.0", samples).a.shape == (7, 3)
    assert observe(model, "layers.1.branches.1", samples).a.shape == (7, 3)
    with pytest.raises(RangeError, match="allowed"):
        observe(model, "layers.0.body", samples)
    with pytest.raises(RangeError, match="did not run"):
        observe(nn.Switch([body, nn.Linear(4, 4, rng=5)], nn.Selector(0)), "layers.1", samples)
