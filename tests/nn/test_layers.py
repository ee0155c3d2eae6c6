"""Linear and Flatten against their formulas; what every layer offers. Gradients: test_every_layer.py."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import ShapeError


def test_linear_is_its_formula() -> None:
    layer, x = nn.Linear(5, 3, rng=0), np.random.default_rng(1).uniform(-1, 1, (4, 5))
    layer.bias.data[...] = [1, 2, 3]
    W, b = layer.weight.data, layer.bias.data
    expected = [[sum(W[o, i] * row[i] for i in range(5)) + b[o] for o in range(3)] for row in x]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-14)


@pytest.mark.parametrize(("init", "gain"), [("he", 6 / 300), ("glorot", 6 / 400)])
def test_initial_weights_fill_their_interval(init: str, gain: float) -> None:
    layer = nn.Linear(300, 100, rng=0, init=init)
    W = layer.weight.data
    assert np.abs(W).max() <= np.sqrt(gain)
    assert abs(W.var() - gain / 3) < 0.02 * gain / 3
    assert not layer.bias.data.any()


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (nn.Linear(4, 4, rng=seed).weight.data for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(nn.Linear(4, 4, rng=rng).weight.data, one)
    assert (nn.Linear(4, 4, rng=rng).weight.data != one).any(), "a generator goes on"


def test_a_layer_reads_its_sizes_from_the_arrays() -> None:
    layer = nn.Linear(5, 3, rng=0)
    layer.weight.become(np.ones((2, 4)))
    layer.bias.become(np.zeros(2))
    np.testing.assert_array_equal(layer.forward(np.ones((1, 4))), [[4, 4]])
    assert repr(layer) == "Linear(4 → 2)"


def test_wrong_input_names_the_layer_and_changes_nothing() -> None:
    layer = nn.Linear(5, 3, rng=0)
    layer.forward(np.ones((2, 5)))
    saved = layer.saved
    with pytest.raises(ShapeError, match=r"Linear\(5 → 3\) got x of shape \(2, 4\); allowed: \(N, 5\)"):
        layer.forward(np.ones((2, 4)))
    assert layer.saved is saved


def test_flatten_keeps_the_order_of_reading() -> None:
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    layer = nn.Flatten()
    batch_innermost = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    layer.train(False)
    for same in (x, batch_innermost):
        np.testing.assert_array_equal(layer.forward(same), np.arange(24.0).reshape(2, 12))
    np.testing.assert_array_equal(layer.backward(layer.forward(x)), x)


def test_parameters_and_weights() -> None:
    first, norm, gate, last = nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm(2), nn.Gate(2), nn.Linear(8, 2, rng=1)
    model = nn.Sequential([first, norm, gate, nn.Flatten(), last])
    assert model.parameters() == [first.weight, first.bias, norm.scale, norm.shift, gate.gate, last.weight, last.bias]
    assert model.weights() == [first.weight, last.weight]


def test_linear_saves_its_input_and_weight() -> None:
    layer, x = nn.Linear(5, 3, rng=0), np.ones((2, 5))
    layer.forward(x)
    assert layer.saved[0] is x
    assert layer.saved[1] is layer.weight.data


def test_backward_may_be_asked_twice_for_one_forward() -> None:
    """Curvature and scores send several gradients back through one pass."""
    layer = nn.Linear(5, 3, rng=0)
    layer.forward(np.ones((2, 5)))
    first, second = layer.backward(np.ones((2, 3))), layer.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(first, second)
    assert (layer.bias.grad == 4).all()


def test_abstract_layers_do_nothing() -> None:
    for call in (nn.Layer().forward, nn.Layer().backward):
        with pytest.raises(NotImplementedError):
            call(np.ones(1))


def test_validate_finds_arrays_that_do_not_fit() -> None:
    layer = nn.Linear(5, 3, rng=0)
    layer.validate()
    layer.bias.become(np.zeros(4))
    with pytest.raises(ShapeError, match=r"weight \(3, 5\) and bias \(4,\)"):
        layer.validate()
