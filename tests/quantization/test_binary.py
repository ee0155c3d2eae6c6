"""Binary weights: signs, scales, draws, the order of chains, and one bit a weight in the file."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn, storage
from minicompress.errors import MiniCompressError, RangeError, ShapeError
from minicompress.pruning.masks import Masked, Scatter, apply_mask
from minicompress.quantization.binary import Binary, Signed, best_scale, binarize, glorot_limit, hard_sigmoid

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (6, 9))
X[0, :3] = 0.0, -0.0, 1e-300
M = RNG.random((6, 9)) < 0.6


def test_the_sign_of_zero_is_plus():
    w = nn.Parameter(X, [Binary(limit=0.5)]).forward()
    np.testing.assert_array_equal(w, np.where(X >= 0, 0.5, -0.5))


@pytest.mark.parametrize("scale", [None, "layer", "channel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_goes_straight_through_and_the_numbers_stay_real(scale, dtype):
    p = nn.Parameter(X.astype(dtype), [Binary(scale)])
    w, dw = p.forward(), RNG.uniform(-1, 1, X.shape).astype(dtype)
    p.backward(dw)
    np.testing.assert_array_equal(p.grad, dw)
    assert w.dtype == dtype and (p.data == X.astype(dtype)).all()
    assert (np.sign(w) == np.where(X >= 0, 1, -1)).all() and (np.ptp(np.abs(w), axis=1) == 0).all()
    assert len(np.unique(np.abs(w))) == 1 or scale == "channel"


def test_small_steps_add_up_until_the_sign_flips_and_never_leave_the_box():
    p = nn.Parameter(np.array([[0.25]]), [Binary(limit=0.5)])
    optimizer, seen = nn.SGD([p], 0.125, momentum=0), []
    for g in [1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1]:
        p.backward(np.array([[g]], float))
        optimizer.step()
        seen.append((p.data.item(), p.forward().item()))
    assert [x for x, _ in seen] == [0.125, 0, -0.125, -0.25, -0.375, -0.5, -0.5, -0.375, -0.25, -0.125, 0]
    assert [w for _, w in seen] == [0.5, 0.5] + 8 * [-0.5] + [0.5]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=10).map(np.array))
def test_the_mean_is_the_best_scale_of_all_sign_patterns(w):
    """By brute force: for given signs b the best α is b·w / n."""
    patterns = np.array(list(itertools.product([-1.0, 1.0], repeat=len(w))))
    alphas = np.maximum(patterns @ w / len(w), 0)
    best = ((w - alphas[:, None] * patterns) ** 2).sum(1).min()
    (alpha,) = best_scale(w[None])
    b = np.where(w >= 0, 1, -1)
    assert ((w - alpha * b) ** 2).sum() <= best + 1e-12
    assert all(((w - alpha * b) ** 2).sum() <= ((w - other * b) ** 2).sum() for other in alpha + np.linspace(-1, 1, 9))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=10).map(np.array))
def test_few_bits_of_the_scale_cost_next_to_nothing(w):
    """J(α) = J(best) + n (α - best)², and 8 bits move α by at most α / 256."""
    (best,), map_ = best_scale(w[None]), Binary("layer")
    rounded = np.abs(map_.forward(w[None]))[0, 0]
    assert abs(rounded - best) <= best / 256
    J = [((w - a * np.where(w >= 0, 1, -1)) ** 2).sum() for a in (rounded, best)]
    assert J[0] - J[1] <= len(w) * (best / 256) ** 2 + 1e-12


def test_scales_are_those_of_the_layer_or_of_each_channel_also_of_filters():
    K = RNG.uniform(-1, 1, (3, 2, 3, 3))
    np.testing.assert_allclose(best_scale(K, "channel"), [np.abs(k).mean() for k in K])
    np.testing.assert_allclose(best_scale(K), [np.abs(K).mean()])
    w = nn.Parameter(K, [Binary("channel")]).forward()
    assert all(len(np.unique(np.abs(k))) == 1 for k in w) and (np.sign(w) == np.sign(K)).all()


def test_sums_of_binary_weights_are_exact_in_any_order():
    w = Binary("layer").forward(RNG.uniform(-1, 1, (1, 999)))[0]
    x = RNG.integers(0, 17, 999) / 16
    sums = {float(np.cumsum((w * x)[RNG.permutation(999)])[-1]) for _ in range(20)}
    assert len(sums) == 1


def test_draws_have_the_mean_x_and_happen_once_a_step():
    p, total, n = nn.Parameter(X / 2, [Binary(limit=0.5, rng=0)]), np.zeros(X.shape), 4000
    for _ in range(n):
        w = p.forward()
        assert (p.forward() == w).all()  # also where the parameter is used twice
        total += w
        p.clear()
    assert set(np.unique(w)) == {-0.5, 0.5}
    assert (np.abs(total / n - p.data) < 5 * 0.5 / np.sqrt(n)).all()


def test_evaluation_uses_real_weights_when_stochastic_and_draws_nothing():
    p = nn.Parameter(X, [Binary(rng=0)])
    state = p.parametrizations[0].rng.bit_generator.state
    p.train(False)
    np.testing.assert_array_equal(p.forward(), X)
    assert p.parametrizations[0].rng.bit_generator.state == state
    p.freeze()
    np.testing.assert_array_equal(p.forward(), X)
    assert p.parametrizations == []


def test_hard_sigmoid_and_half_of_glorots_limit():
    np.testing.assert_array_equal(hard_sigmoid(np.array([-3.0, -1, -0.5, 0, 0.5, 1, 3])), [0, 0, 0.25, 0.5, 0.75, 1, 1])
    assert glorot_limit((20, 30)) == pytest.approx(np.sqrt(6 / 50) / 2, rel=2**-8)
    assert glorot_limit((20, 30, 3, 3)) == pytest.approx(np.sqrt(6 / (50 * 9)) / 2, rel=2**-8)


def test_clipping_at_H_is_the_papers_scaling_of_adams_learning_rate():
    """x in [-H, H] with the rate lr is x / H in [-1, 1] with the rate lr / H, as long as both use the same weights."""
    H, lr, small = 2.0**-4, 2.0**-9, nn.Parameter(X / 16, [Binary(limit=2.0**-4)])
    unit = nn.Parameter(X, [Binary()])
    optimizers = nn.Adam([small], lr, eps=1e-30), nn.Adam([unit], lr / H, eps=1e-30)
    for _ in range(40):
        dw = np.rint(RNG.uniform(-512, 1024, X.shape)) / 512
        for p, optimizer in zip((small, unit), optimizers, strict=True):
            p.backward(dw)
            optimizer.step()
    np.testing.assert_allclose(small.data / H, unit.data, rtol=0, atol=1e-12)
    assert (np.abs(unit.data) == 1).any()


def test_a_mask_belongs_outside():
    """[Binary, Masked] keeps pruned weights at zero; [Masked, Binary] revives every one of them as +α."""
    right, wrong = nn.Parameter(X, [Binary(), Masked(M)]), nn.Parameter(X, [Masked(M), Binary()])
    assert (right.forward()[~M] == 0).all() and (np.abs(right.forward()[M]) == 1).all()
    assert (wrong.forward()[~M] == 1).all()


@pytest.mark.parametrize("scale", [None, "layer", "channel"])
@pytest.mark.parametrize("maps", [[], [Masked(M)], [Masked(M), Masked(M.T.reshape(6, 9))]], ids=len)
def test_freezing_keeps_the_weight_and_one_bit_a_survivor(scale, maps):
    p = nn.Parameter(X, [Binary(scale), *maps])
    w = p.forward()
    p.freeze()
    np.testing.assert_array_equal(p.forward(), w)
    assert p.data.size == (6 if scale == "channel" else 1)
    signed, *masks = p.parametrizations
    assert isinstance(signed, Signed) and all(isinstance(q, Scatter) for q in masks)
    assert signed.bits.size == (np.count_nonzero(w) if maps else w.size)


def test_a_mask_on_frozen_signs():
    p = nn.Parameter(X, [Binary("channel")])
    p.freeze()
    apply_mask(p, M)
    w = p.forward()
    p.freeze()
    np.testing.assert_array_equal(p.forward(), w)
    assert p.parametrizations[0].bits.shape == (M.sum(),)


def test_the_gradient_of_frozen_scales():
    p, dw = nn.Parameter(X, [Binary("channel")]), RNG.uniform(-1, 1, X.shape)
    b = np.where(X >= 0, 1, -1)
    p.freeze()
    p.backward(dw)
    np.testing.assert_allclose(p.grad, (dw * b).sum(1))


def test_a_file_holds_one_bit_a_weight():
    model = nn.Sequential([nn.Linear(300, 200, rng=0), nn.Linear(200, 10, rng=1)])
    binarize(model.weights(), "channel")
    before = nn.predict(model, x := RNG.uniform(-1, 1, (5, 300)))
    for weight in model.weights():
        weight.freeze()
    blob = storage.to_bytes(model)
    bits = 300 * 200 + 200 * 10
    assert len(blob) < bits / 8 + 2 * 210 + 200  # half-precision scales, structure; the biases are one constant each
    np.testing.assert_array_equal(nn.predict(storage.from_bytes(blob), x), before)


def test_binarize_starts_inside_the_box_and_lets_masks_stay_outside():
    model = nn.Sequential([nn.Linear(8, 5, rng=0), nn.Linear(5, 3, rng=1)])
    apply_mask(model.weights()[0], RNG.random((5, 8)) < 0.5)
    signs = [np.sign(w.data) for w in model.weights()]
    binarize(model.weights(), rng=7)
    for weight, sign in zip(model.weights(), signs, strict=True):
        H = glorot_limit(weight.shape)
        assert np.abs(weight.data).max() == pytest.approx(H) and (np.sign(weight.data) == sign).all()
        assert isinstance(weight.parametrizations[0], Binary) and weight.parametrizations[0].limit == H
    first, second = (w.parametrizations for w in model.weights())
    assert first[0].rng is second[0].rng and isinstance(first[1], Masked)
    zero = nn.Parameter(np.zeros((2, 3)))
    binarize([zero])
    assert (zero.forward() == glorot_limit((2, 3))).all()


def test_a_run_resumes_with_its_generator():
    p = nn.Parameter(X, [Binary(rng=0)])
    state, w = copy.deepcopy(p.state()), p.forward()
    p.restore(state)
    p.train()
    np.testing.assert_array_equal(p.forward(), w)


def test_what_cannot_be_is_refused():
    with pytest.raises(RangeError, match="stochastic"):
        Binary("layer", rng=0)
    with pytest.raises(RangeError, match="limit"):
        Binary(limit=0)
    with pytest.raises(RangeError, match="scale"):
        Binary("row")
    with pytest.raises(ShapeError, match=r"one scale a channel meets a weight of shape \(9,\)"):
        nn.Parameter(np.ones(9), [Binary("channel")])
    with pytest.raises(MiniCompressError, match="signs"):
        Signed(np.ones((2, 3)), np.array([6]))
    with pytest.raises(ShapeError, match="6 signs meet counts"):
        Signed(np.ones((2, 3), bool), np.array([3, 4]))
    with pytest.raises(ShapeError, match="2 groups of signs meet scales"):
        nn.Parameter(np.ones(3), [Signed(np.ones((2, 3), bool), np.array([3, 3]))])
