"""Criteria, actions and held weights: by hand on a few numbers, by property on many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.errors import ShapeError
from minicompress.lottery.deconstruct import (
    CRITERIA,
    KEPT,
    PRUNED,
    Held,
    at_random,
    both,
    by_sign,
    grown,
    ranks,
    signed_constant,
)
from minicompress.nn.grid import few_bits
from minicompress.pruning.magnitude import keep_largest

I = np.array([0.1, -0.2, 0.3, -0.4, 0.5, -0.6])
F = np.array([-0.9, -0.25, 0.05, -0.8, 0.45, 0.2])
ARRAYS = st.integers(1, 60).flatmap(lambda n: st.tuples(*2 * [st.lists(
    st.floats(-2, 2).filter(lambda x: abs(x) > 1e-6), min_size=n, max_size=n).map(np.array)]))
TWO_KEPT = {  # which two of the six, by hand
    "large final": {0, 3}, "small final": {2, 5}, "large init": {4, 5}, "small init": {0, 1},
    "magnitude increase": {0, 3}, "movement": {0, 5}, "large init and final": {3, 4}, "small init and final": {1, 2},
    "large final, same sign": {3, 4}, "large final, other sign": {0, 5},
    "magnitude increase, same sign": {1, 3}, "magnitude increase, other sign": {0, 5}}


def kept(criterion, count):
    return set(np.flatnonzero(keep_largest(criterion(I, F), count)).tolist())


@pytest.mark.parametrize("name", CRITERIA)
def test_what_each_criterion_keeps(name):
    assert kept(CRITERIA[name], 2) == TWO_KEPT[name]


@pytest.mark.parametrize("name", CRITERIA)
@settings(deadline=None, max_examples=30)
@given(pair=ARRAYS)
def test_a_criterion_is_pure_and_sees_magnitudes_not_orientation(name, pair):
    """The bug of a threshold on w instead of |w| keeps other weights when all signs are turned."""
    i, f = pair
    before = i.copy(), f.copy()
    scores = CRITERIA[name](i, f)
    np.testing.assert_array_equal(before, (i, f))
    assert scores.shape == i.shape and np.isfinite(scores).all()
    for count in (0, 1, i.size // 2, i.size):
        mask = keep_largest(scores, count)
        assert mask.sum() == count
        np.testing.assert_array_equal(mask, keep_largest(CRITERIA[name](-i, -f), count))


def test_a_threshold_on_w_is_caught():
    """The planted bug: without the magnitude, large negative weights go first."""
    wrong = keep_largest(F, 3)
    assert set(np.flatnonzero(wrong)) != kept(CRITERIA["large final"], 3)
    assert (wrong != keep_largest(-F, 3)).any()  # what the property above would see


@settings(deadline=None, max_examples=30)
@given(pair=ARRAYS)
def test_ranks_are_a_permutation_that_orders_as_the_numbers_do(pair):
    x = np.round(pair[0], 1)
    r = ranks(x)
    assert sorted(r.tolist()) == list(range(x.size))
    for count in range(x.size + 1):
        np.testing.assert_array_equal(keep_largest(r, count), keep_largest(x, count))  # ties included


@settings(deadline=None, max_examples=30)
@given(pair=ARRAYS, share=st.floats(0, 1))
def test_both_keeps_what_is_above_two_thresholds(pair, share):
    i, f = np.abs(pair)
    score = both(lambda i, f: i, lambda i, f: f)(i, f)
    limit = int(share * i.size)
    np.testing.assert_array_equal(score >= limit, (ranks(i) >= limit) & (ranks(f) >= limit))


@settings(deadline=None, max_examples=30)
@given(pair=ARRAYS, same=st.booleans())
def test_a_sign_variant_exhausts_its_sign_first(pair, same):
    i, f = pair
    ahead = (i * f > 0) == same
    scores = by_sign(CRITERIA["large final"], same)(i, f)
    np.testing.assert_array_equal(keep_largest(scores, int(ahead.sum())), ahead)


def test_random_masks_differ_and_follow_their_seed():
    first = at_random(0)
    a, b, again = first(I, F), first(I, F), at_random(0)(I, F)
    assert (a != b).any() and (a == again).all()


MASK = np.array([True, False, True, True, False, True])


def test_where_kept_weights_start():
    starts = {name: action(I, F, MASK, np.random.default_rng(0)) for name, action in KEPT.items()}
    size = abs(signed_constant(I)[0])
    assert (starts["rewind"] == I).all()
    assert sorted(starts["re-init"]) == sorted(I) and (starts["re-init"] != I).any()
    assert sorted(starts["reshuffle"][MASK]) == sorted(I[MASK]) and (starts["reshuffle"] != I).any()
    assert sorted(starts["constant"]) == [-size] * 3 + [size] * 3
    np.testing.assert_array_equal(starts["constant, same sign"], size * np.sign(I))
    for name in ("re-init", "reshuffle"):
        values = starts[f"{name}, same sign"]
        assert (np.sign(values) == np.sign(I)).all()
        np.testing.assert_array_equal(np.sort(np.abs(values[MASK if name == "reshuffle" else slice(None)])),
                                      np.sort(np.abs(I[MASK] if name == "reshuffle" else I)))


def test_actions_change_nothing_they_are_given():
    before = I.copy(), F.copy(), MASK.copy()
    for action in KEPT.values():
        action(I, F, MASK, np.random.default_rng(1))
    for values in PRUNED.values():
        values(I, F)
    assert all((a == b).all() for a, b in zip(before, (I, F, MASK), strict=True))


def test_signs_are_put_ahead_of_the_criterion_that_was_named():
    """Among the weights of the wanted sign the largest |f| and the largest growth are not the same."""
    i = np.array([0.9, -0.1, 0.8, -0.1, 0.7, -0.3])
    f = np.array([1.0, -0.5, -0.9, 0.6, -0.65, 0.1])

    def first(name):
        return int(np.argmax(CRITERIA[name](i, f)))

    assert (first("large final, other sign"), first("magnitude increase, other sign")) == (2, 3)
    assert (first("large final, same sign"), first("magnitude increase, same sign")) == (0, 1)


def test_what_pruned_weights_are():
    np.testing.assert_array_equal(grown(I, F), [0.1, -0.2, 0, -0.4, 0, 0])
    np.testing.assert_array_equal(PRUNED["init where shrunk"](I, F), [0, 0, 0.3, 0, 0.5, -0.6])
    assert (PRUNED["zero"](I, F) == 0).all() and (PRUNED["init"](I, F) == I).all()
    assert (grown(I, I) == I).all()  # what never moved is at init


def test_sums_of_signed_constants_cancel_exactly_through_three_layers():
    """Else the sign of a zero sum, and with it ReLU and argmax, would depend on the order of summation."""
    rng = np.random.default_rng(0)
    a, b, c = (signed_constant(rng.uniform(-0.2, 0.2, shape)) for shape in ((100, 64), (50, 100), (10, 50)))
    x, factors = rng.integers(0, 17, (200, 64)) / 16, (few_bits(1 / 0.37), few_bits(1 / 0.41), few_bits(1 / 0.43))

    def outputs(orders):
        h = x
        for W, factor, order in zip((a, b, c), factors, orders, strict=True):
            h = np.maximum(sum(h[:, [i]] * (factor * W[:, i]) for i in order), 0)
        return h

    shuffled = [rng.permutation(n) for n in (64, 100, 50)]
    np.testing.assert_array_equal(outputs([range(64), range(100), range(50)]), outputs(shuffled))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_constant_is_the_deviation_in_few_bits_and_dtypes_stay(dtype):
    i = np.random.default_rng(0).uniform(-0.1, 0.1, (30, 40)).astype(dtype)
    c = signed_constant(i)
    assert c.dtype == dtype and (np.sign(c) == np.sign(i)).all() and len(np.unique(np.abs(c))) == 1
    assert abs(np.abs(c).max() / i.std() - 1) <= 2**-5 and (np.abs(c) * 2**9 % 1 == 0).all()
    assert all(action(i, i, i > 0, np.random.default_rng(0)).dtype == dtype for action in KEPT.values())
    assert all(values(i, -i).dtype == dtype for values in PRUNED.values())


def test_held_weights_stay_and_the_others_train():
    p = nn.Parameter(I, [Held(MASK, F)])
    optimizer = nn.SGD([p], 0.1)
    for _ in range(5):
        p.backward(np.ones(6))
        optimizer.step()
    w = p.forward()
    np.testing.assert_array_equal(w[~MASK], F[~MASK])
    assert (w[MASK] < I[MASK]).all()
    p.freeze()
    assert p.parametrizations == [] and (p.forward() == w).all()


def test_held_freezes_under_a_mask():
    from minicompress.pruning.masks import Masked
    outer = np.array([True, True, False, False, True, True])
    p = nn.Parameter(I, [Held(MASK, F), Masked(outer)])
    w = p.forward()
    p.freeze()
    np.testing.assert_array_equal(p.forward(), w)
    assert p.data.size == 4


def test_held_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r"mask of shape \(6,\) and values of shape \(5,\)"):
        Held(MASK, F[:5])
    with pytest.raises(ShapeError, match="meet a weight of shape"):
        nn.Parameter(I[:3], [Held(MASK, F)])
