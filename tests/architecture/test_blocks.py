"""Blocks: what they cost, what they compute, and that the cheap convolution is a factorization of the full one."""

import functools

import numpy as np
import pytest

from minicompress import nn
from minicompress.architecture.blocks import (
    compose,
    fire,
    full,
    inverted_residual,
    kernel_weights,
    separable,
    separate,
    shuffle_unit,
    xception_module,
)
from minicompress.counting import layer_macs
from minicompress.errors import ShapeError
from minicompress.storage import from_bytes, to_bytes

RNG = np.random.default_rng(0)
BLOCKS = [full, separable, inverted_residual, fire, shuffle_unit, xception_module]
every = pytest.mark.parametrize("block", BLOCKS, ids=[block.__name__ for block in BLOCKS])


def kernels(layer: nn.Layer) -> list[tuple[int, ...]]:
    return [weight.shape for weight in layer.weights()]


def depthwise_pointwise(C: int, O: int, k: int) -> nn.Sequential:
    return nn.Sequential([nn.Conv2d(C, C, k, rng=0, padding=1, groups="channels", bias=False),
                          nn.Conv2d(C, O, 1, rng=1, bias=False)])


@pytest.mark.parametrize(("C", "O", "k"), [(2, 4, 3), (16, 32, 3), (5, 7, 5), (3, 1, 3), (4, 4, 1)])
def test_what_a_separable_convolution_costs(C: int, O: int, k: int) -> None:
    whole, factored = kernel_weights(C, O, k)
    assert whole == nn.Conv2d(C, O, k, rng=0).weight.data.size
    assert factored == sum(w.data.size for w in depthwise_pointwise(C, O, k).weights())
    assert factored * O * k * k == whole * (k * k + O)  # factored / whole = 1 / O + 1 / k²


def test_the_example_of_the_lecture() -> None:
    assert kernel_weights(2, 4, 3) == (72, 26)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_separable_convolution_is_a_full_one_whose_kernels_are_products(k: int) -> None:
    model, x = depthwise_pointwise(3, 5, k), RNG.uniform(-1, 1, (2, 3, 6, 7))
    D, P = (w.data for w in model.weights())
    whole = nn.Conv2d(3, 5, k, rng=0, padding=1, bias=False)
    whole.weight.data[...] = compose(D, P)
    assert whole.weight.data[4, 2, k - 1, 0] == P[4, 2, 0, 0] * D[2, 0, k - 1, 0]
    np.testing.assert_allclose(whole.forward(x), model.forward(x), rtol=1e-12, atol=1e-12)


def test_separate_finds_the_factors_again_and_else_the_nearest() -> None:
    D, P = RNG.uniform(-1, 1, (4, 1, 3, 3)), RNG.uniform(-1, 1, (6, 4, 1, 1))
    found = separate(compose(D, P))
    assert [a.shape for a in found] == [D.shape, P.shape]
    np.testing.assert_allclose(compose(*found), compose(D, P), atol=1e-12)
    W = RNG.uniform(-1, 1, (6, 4, 3, 3))
    near = np.square(W - compose(*separate(W))).sum()
    singular = np.linalg.svd(W.swapaxes(0, 1).reshape(4, 6, 9), compute_uv=False)
    np.testing.assert_allclose(near, np.square(singular[:, 1:]).sum())  # Eckart and Young, channel by channel
    D, P = separate(W)
    assert near < min(np.square(W - compose(D + 0.01 * RNG.uniform(-1, 1, D.shape), P)).sum() for _ in range(20))


def test_factors_of_wrong_shapes_are_refused() -> None:
    for D, P in [((4, 1, 3, 3), (6, 3, 1, 1)), ((4, 2, 3, 3), (6, 4, 1, 1)), ((4, 1, 3, 3), (6, 4, 3, 3)),
                 ((4,), (6,))]:
        with pytest.raises(ShapeError, match="allowed"):
            compose(np.ones(D), np.ones(P))
    with pytest.raises(ShapeError, match="allowed"):
        separate(np.ones((4, 3)))


@every
@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(8, 16, 2), (16, 16, 1)])
def test_every_block_gives_the_shape_it_says_and_learns(block, n_in: int, n_out: int, stride: int) -> None:
    layer, x = block(n_in, n_out, rng=0, stride=stride), RNG.uniform(-1, 1, (3, n_in, 6, 8))
    y = layer.forward(x)
    assert y.shape == (3, n_out, 6 // stride, 8 // stride)
    assert layer.backward(np.ones_like(y)).shape == x.shape
    assert all(np.abs(p.grad).max() > 0 for p in layer.weights())
    half = block(n_in, n_out, rng=0, stride=stride, dtype=np.float32)
    assert half.forward(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(nn.predict(from_bytes(to_bytes(layer)), x), nn.predict(layer, x))


def test_the_convolutions_of_each_block() -> None:
    assert kernels(full(8, 16, rng=0)) == [(16, 8, 3, 3)]
    assert kernels(separable(8, 16, rng=0)) == [(8, 1, 3, 3), (16, 8, 1, 1)]
    assert kernels(inverted_residual(8, 16, rng=0)) == [(48, 8, 1, 1), (48, 1, 3, 3), (16, 48, 1, 1)]
    assert kernels(inverted_residual(8, 16, rng=0, expansion=1)) == [(8, 1, 3, 3), (16, 8, 1, 1)]
    assert kernels(fire(96, 128, rng=0)) == [(16, 96, 1, 1), (64, 16, 1, 1), (64, 16, 3, 3)]
    assert kernels(shuffle_unit(24, 48, rng=0, stride=2, groups=3)) == [(12, 8, 1, 1), (12, 1, 3, 3), (24, 4, 1, 1)]
    assert kernels(shuffle_unit(48, 48, rng=0, groups=3)) == [(12, 16, 1, 1), (12, 1, 3, 3), (48, 4, 1, 1)]
    one = [(8, 1, 3, 3), (8, 8, 1, 1)]
    assert kernels(xception_module(8, 8, rng=0)) == one * 3
    assert kernels(xception_module(8, 16, rng=0, stride=2, inner=8)) == [*one, (8, 1, 3, 3), (16, 8, 1, 1),
                                                                         (16, 8, 1, 1)]


def relus(layer: nn.Layer) -> list[str]:
    """The kinds of the layers of a block in their order, containers left out."""
    nodes = [node for _, node in layer.walk() if isinstance(node, (nn.Conv2d, nn.ReLU))]
    return ["relu" if isinstance(n, nn.ReLU) else f"{n.weight.shape[2]}" for n in nodes]


def test_where_the_nonlinearities_stand() -> None:
    assert relus(separable(4, 8, rng=0)) == ["3", "relu", "1", "relu"]
    assert relus(inverted_residual(4, 4, rng=0)) == ["1", "relu", "3", "relu", "1"]  # the narrow end is linear
    assert relus(shuffle_unit(8, 8, rng=0)) == ["1", "relu", "3", "1", "relu"]
    assert relus(xception_module(4, 4, rng=0)) == ["relu", "3", "1"] * 3  # before, and none in between
    assert relus(xception_module(4, 8, rng=0, stride=2)) == [*["relu", "3", "1"] * 2, "1"]  # none on the shortcut


def test_shortcuts_stand_only_where_shapes_agree() -> None:
    assert isinstance(inverted_residual(4, 4, rng=0), nn.Residual)
    assert not isinstance(inverted_residual(4, 4, rng=0, stride=2), nn.Residual)
    assert not isinstance(inverted_residual(4, 8, rng=0), nn.Residual)


@pytest.mark.parametrize("shuffle", [True, False])
def test_only_a_shuffle_lets_groups_hear_of_each_other(shuffle: bool) -> None:
    units = nn.Sequential([shuffle_unit(16, 16, rng=seed, groups=2, shuffle=shuffle) for seed in (0, 1)])
    x = RNG.uniform(0, 1, (1, 16, 4, 4))
    other = x.copy()
    other[:, 8:] += 1  # only the second group sees another image
    changed = np.abs(nn.predict(units, other) - nn.predict(units, x)).max((0, 2, 3)) > 0
    assert changed[8:].any()
    assert changed[:8].any() == shuffle


def test_macs_are_those_of_the_formulas() -> None:
    C, O, H = 8, 16, 6
    x = RNG.uniform(-1, 1, (1, C, H, H))
    count = functools.partial(layer_macs, sample=x)
    assert sum(count(full(C, O, rng=0)).values()) == 9 * C * O * H * H
    assert sum(count(separable(C, O, rng=0)).values()) == (9 * C + C * O) * H * H
    assert sum(count(fire(C, O, rng=0)).values()) == (C * 2 + 2 * 8 + 9 * 2 * 8) * H * H
