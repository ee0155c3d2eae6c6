"""Activations and Dropout against their formulas, Sign against the rule that stands in for its derivative."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from minicompress import nn

numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20).map(np.array)


@given(numbers)
@settings(max_examples=50)
def test_activations_are_their_formulas(x: np.ndarray) -> None:
    np.testing.assert_array_equal(nn.ReLU().forward(x), [max(v, 0) for v in x])
    np.testing.assert_array_equal(nn.Tanh().forward(x), np.tanh(x))
    np.testing.assert_allclose(nn.Sigmoid().forward(x), expit(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(nn.Sign().forward(x), [1 if v >= 0 else -1 for v in x])


def test_relu_closes_at_zero() -> None:
    layer = nn.ReLU()
    layer.forward(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(layer.backward(np.array([5.0, 5.0, 5.0])), [0, 0, 5])


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(nn.Sigmoid().forward(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])


def test_sign_passes_the_gradient_where_the_input_is_small() -> None:
    layer, x = nn.Sign(), np.array([-1.5, -1.0, -0.0, 0.0, 0.3, 1.0, 1.0001])
    np.testing.assert_array_equal(layer.forward(x), [-1, -1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(layer.backward(np.arange(1.0, 8)), [0, 2, 3, 4, 5, 6, 0])


@pytest.mark.parametrize("shape", [(200, 50), (20, 10, 10, 5)])
def test_dropout_keeps_the_mean(shape: tuple[int, ...]) -> None:
    layer = nn.Dropout(0.3, rng=0)
    y = layer.forward(np.ones(shape))
    assert set(np.unique(y)) == {0, 1 / (1 - 0.3)}
    assert abs(y.mean() - 1) < 0.02
    np.testing.assert_array_equal(layer.backward(np.ones(shape)), y)


def test_dropout_draws_anew_in_each_pass_from_its_own_generator() -> None:
    def masks(seed: int) -> list[np.ndarray]:
        layer, found = nn.Dropout(0.5, rng=seed), []
        for _ in range(2):
            found.append(layer.forward(np.ones((4, 30))))
            layer.backward(found[-1])
        return found

    first, second = masks(0)
    assert (first != second).any()
    np.testing.assert_array_equal(first, masks(0)[0])
    assert (first != masks(1)[0]).any()


def test_dropout_does_nothing_in_evaluation_and_draws_nothing() -> None:
    layer, x = nn.Dropout(0.5, rng=0), np.ones((3, 4))
    before = layer.rng.bit_generator.state
    layer.train(False)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    assert layer.rng.bit_generator.state == before


def test_dropout_of_nothing_is_the_identity() -> None:
    x = np.random.default_rng(0).random((3, 4))
    np.testing.assert_array_equal(nn.Dropout(0.0, rng=0).forward(x), x)
