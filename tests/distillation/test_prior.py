"""Biases from a prior: the mean probability is met, labels play no part, the shift lands in the right place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.distillation.prior import correct_bias, match_prior
from minicompress.errors import RangeError, StateError
from minicompress.nn import Linear, ReLU, Sequential, predict, softmax

X = np.random.default_rng(1).random((50, 4))


def logits(seed, spread=5.0):
    return np.random.default_rng(seed).uniform(-spread, spread, (40, 4))


@given(st.integers(0, 100), st.floats(0.001, 0.999), st.integers(0, 3), st.floats(0.1, 200))
@settings(deadline=None, max_examples=50)
def test_one_class_gets_its_share(seed, prior, c, spread):
    z = logits(seed, spread)
    b = match_prior(z, {c: prior})
    assert softmax(z + b).mean(0)[c] == pytest.approx(prior, abs=1e-6)
    assert not np.delete(b, c).any()


@given(st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_several_classes_get_their_shares(seed):
    z = logits(seed)
    prior = dict(enumerate(np.random.default_rng(seed).dirichlet(np.full(4, 5.0))))
    for chosen in ((1, 3), (0, 1, 2), range(4)):
        b = match_prior(z, {c: prior[c] for c in chosen})
        np.testing.assert_allclose(softmax(z + b).mean(0)[list(chosen)], [prior[c] for c in chosen], atol=1e-6)
        assert not np.delete(b, chosen).any()


def test_a_prior_that_holds_already_shifts_nothing():
    z = logits(0)
    held = softmax(z).mean(0)
    np.testing.assert_allclose(match_prior(z, {2: held[2]}), 0, atol=1e-12)


def test_the_shift_grows_with_the_prior_and_undoes_an_old_shift():
    z = logits(3)
    shifts = [match_prior(z, {1: p})[1] for p in (0.01, 0.1, 0.5, 0.9)]
    assert shifts == sorted(shifts)
    moved = z - 7 * np.eye(4)[1]
    assert match_prior(moved, {1: 0.1})[1] == pytest.approx(shifts[1] + 7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_models_own_bias_moves(dtype):
    inner = Sequential([ReLU(), Linear(8, 3, rng=1, dtype=dtype)])
    model = Sequential([Linear(4, 8, rng=0, dtype=dtype), inner])
    x = X.astype(dtype)
    before, bias = predict(model, x), inner.layers[1].bias.data.copy()
    b = correct_bias(model, x, {2: 0.05})
    np.testing.assert_allclose(predict(model, x), before + b, atol=1e-5)
    np.testing.assert_allclose(inner.layers[1].bias.data - bias, b, atol=1e-5)
    assert softmax(predict(model, x)).mean(0)[2] == pytest.approx(0.05, abs=1e-5)
    assert inner.layers[1].bias.data.dtype == dtype


def test_models_without_an_output_bias_are_refused_and_unchanged():
    for last in ([ReLU()], [Linear(8, 3, rng=0, bias=False)]):
        model = Sequential([Linear(4, 8, rng=0), *last])
        before = predict(model, X)
        with pytest.raises(StateError, match="ends in"):
            correct_bias(model, X, {0: 0.1})
        assert np.array_equal(predict(model, X), before)


@pytest.mark.parametrize("prior", [{4: 0.1}, {-1: 0.1}, {0: 0.0}, {0: 1.0}, {0: 0.6, 1: 0.4}, {0: 0.9, 1: 0.9},
                                   dict.fromkeys(range(4), 0.1)])
def test_priors_that_no_shift_reaches_are_refused(prior):
    with pytest.raises(RangeError):
        match_prior(logits(0), prior)
