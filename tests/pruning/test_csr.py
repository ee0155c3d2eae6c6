"""Compressed sparse rows compute what the dense layers compute, and take the bytes that are claimed."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from minicompress.errors import ShapeError
from minicompress.nn import (
    BatchNorm,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    predict,
)
from minicompress.pruning.csr import csr, csr_bytes
from minicompress.pruning.magnitude import prune


def integers(model, rng):
    """The model with small integers as weights and biases: sums are exact, so any order gives the same bits."""
    rng = np.random.default_rng(rng)
    for p in model.parameters():
        p.data[...] = rng.integers(-3, 4, p.data.shape)
    return model


def mlp(rng=0):
    return Sequential([Linear(12, 9, rng=rng), ReLU(), Linear(9, 7, bias=False, rng=rng), Linear(7, 3, rng=rng)])


@pytest.mark.parametrize("batch", [1, 2, 33])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.95])
def test_a_pruned_network_gives_the_same_numbers(batch, sparsity):
    model = integers(mlp(), 1)
    prune(model.weights(), sparsity, min_keep=1)
    x = np.random.default_rng(2).integers(-3, 4, (batch, 12)).astype(float)
    assert np.array_equal(csr(model)(x), predict(model, x))


@given(st.sampled_from([(1, 1), (2, 2), (1, 3)]), st.sampled_from([(0, 0), (1, 1), (0, 1)]), st.sampled_from([1, 2]),
       st.integers(1, 3), st.booleans())
def test_convolutions_too(stride, padding, groups, batch, bias):
    layer = integers(Conv2d(4, 6, (3, 2), stride=stride, padding=padding, groups=groups, bias=bias, rng=0), 1)
    prune(layer.weights(), 0.7)
    x = np.random.default_rng(2).integers(-3, 4, (batch, 4, 7, 6)).astype(float)
    assert np.array_equal(csr(layer)(x), predict(layer, x))


def test_a_whole_network_in_evaluation_mode():
    rng = np.random.default_rng(0)
    body = Sequential([Conv2d(4, 4, 3, padding=1, rng=rng), BatchNorm(4), ReLU(),
                       Conv2d(4, 4, 3, padding=1, groups="channels", rng=rng)])
    model = Sequential([Conv2d(1, 4, 3, rng=rng), Residual(body), Residual(body, Conv2d(4, 4, 1, rng=rng)),
                        Concat([ReLU(), Conv2d(4, 2, 1, rng=rng)]), MaxPool2d(2), Flatten(), Dropout(0.5, rng=0),
                        Linear(54, 10, rng=rng)])
    prune(model.weights(), 0.8)
    x = rng.random((5, 1, 8, 8))
    assert model.training, "the model itself stays in training mode"
    assert np.allclose(csr(model)(x), predict(model, x), rtol=1e-12, atol=1e-12)
    assert model.training and not any(layer.pending for layer in model.layers)


def test_it_is_a_copy_of_the_model_as_it_is_now():
    model, x = mlp(), np.ones((2, 12))
    before, forward = copy.deepcopy(model), csr(model)
    for p in model.parameters():
        p.data += 1
    assert np.allclose(forward(x), predict(before, x), rtol=1e-12, atol=1e-12)


def test_single_precision_stays():
    layer = Linear(8, 4, rng=0, dtype=np.float32)
    assert csr(layer)(np.ones((3, 8), np.float32)).dtype == np.float32


def test_a_product_is_what_the_formula_says():
    rng = np.random.default_rng(0)
    W, x = rng.integers(-1, 2, (5, 7)).astype(float), rng.random(7)
    m = csr_array(W)
    values, columns, starts = m.data, m.indices, m.indptr
    rows = [sum(values[j] * x[columns[j]] for j in range(starts[i], starts[i + 1])) for i in range(5)]
    assert np.allclose(rows, W @ x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_are_those_of_the_three_arrays(dtype):
    W = np.random.default_rng(0).integers(-1, 2, (5, 7)).astype(dtype)
    m = csr_array(W)
    assert csr_bytes(W) == m.data.nbytes + m.indices.nbytes + m.indptr.nbytes


@pytest.mark.parametrize("layer, shape", [(Linear(8, 4, rng=0), (3, 7)), (Linear(8, 4, rng=0), (8,)),
                                          (Conv2d(2, 4, 3, rng=0), (1, 3, 8, 8))])
def test_an_input_that_does_not_fit_is_refused(layer, shape):
    with pytest.raises(ShapeError, match="allowed"):
        csr(layer)(np.ones(shape))
