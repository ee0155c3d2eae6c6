"""Masks and codebooks in any chain: the right gradient, and a frozen form with the same weight."""

import copy

import numpy as np
import pytest

from minicompress.nn import Parameter
from minicompress.pruning.magnitude import Masked, Scatter
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
