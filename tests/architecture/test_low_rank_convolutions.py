"""Convolutions of low rank: with any kernel, stride and padding they are the convolution with the product."""

import itertools

import numpy as np
import pytest

from minicompress import nn
from minicompress.architecture.low_rank import factors, low_rank, matrix


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


CONVS = [dict(zip(("kernel", "stride", "padding", "bias"), values, strict=True))
         for values in itertools.product([3, (2, 3)], [1, (2, 1)], [0, (1, 2)], [True, False])]


@pytest.mark.parametrize("conv", ["channels", "spatial"])
@pytest.mark.parametrize("settings", CONVS, ids=str)
@pytest.mark.filterwarnings("ignore:rank .* turns")
def test_convolutions_of_full_rank_compute_the_same(conv, settings):
    layer, x = nn.Conv2d(3, 5, rng=0, **settings), random(1, 2, 3, 7, 8)
    if layer.bias is not None:
        layer.bias.data[:] = random(2, 5)
    new = low_rank(layer, min(matrix(layer, conv).shape), conv=conv, grid=0)
    np.testing.assert_allclose(new.forward(x), layer.forward(x), atol=1e-12)


@pytest.mark.parametrize("conv", ["channels", "spatial"])
def test_a_convolution_of_low_rank_is_the_convolution_with_the_product(conv):
    layer, x = nn.Conv2d(4, 6, 3, rng=0, padding=1, stride=2), random(1, 2, 4, 7, 8)
    new = low_rank(layer, 2, conv=conv, grid=0)
    U, V = factors(matrix(layer, conv), 2, grid=0)
    W = (U @ V).reshape(6, 4, 3, 3) if conv == "channels" else (U @ V).reshape(6, 3, 4, 3).transpose(0, 2, 3, 1)
    layer.weight.become(W)
    np.testing.assert_allclose(new.forward(x), layer.forward(x), atol=1e-12)
    assert sum(p.data.size for p in new.weights()) == 2 * sum(matrix(layer, conv).shape)
