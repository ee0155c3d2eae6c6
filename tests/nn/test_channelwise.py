"""Gate, channel shuffle and batch normalization against their formulas; the running statistics."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import RangeError, ShapeError

SHAPES = [(6, 3), (6, 3, 4, 5)]


def channels(x: np.ndarray) -> list[np.ndarray]:
    """All numbers of each channel."""
    return [np.moveaxis(x, 1, 0)[c].ravel() for c in range(x.shape[1])]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gate_changes_nothing_at_first_and_closes_a_channel(shape: tuple[int, ...]) -> None:
    layer, x = nn.Gate(3), np.random.default_rng(0).uniform(-1, 1, shape)
    layer.train(False)
    np.testing.assert_array_equal(layer.forward(x), x)
    layer.gate.data[...] = [2, 0, 1]
    y = channels(layer.forward(x))
    np.testing.assert_array_equal(y, [2 * channels(x)[0], 0 * channels(x)[1], channels(x)[2]])
    layer.backward(np.ones(shape))
    np.testing.assert_allclose(layer.gate.grad, [c.sum() for c in channels(x)])


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 4, 5)])
def test_a_channel_shuffle_deals_the_groups_out_in_turn(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, shape)
    layer = nn.ChannelShuffle(3)  # groups (0, 1), (2, 3), (4, 5)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, x[:, [0, 2, 4, 1, 3, 5]])
    np.testing.assert_array_equal(layer.backward(y), x)  # a permutation: its transpose is its inverse
    np.testing.assert_array_equal(nn.ChannelShuffle(2).forward(y), x)


def test_a_channel_shuffle_refuses_channels_that_its_groups_do_not_divide() -> None:
    with pytest.raises(ShapeError, match=r"ChannelShuffle\(4\) got x of shape \(2, 6\); .*multiple of 4"):
        nn.ChannelShuffle(4).forward(np.ones((2, 6)))
    with pytest.raises(RangeError, match="groups"):
        nn.ChannelShuffle(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_training_uses_the_batch(shape: tuple[int, ...]) -> None:
    layer, x = nn.BatchNorm(3, eps=1e-12), np.random.default_rng(0).uniform(3, 9, shape)
    layer.scale.data[...], layer.shift.data[...] = [1, 2, 3], [0, 5, -5]
    for y, scale, shift in zip(channels(layer.forward(x)), [1, 2, 3], [0, 5, -5], strict=True):
        np.testing.assert_allclose([y.mean(), y.std()], [shift, scale], atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_evaluation_uses_the_running_statistics(shape: tuple[int, ...]) -> None:
    layer, x = nn.BatchNorm(3), np.random.default_rng(0).uniform(-1, 1, shape)
    layer.mean[...], layer.variance[...] = [1, 2, 3], [4, 9, 16]
    layer.train(False)
    before = {path: value.copy() for path, value in layer.state().items() if isinstance(value, np.ndarray)}
    for y, c, mean, variance in zip(channels(layer.forward(x)), channels(x), [1, 2, 3], [4, 9, 16], strict=True):
        np.testing.assert_allclose(y, (c - mean) / np.sqrt(variance + 1e-5))
    for path, value in before.items():
        np.testing.assert_array_equal(layer.state()[path], value)


@pytest.mark.parametrize("shape", SHAPES)
def test_running_statistics_follow_on_the_grid(shape: tuple[int, ...]) -> None:
    layer, mean, variance = nn.BatchNorm(3, momentum=0.8, grid=2.0**-10), np.zeros(3), np.ones(3)
    for seed in range(4):
        x = np.random.default_rng(seed).uniform(-1, 5, shape)
        layer.backward(layer.forward(x))
        mean = np.round((0.8 * mean + 0.2 * np.array([c.mean() for c in channels(x)])) * 2**10) / 2**10
        variance = np.round((0.8 * variance + 0.2 * np.array([c.var() for c in channels(x)])) * 2**10) / 2**10
        np.testing.assert_array_equal([layer.mean, layer.variance], [mean, variance])


def test_rounding_noise_does_not_reach_the_running_statistics() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    found = []
    for noisy in (x, x + np.random.default_rng(1).uniform(-1e-14, 1e-14, x.shape)):
        layer = nn.BatchNorm(3)
        layer.forward(noisy)
        found.append(layer.mean.tobytes() + layer.variance.tobytes())
    assert found[0] == found[1]


def test_a_refused_or_exploding_batch_leaves_the_running_statistics() -> None:
    layer = nn.BatchNorm(2)
    layer.forward(np.ones((4, 2)))
    before = layer.mean.copy(), layer.variance.copy()
    with pytest.raises(RuntimeError, match="called twice"):
        layer.forward(np.zeros((4, 2)))
    layer.train()
    with np.errstate(all="ignore"):
        layer.forward(np.full((4, 2), np.inf))
    np.testing.assert_array_equal([layer.mean, layer.variance], before)


def test_a_batch_of_one_is_finite() -> None:
    layer = nn.BatchNorm(3)
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, 2.0, 3.0]])), [[0, 0, 0]])
    assert np.isfinite(layer.backward(np.ones((1, 3)))).all()


@pytest.mark.parametrize("make", [nn.Gate, nn.BatchNorm])
@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 2, 3), (4, 5, 6, 3)])
def test_other_shapes_are_refused(make: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"allowed: \(N, 3\) or \(N, 3, H, W\)"):
        make(3).forward(np.ones(shape))


def test_validate_finds_arrays_that_do_not_fit() -> None:
    layer = nn.BatchNorm(3)
    layer.validate()
    layer.variance[1] = -1
    with pytest.raises(RangeError, match="negative"):
        layer.validate()
    layer.variance = np.ones(2)
    with pytest.raises(ShapeError, match=r"\[\(2,\), \(3,\)\]"):
        layer.validate()


class FirstTwo(nn.Parametrization):
    """w = x[:2]"""

    def forward(self, data: np.ndarray) -> np.ndarray:
        return data[:2]

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return np.append(dw, np.zeros(1))

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (2,)


def test_the_first_channels_have_the_first_of_the_running_statistics() -> None:
    layer, x = nn.BatchNorm(3, grid=0), np.random.default_rng(0).uniform(3, 9, (20, 2))
    for p in (layer.scale, layer.shift):
        p.become(p.data, [FirstTwo()])
    layer.validate()
    layer.forward(x)
    np.testing.assert_allclose(layer.mean, [*0.1 * x.mean(0), 0])
    layer.backward(x)
    layer.train(False)
    np.testing.assert_allclose(layer.forward(x), (x - layer.mean[:2]) / np.sqrt(layer.variance[:2] + 1e-5))
    layer.shift = nn.Parameter(np.zeros(3))  # a shift that is not cut alike is a mistake, as lengths of a plain one are
    with pytest.raises(ShapeError):
        layer.validate()
    layer = nn.BatchNorm(3)
    layer.mean, layer.variance = np.zeros(4), np.ones(4)
    with pytest.raises(ShapeError):
        layer.validate()
