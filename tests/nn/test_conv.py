"""Convolution and pooling as layers: sizes, groups, leftovers, what is refused. The kernels: test_kernels.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from minicompress import nn
from minicompress.errors import DTypeError, RangeError, ShapeError


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=40)
def test_convolution_is_scipys_correlation(ki: int, kj: int, p: int, q: int, s: int, t: int) -> None:
    x = images(2, 3, 5, 6)
    layer = nn.Conv2d(3, 4, (ki, kj), rng=1, stride=(s, t), padding=(p, q))
    layer.bias.data[...] = [1, 2, 3, 4]
    y = layer.forward(x)
    assert y.shape == (2, 4, (5 + 2 * p - ki) // s + 1, (6 + 2 * q - kj) // t + 1)
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    for n, o in np.ndindex(2, 4):
        whole = correlate(padded[n], layer.weight.data[o], mode="valid", method="direct")[0, ::s, ::t]
        np.testing.assert_allclose(y[n, o], whole + o + 1, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [2, 4, "channels"])
def test_groups_do_not_see_each_other(groups: Any) -> None:
    layer, x = nn.Conv2d(4, 4, 3, rng=0, groups=groups, padding=1), images(2, 4, 5, 5)
    count = 4 if groups == "channels" else groups
    parts = []
    for g, (channels, W) in enumerate(zip(np.split(x, count, axis=1), np.split(layer.weight.data, count), strict=True)):
        alone = nn.Conv2d(4 // count, 4 // count, 3, rng=g, padding=1)
        alone.weight.become(W)
        parts.append(alone.forward(channels))
    np.testing.assert_allclose(layer.forward(x), np.concatenate(parts, axis=1), rtol=1e-12, atol=1e-13)


def test_a_channel_multiplier_is_an_integer_number_of_groups() -> None:
    layer, x = nn.Conv2d(2, 6, 3, rng=0, groups=2), images(2, 2, 5, 5)
    y = layer.forward(x)
    single = nn.Conv2d(1, 3, 3, rng=0)
    single.weight.become(layer.weight.data[3:])
    np.testing.assert_allclose(y[:, 3:], single.forward(x[:, 1:]), rtol=1e-12, atol=1e-13)


def test_a_depthwise_convolution_follows_the_array() -> None:
    layer = nn.Conv2d(4, 4, 3, rng=0, groups="channels")
    layer.weight.become(layer.weight.data[:2])
    layer.bias.become(np.zeros(2))
    assert layer.forward(images(1, 2, 4, 4)).shape == (1, 2, 2, 2)
    layer.weight.become(layer.weight.data[:1])
    layer.bias.become(np.zeros(1))
    layer.train()
    assert layer.forward(images(1, 1, 4, 4)).shape == (1, 1, 2, 2)
    assert repr(layer) == "Conv2d(1 → 1, 3 x 3)"


@pytest.mark.parametrize(("channels", "groups", "n_out"), [(4, 1, 6), (4, 2, 6), (4, "channels", 4)])
def test_images_of_another_number_of_channels_are_refused(channels: int, groups: Any, n_out: int) -> None:
    layer = nn.Conv2d(channels, n_out, 3, rng=0, groups=groups)
    for wrong in (1, 2, 3, 5, 8):
        with pytest.raises(ShapeError, match=r"allowed: \(N, 4, H, W\), channels before height, width"):
            layer.forward(images(1, wrong, 8, 8))


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 2, 3, rng=0), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.GlobalAvgPool()])
def test_rows_are_not_images(layer: nn.Layer) -> None:
    with pytest.raises(ShapeError, match=r"Hint: x\.transpose"):
        layer.forward(np.ones((4, 3)))


@pytest.mark.parametrize(("layer", "size"), [
    (nn.Conv2d(1, 1, 5, rng=0), "0 x 2"), (nn.Conv2d(1, 1, (9, 3), rng=0, padding=1, stride=2), "-1 x 3"),
    (nn.MaxPool2d(5), "0 x 1"), (nn.AvgPool2d((7, 1), 1), "-2 x 6"),
])
def test_an_empty_output_is_refused_with_its_size(layer: nn.Layer, size: str) -> None:
    with pytest.raises(ShapeError, match=f"its output would be {size}; allowed: at least"):
        layer.forward(images(2, 1, 4, 6))


def test_padding_may_make_small_images_large_enough() -> None:
    assert nn.Conv2d(1, 1, 5, rng=0, padding=2).forward(images(1, 1, 1, 1)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("options", "kind"), [
    ({"kernel": 0}, RangeError), ({"stride": 0}, RangeError), ({"padding": -1}, RangeError), ({"n_in": 0}, RangeError),
    ({"n_out": 0}, RangeError), ({"kernel": (1, 2, 3)}, RangeError), ({"groups": 0}, RangeError),
    ({"groups": 3}, RangeError), ({"groups": "channels", "n_out": 6}, RangeError), ({"groups": "depth"}, DTypeError),
    ({"kernel": 2.0}, DTypeError),
])
def test_sizes_are_checked_when_the_layer_is_made(options: dict, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        nn.Conv2d(**{"n_in": 4, "n_out": 4, "kernel": 3, "rng": 0, **options})


@pytest.mark.parametrize("change", [
    lambda layer: layer.bias.become(np.zeros(5)), lambda layer: layer.weight.become(np.zeros((4, 2))),
    lambda layer: layer.weight.become(np.zeros((3, 2, 3, 3))), lambda layer: setattr(layer, "groups", "channels"),
])
def test_validate_finds_what_does_not_fit(change: Any) -> None:
    layer = nn.Conv2d(4, 4, 3, rng=0, groups=2)
    layer.validate()
    change(layer)
    with pytest.raises(ShapeError):
        layer.validate()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=60)
def test_pooling_takes_the_largest_or_the_mean_and_drops_what_fills_no_window(
        ki: int, kj: int, s: int, t: int, H: int, W: int) -> None:
    assume(ki <= H and kj <= W)
    x = images(2, 3, H, W)
    largest, mean = (kind((ki, kj), (s, t)).forward(x) for kind in (nn.MaxPool2d, nn.AvgPool2d))
    assert largest.shape == mean.shape == (2, 3, (H - ki) // s + 1, (W - kj) // t + 1)
    for h, v in np.ndindex(largest.shape[2:]):
        window = x[:, :, s * h : s * h + ki, t * v : t * v + kj]
        np.testing.assert_array_equal(largest[:, :, h, v], window.max((2, 3)))
        np.testing.assert_allclose(mean[:, :, h, v], window.mean((2, 3)), rtol=1e-12, atol=1e-15)


def test_of_equal_maxima_the_first_in_reading_order_gets_the_gradient() -> None:
    layer = nn.MaxPool2d((2, 3))
    x = np.array([[0, 5, 5], [5, 5, 0]], float)[None, None]
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 7.0))[0, 0], [[0, 7, 0], [0, 0, 0]])
    layer.forward(np.zeros((1, 1, 2, 3)))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 1, 1)))[0, 0], [[1, 0, 0], [0, 0, 0]])


def test_global_pooling_is_the_mean_of_each_map() -> None:
    x = images(2, 3, 4, 5)
    np.testing.assert_allclose(nn.GlobalAvgPool().forward(x), x.reshape(2, 3, 20).mean(2))


def test_initial_weights_count_the_inputs_of_a_group() -> None:
    W = nn.Conv2d(8, 64, 3, rng=0, groups=4).weight.data
    assert W.shape == (64, 2, 3, 3)
    assert abs(W.var() - 2 / (2 * 9)) < 0.1 * 2 / 18
