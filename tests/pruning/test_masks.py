"""Masks: alone and with codebooks in any chain the right gradient, and a frozen form with the same weight."""

import copy

import numpy as np
import pytest

from minicompress.errors import DTypeError, ShapeError, StateError
from minicompress.nn import SGD, Linear, Parameter
from minicompress.pruning.masks import Masked, Scatter, apply_mask
from minicompress.quantization.sharing import Codebook


def chains():
    rng = np.random.default_rng(3)
    m, n = rng.random((4, 5)) < 0.6, rng.random((4, 5)) < 0.6
    w, codes = rng.normal(size=(4, 5)), rng.integers(0, 3, (4, 5)).astype(np.uint8)
    two = np.array([True, False, True])
    return {
        "plain": Parameter(w),
        "Masked": Parameter(w, [Masked(m)]),
        "Masked, Masked": Parameter(w, [Masked(m), Masked(n)]),
        "Scatter": Parameter(w[m], [Scatter(m)]),
        "Scatter, Masked": Parameter(w[m], [Scatter(m), Masked(n)]),
        "Codebook": Parameter(np.array([-1.0, 0.5, 2.0]), [Codebook(codes)]),
        "Codebook, Masked": Parameter(np.array([-1.0, 0.5, 2.0]), [Codebook(codes), Masked(m)]),
        "Codebook, Scatter": Parameter(np.array([-1.0, 0.5, 2.0]), [Codebook(codes[m]), Scatter(m)]),
        "Codebook, Scatter, Masked": Parameter(np.array([-1.0, 0.5, 2.0]), [Codebook(codes[m]), Scatter(m), Masked(n)]),
        "Masked, Codebook": Parameter(np.array([-1.0, 0.5, 2.0]), [Masked(two), Codebook(codes)]),
        "everything": Parameter(np.array([-1.0, 2.0]), [Scatter(two), Codebook(codes[m & n]), Scatter((m & n)[m]),
                                                        Scatter(m)]),
    }


@pytest.mark.parametrize("name", chains())
def test_freezing_keeps_the_weight_bit_for_bit_and_only_the_survivors(name):
    parameter = chains()[name]
    before = parameter.forward().copy()
    parameter.freeze()
    assert np.array_equal(before, parameter.forward()) and before.dtype == parameter.forward().dtype
    assert not any(isinstance(p, Masked) for p in parameter.parametrizations)
    if "Masked" in name and "Codebook" not in name:
        assert parameter.data.size == np.count_nonzero(before)
    again = copy.deepcopy(parameter)
    again.freeze()
    assert again.data.size == parameter.data.size


@pytest.mark.parametrize("name", chains())
def test_the_gradient_of_every_chain_is_that_of_its_weight(name):
    parameter = chains()[name]
    rng = np.random.default_rng(5)
    dw, direction = rng.normal(size=(4, 5)), rng.normal(size=parameter.data.shape)
    parameter.backward(dw)
    slope, h = (parameter.grad * direction).sum(), 1e-4
    ends = []
    for sign in (1, -1):
        moved = copy.deepcopy(parameter)
        moved.data += sign * h * direction
        ends.append((moved.forward() * dw).sum())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7, abs=1e-10)


def test_mask_inside_and_outside_of_a_codebook_differ():
    inside, outside = chains()["Masked, Codebook"], chains()["Codebook, Masked"]
    inside.freeze()
    outside.freeze()
    assert [type(p) for p in outside.parametrizations] == [Codebook, Scatter]
    assert [type(p) for p in inside.parametrizations] == [Scatter, Codebook]


def step(layer, optimizer):
    layer.backward(layer(np.ones((2, 3))))
    optimizer.step()


def test_the_first_mask_starts_a_new_optimisation_and_a_later_one_only_tightens_it():
    layer = Linear(3, 2, rng=0)
    optimizer = SGD(layer.parameters(), 0.1)
    first, second = np.array([[1, 1, 0], [1, 1, 1]], bool), np.array([[1, 0, 1], [1, 1, 1]], bool)
    apply_mask(layer.weight, first)
    with pytest.raises(StateError, match="new optimizer"):
        step(layer, optimizer)
    layer.train()
    optimizer = SGD(layer.parameters(), 0.1)
    step(layer, optimizer)
    apply_mask(layer.weight, second)
    step(layer, optimizer)
    assert optimizer.t == 2 and len(layer.weight.parametrizations) == 1
    assert np.array_equal(layer.weight.forward() != 0, first & second) and first.sum() == 5  # the caller's is untouched


def test_an_all_true_mask_changes_nothing():
    parameter = Parameter(np.ones((2, 3)))
    data = parameter.data
    apply_mask(parameter, np.ones((2, 3), bool))
    assert parameter.data is data and not parameter.parametrizations


def test_a_weight_that_loses_the_rest_in_two_masks_warns():
    parameter = Parameter(np.ones(4))
    apply_mask(parameter, np.array([True, True, False, False]))
    with pytest.warns(UserWarning, match="lost all its entries"):
        apply_mask(parameter, np.array([False, False, True, True]))


def test_wrong_masks_are_named_and_change_nothing():
    with pytest.raises(DTypeError):
        Masked(np.ones(3))
    with pytest.raises(ShapeError):
        Parameter(np.ones(3), [Masked(np.ones(4, bool))])
    with pytest.raises(ShapeError):
        Parameter(np.ones(3), [Scatter(np.ones(4, bool))])
    parameter = Parameter(np.ones((4, 5)), [Masked(np.ones((4, 5), bool))])
    with pytest.raises(ShapeError):
        apply_mask(parameter, np.ones(5, bool))  # NumPy would repeat it for every row
    assert parameter.parametrizations[0].mask.all()
