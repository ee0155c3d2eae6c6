"""Bits per layer: copies only, sizes by the formula, and a bit goes where it costs least."""

import numpy as np
import pytest

from minicompress.errors import DTypeError, RangeError, ShapeError, StateError
from minicompress.nn import Layer, Linear, ReLU, Sequential
from minicompress.pruning.magnitude import prune
from minicompress.quantization.allocation import allocate, sensitivity, share_layers, stored_bits
from minicompress.quantization.sharing import Codebook, share


@pytest.fixture
def model() -> Sequential:
    rng = np.random.default_rng(0)
    return Sequential([Linear(20, 30, rng=rng), ReLU(), Linear(30, 10, rng=rng)])


def numbers(model: Layer) -> list[int]:
    return [len(np.unique(w.forward())) for w in model.weights()]


def loss(*costs: float) -> object:
    """A loss that is known: Σ cost · K⁻², K the number of different weights of a layer."""
    return lambda model: sum(c / k**2 for c, k in zip(costs, numbers(model), strict=True))


def test_a_copy_shares_as_many_numbers_as_its_bits_say(model: Sequential) -> None:
    assert numbers(share_layers(model, 3)) == [8, 8]
    assert numbers(share_layers(model, [1, 4], "density")) == [2, 16]
    assert numbers(share_layers(model, [None, 2])) == [600, 4]
    assert not any(w.parametrizations for w in model.weights())
    for bits, error in (([3], ShapeError), ([3, 17], RangeError), ([3, 1.5], DTypeError), (-1, RangeError),
                        (0, RangeError)):
        with pytest.raises(error):
            share_layers(model, bits)
    with pytest.raises(StateError):
        share_layers(share_layers(model, 3), 2)


def test_size_counts_codes_and_codebooks_of_survivors(model: Sequential) -> None:
    assert stored_bits(model) == 0
    assert stored_bits(share_layers(model, [2, 3])) == 600 * 2 + 300 * 3 + (4 + 8) * 32
    assert stored_bits(share_layers(model, [None, 3])) == 300 * 3 + 8 * 32
    prune(model.weights(), 0.5, scope="layerwise")
    assert stored_bits(share_layers(model, 2)) == 450 * 2 + 8 * 32
    share(model.weights()[0], 5)
    assert stored_bits(model) == 300 * 3 + 5 * 32


def test_sensitivity_shares_one_layer_at_a_time(model: Sequential) -> None:
    seen = []
    curves = sensitivity(model, [1, 3], lambda m: seen.append(numbers(m)) or float(len(seen)))
    assert curves == {"layers.0.weight": [1, 2], "layers.2.weight": [3, 4]}
    assert seen == [[2, 300], [8, 300], [600, 2], [600, 8]]
    assert not any(w.parametrizations for w in model.weights())


def test_a_layer_that_costs_more_keeps_more_bits(model: Sequential) -> None:
    """Four times the cost a stored bit is one bit more: costs 600 and 300 are even."""
    assert allocate(model, 1000 / 4**4, loss(600, 300)) == [4, 4]
    assert allocate(model, 5000 / 4**4, loss(600, 16 * 300)) == [3, 5]
    assert allocate(model, 10_000, loss(600, 300)) == [1, 1]


def test_the_limit_is_kept_and_used_up(model: Sequential) -> None:
    for limit in (3.0, 10.0, 40.0):
        measure = loss(600, 900)
        bits = allocate(model, limit, measure)
        assert measure(share_layers(model, bits)) <= limit
        fewer = [[b - (i == j) for j, b in enumerate(bits)] for i in range(2) if bits[i] > 1]
        assert all(measure(share_layers(model, few)) > limit for few in fewer)
    with pytest.raises(RangeError, match="allowed: at most"):
        allocate(model, 0.1, loss(600, 300), most=4)


def test_bits_that_save_nothing_are_given_up() -> None:
    tiny = Sequential([Linear(2, 3, rng=0)])  # 6 weights: 3 bits do all that 5 could
    assert allocate(tiny, loss(1)(tiny), loss(1), most=5) == [3]
    assert all(isinstance(w.parametrizations[0], Codebook) for w in share_layers(tiny, 5).weights())
