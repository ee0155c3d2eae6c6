"""Experiments with binary networks: ways differ only in what they say, and small ones learn."""

import numpy as np
import pytest

from minicompress import data, nn
from minicompress.errors import RangeError
from minicompress.quantization.binary import Binary
from minicompress.quantization.binary_experiments import (
    Budget,
    Way,
    compare,
    counts_exactly,
    learn,
    noisy,
    perceptron,
    rounded,
    signs_of,
    walk,
)

DIGITS = data.digits()
SMALL = Budget([64, 32, 32, 10], 6, grid=2.0**-16)


def test_the_perceptron_is_as_in_the_paper():
    kinds = [type(layer) for layer in perceptron([5, 4, 3, 2], rng=0, signs=True, dropout=0.5).layers]
    hidden = [nn.Linear, nn.BatchNorm, nn.Sign, nn.Dropout]
    assert kinds == [*hidden, *hidden, nn.Linear, nn.BatchNorm]
    plain = perceptron([5, 4, 2], rng=0)
    assert [type(layer) for layer in plain.layers] == [nn.Linear, nn.BatchNorm, nn.ReLU, nn.Linear, nn.BatchNorm]
    assert all(layer.bias is None for layer in plain.layers if isinstance(layer, nn.Linear))


def test_every_way_learns_and_follows_its_seed():
    ways = {"float": Way(3e-3), "deterministic": Way(3e-3, binary=True), "XNOR": Way(3e-3, binary=True, scale="layer"),
            "stochastic": Way(3e-3, binary=True, stochastic=True), "dropout": Way(3e-3, dropout=0.2),
            "both": Way(3e-3, binary=True, signs=True)}
    errors = compare(ways, SMALL, DIGITS.train, DIGITS.validation, 0)
    assert all(value < 0.4 for value in errors.values()), errors
    one, other, another = (learn(ways["stochastic"], SMALL, DIGITS.train, seed) for seed in (0, 0, 1))
    assert all((a.data == b.data).all() for a, b in zip(one.weights(), other.weights(), strict=True))
    assert any((a.data != b.data).any() for a, b in zip(one.weights(), another.weights(), strict=True))


def test_ways_start_from_the_same_numbers():
    """But for the size of the box, in which a binary one starts."""
    still = SMALL._replace(epochs=0)
    plain, binary = (learn(way, still, DIGITS.train, 0) for way in (Way(1e-3), Way(1e-3, binary=True, stochastic=True)))
    for a, b in zip(plain.weights(), binary.weights(), strict=True):
        np.testing.assert_allclose(a.data / np.abs(a.data).max(), b.data / np.abs(b.data).max())


def test_noisy_labels_are_a_share_drawn_from_all_classes():
    x, labels = noisy(DIGITS.train, 500, 0.4, rng=0)
    changed = np.mean(labels != DIGITS.train.labels[:500])
    assert x.shape == (500, 64) and 0.3 < changed <= 0.4 and set(labels) == set(range(10))
    assert (noisy(DIGITS.train, 500, 0.0, rng=0)[1] == DIGITS.train.labels[:500]).all()
    with pytest.raises(RangeError, match="share"):
        noisy(DIGITS.train, 500, 40, rng=0)


def test_signs_without_training_and_a_stochastic_network_rounded():
    plain = learn(Way(3e-3), SMALL, DIGITS.train, 0)
    before = [w.data.copy() for w in plain.weights()]
    signs = signs_of(plain)
    for w, b in zip(before, signs.weights(), strict=True):
        np.testing.assert_allclose(b.forward(), np.sign(w) * np.abs(w).mean(1)[:, None], rtol=1 / 256)
    assert all((w.data == b).all() for w, b in zip(plain.weights(), before, strict=True))
    assert nn.error(signs, *DIGITS.validation) > nn.error(plain, *DIGITS.validation)
    stochastic = learn(Way(3e-3, binary=True, stochastic=True), SMALL, DIGITS.train, 0)
    binary = rounded(stochastic)
    for a, b in zip(stochastic.weights(), binary.weights(), strict=True):
        map_ = a.parametrizations[0]
        assert isinstance(map_, Binary) and map_.rng is not None
        np.testing.assert_array_equal(b.forward(), np.where(a.data >= 0, map_.limit, -map_.limit))


def test_the_walk_uses_corners_and_their_mean_is_the_target():
    points, corners = walk([0.5, -3.0], [-0.7, 0.4], steps=4000, lr=0.02, rng=0)
    assert points.shape == corners.shape == (4000, 2) and (points[0] == [-0.7, 0.4]).all()
    assert (corners == np.where(points >= 0, 1, -1)).all() and np.abs(points).max() == 1
    late = corners[1000:].mean(0)
    assert abs(late[0] - 0.5) < 0.05  # the first weight changes sides in the right proportion
    assert (corners[1000:, 1] == -1).all() and points[-1, 1] < -0.9  # the second rests at the wall


def test_an_untrue_count_is_seen(monkeypatch):
    model, x = perceptron(SMALL.sizes, rng=0, signs=True), DIGITS.test.x
    assert counts_exactly(model, x) and not counts_exactly(perceptron(SMALL.sizes, rng=0), x)  # nothing behind signs
    monkeypatch.setattr("minicompress.quantization.binary_experiments.product",
                        lambda a, w, n: np.zeros((len(a), len(w))))
    assert not counts_exactly(model, x)
