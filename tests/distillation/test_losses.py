"""Soft losses: gradients, T², limits, direction, stability; test_mistakes.py plants what goes wrong elsewhere."""

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.special import softmax as scipy_softmax

from minicompress.distillation.losses import distill, match_logits, soft, soften
from minicompress.errors import DTypeError, RangeError, ShapeError
from minicompress.nn import cross_entropy, softmax

RNG = np.random.default_rng(0)
N, C = 6, 5
Z, V = RNG.uniform(-3, 3, (2, N, C))
T_ONE_HOT = np.eye(C)[[0, 4, 2, 2, 1, 3]]
temperatures = st.floats(0.05, 500)


def centred(z):
    return z - z.mean(1, keepdims=True)


def slope(f, h):
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def check_gradient(loss, z, target, h=1e-3):
    _, dz = loss(z, target)
    for seed in range(4):
        d = np.random.default_rng(seed).uniform(-1, 1, z.shape)
        numeric = slope(lambda t, d=d: loss(z + t * d, target)[0], h)
        assert abs(numeric - (dz * d).sum()) < 1e-6 * (abs(numeric) + abs(dz).max())


@pytest.mark.parametrize("T", [1e-2, 1, 4, 100, math.inf])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("alpha", [None, 0, 0.3, 1])
def test_gradients_are_the_derivatives(T, reverse, alpha):
    """At T = 0.01 the probabilities are almost 0 and 1: logits a few T apart, so that there is a slope."""
    z, v = (Z * 0.01, V * 0.01) if T == 1e-2 else (Z, V)
    step = 1e-5 if T == 1e-2 else 1e-3
    if alpha is None:
        check_gradient(soft(T, reverse=reverse), z, v, step)
    else:
        check_gradient(distill(T, alpha, reverse=reverse), z, np.hstack([T_ONE_HOT, v]), step)


@given(temperatures)
@settings(deadline=None, max_examples=50)
def test_the_gradient_is_T_times_the_difference(T):
    _, dz = soft(T)(Z, V)
    np.testing.assert_allclose(dz * N, T * (scipy_softmax(Z / T, 1) - scipy_softmax(V / T, 1)), atol=1e-10)
    assert np.abs(dz.sum(1)).max() < 1e-10


@given(temperatures, st.booleans())
@settings(deadline=None, max_examples=50)
def test_teacher_and_student_alike_leave_nothing_to_learn(T, reverse):
    value, dz = soft(T, reverse=reverse)(V, V)
    assert value == 0 and not dz.any()


def test_infinity_is_the_limit_in_both_directions():
    limit, d_limit = soft(math.inf)(Z, V)
    assert soft(math.inf) is soft(math.inf, reverse=True) is match_logits
    gaps = []
    for T in (10, 100, 1000):
        for reverse in (False, True):
            value, dz = soft(T, reverse=reverse)(Z, V)
            gaps.append(max(abs(value - limit), np.abs(dz - d_limit).max()) * T)
    assert max(gaps) < 5, "the distance falls as 1 / T"
    np.testing.assert_allclose(d_limit, centred(Z - V) / (C * N), atol=1e-12)


def by_definition(z, v, T, reverse):
    """T² KL and its gradient from the formulas of `soft`, with so many decimal digits that none is missed."""
    with localcontext(prec=660):  # at T = 1e300 the divergence is about 1e-600
        T, N, value, dz = Decimal(T), len(z), Decimal(0), np.empty(z.shape)
        for n in range(N):
            p, q = ([x / sum(e) for x in e] for e in ([(Decimal(float(x)) / T).exp() for x in r[n]] for r in (v, z)))
            g = [(b / a).ln() for a, b in zip(p, q, strict=True)]
            kl = sum(b * r for b, r in zip(q, g, strict=True)) if reverse else -sum(
                a * r for a, r in zip(p, g, strict=True))
            value += T * T * kl / N
            dz[n] = [T * b * (r - kl) / N if reverse else T * (b - a) / N for a, b, r in zip(p, q, g, strict=True)]
    return float(value), dz


@pytest.mark.parametrize("T", [1e-3, 0.1, 1, 20, 1e3, 1e6, 1e8, 1e17, 1e90, 1e155, 1e300])
@pytest.mark.parametrize("reverse", [False, True])
def test_no_temperature_costs_digits(T, reverse):
    """A sure student (T ≤ 0.1) has a reverse gradient near 0 as the difference of two larger numbers."""
    for dtype, tolerance in ((np.float64, 1e-14), (np.float32, 1e-6)):
        z, v = Z[:2].astype(dtype), V[:2].astype(dtype)
        value, dz = by_definition(z, v, T, reverse)
        ours, d = soft(T, reverse=reverse)(z, v)
        assert ours == pytest.approx(value, rel=1e-14) and d.dtype == dtype
        scale = 1 if reverse and T <= 0.1 else np.abs(dz).max()
        assert np.abs(d - dz).max() < tolerance * scale


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reverse", [False, True])
def test_heat_approaches_the_limit_and_stays(dtype, reverse):
    z, v = Z.astype(dtype), V.astype(dtype)
    limit, d_limit = match_logits(z, v)
    found = [soft(10.0**k, reverse=reverse)(z, v) for k in range(3, 20)]
    gaps = [abs(value - limit) for value, _ in found]
    assert all(b < a / 9 or b < 1e-14 for a, b in itertools.pairwise(gaps))
    d_gaps = [np.abs(d - d_limit).max() for _, d in found]
    floor = 4 * np.finfo(dtype).eps * np.abs(d_limit).max()
    assert all(b < a / 9 or b < floor for a, b in itertools.pairwise(d_gaps))


@given(st.floats(-3, 300), st.booleans(), st.floats(-12, 3))
@settings(deadline=None, max_examples=100)
def test_values_are_never_negative(exponent, reverse, distance):
    """Also where student and teacher almost agree, or differ by a constant."""
    v = V * 10.0 ** min(distance, 2)
    for z in (v + 10.0**distance * Z, v + 10.0**distance, v):
        value, dz = soft(10.0**exponent, reverse=reverse)(z, v)
        assert value >= 0 and np.isfinite(dz).all()
    assert value == 0 and not dz.any()


def test_the_directions_differ_where_one_network_is_sure():
    """p has two classes, q but one: KL(p ‖ q) punishes the class left out, KL(q ‖ p) hardly minds."""
    v, one, all_ = np.array([[5.0, 5, -5, -5]]), np.array([[9.0, -1, -5, -5]]), np.array([[2.0, 2, 1, 1]])
    forward, backward = soft(1), soft(1, reverse=True)
    assert forward(one, v)[0] > forward(all_, v)[0]
    assert backward(one, v)[0] < backward(all_, v)[0]
    assert backward(one, v)[0] == pytest.approx(rel_entr(softmax(one), softmax(v)).sum())


def test_temperature_softmax_is_stable_from_end_to_end():
    z = np.array([[100.0, 10, 1]])
    np.testing.assert_allclose(soften(z, 100), [[0.562, 0.229, 0.209]], atol=1e-3)
    np.testing.assert_allclose(soften(z), [[1, 0, 0]], atol=1e-30)
    assert np.array_equal(soften(z, 1e-3), [[1, 0, 0]])
    assert np.array_equal(soften(z, math.inf), np.full((1, 3), 1 / 3))
    for T in (1e-3, 1, 1e6, math.inf):
        q = soften(1000 * Z, T)
        np.testing.assert_allclose(q.sum(1), 1)
        for reverse in (False, True):
            value, dz = soft(T, reverse=reverse)(1000 * Z, 1000 * V)
            assert np.isfinite(value) and np.isfinite(dz).all()


@given(temperatures, st.floats(0, 1), st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_mix_is_the_weighted_sum_of_its_parts(T, alpha, reverse):
    """Only the teacher's part has a temperature, T², and a direction."""
    value, dz = distill(T, alpha, reverse=reverse)(Z, np.hstack([T_ONE_HOT, V]))
    (a, da), (b, db) = cross_entropy(Z, T_ONE_HOT.argmax(1)), soft(T, reverse=reverse)(Z, V)
    assert value == pytest.approx((1 - alpha) * a + alpha * b)
    np.testing.assert_allclose(dz, (1 - alpha) * da + alpha * db, atol=1e-12)


@pytest.mark.parametrize("loss", [soft(4), soft(4, reverse=True), match_logits])
def test_losses_are_means_and_dtype_follows(loss):
    value, dz = loss(Z, V)
    alone = [loss(Z[i : i + 1], V[i : i + 1]) for i in range(N)]
    np.testing.assert_allclose(value, np.mean([v for v, _ in alone]))
    np.testing.assert_allclose(dz, np.concatenate([d for _, d in alone]) / N)
    z = Z.astype(np.float32)
    z.flags.writeable = False
    value32, d32 = loss(z, V)
    assert d32.dtype == np.float32 and type(value32) is float and value32 == pytest.approx(value, rel=1e-4)
    assert distill(4, 0.5)(z, np.hstack([T_ONE_HOT, V]))[1].dtype == np.float32


def test_names_tell_the_settings():
    names = {loss.__name__ for loss in (soft(1), soft(2), soft(2, reverse=True), distill(2, 0.1), distill(2, 0.2))}
    assert len(names) == 5


@pytest.mark.parametrize("T", [0, -1, 1e-4, -math.inf, math.nan])
def test_temperatures_out_of_range_are_refused(T):
    for make in (soft, distill, lambda T: soften(Z, T)):
        with pytest.raises(RangeError):
            make(T)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DTypeError):
        soft("4")
    with pytest.raises(RangeError, match="alpha"):
        distill(4, 1.5)
    with pytest.raises(ShapeError, match="side by side"):
        distill(4, 0.5)(Z, V)
    for loss in (soft(4), match_logits):
        with pytest.raises(ShapeError, match="target"):
            loss(Z, V[:, :3])
        with pytest.raises(ShapeError, match="target"):
            loss(Z, np.arange(N))
