"""Supermasks: the draw and its gradient, evaluation, freezing, resuming; and what rescaling cannot change."""

import copy

import numpy as np
import pytest
from scipy.special import expit

from minicompress import nn, storage
from minicompress.errors import ShapeError
from minicompress.lottery.deconstruct import CRITERIA, signed_constant
from minicompress.lottery.supermask import WEIGHTS, Supermask, drawn, hide, masked_only
from minicompress.lottery.trials import begin
from minicompress.pruning.masks import Masked, Scatter

RNG = np.random.default_rng(0)
W = RNG.uniform(-1, 1, (5, 7))
S = RNG.uniform(-2, 2, (5, 7))
X = RNG.uniform(-1, 1, (120, 6))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)


def network(seed=1, width=30, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return nn.Sequential([nn.Linear(6, width, rng=rng, dtype=dtype), nn.ReLU(),
                          nn.Linear(width, 3, rng=rng, dtype=dtype)])


def learn(model, epochs=20, seed=0, **options):
    optimizer = nn.Adam(model.weights(), 0.1)
    return nn.train(model, optimizer, (X.astype(model.weights()[0].data.dtype), LABELS), epochs=epochs, rng=seed,
                    batch=20, progress=False, **options)


def test_a_mask_is_drawn_once_a_step():
    p = nn.Parameter(S, [Supermask(W, rng=0)])
    first = p.forward()
    assert (p.forward() == first).all()  # also where the parameter is used twice
    p.clear()
    assert (p.forward() != first).any()
    assert set(np.unique(first / W)) == {0.0, 1.0}


def test_the_draws_have_their_probabilities():
    p, total, n = nn.Parameter(S, [Supermask(W, rng=0)]), np.zeros(S.shape), 4000
    for _ in range(n):
        total += p.forward() / W
        p.clear()
    assert (np.abs(total / n - expit(S)) < 5 * np.sqrt(0.25 / n)).all()


def test_evaluation_takes_the_likelier_value_and_draws_nothing():
    p = nn.Parameter(S, [Supermask(W, rng=0)])
    p.train(False)
    state = p.parametrizations[0].rng.bit_generator.state
    np.testing.assert_array_equal(p.forward(), W * (S >= 0))
    p.data[...] = -S
    np.testing.assert_array_equal(p.forward(), W * (S <= 0))  # nothing is remembered
    assert p.parametrizations[0].rng.bit_generator.state == state
    p.train()
    assert (p.forward() != W * (S <= 0)).any()


@pytest.mark.parametrize("rescale", [False, True])
def test_the_gradient_is_that_of_the_mask_times_the_slope(rescale):
    """Against central differences in m, of which w is a smooth function."""
    p, dw = nn.Parameter(S, [Supermask(W, rng=0, rescale=rescale)]), RNG.uniform(-1, 1, W.shape)
    m = (p.forward() != 0).astype(float)
    p.backward(dw)

    def loss(mask):
        return (dw * W * mask * (mask.size / mask.sum() if rescale else 1)).sum()

    numeric = np.empty_like(m)
    for at in np.ndindex(m.shape):
        low, high = m.copy(), m.copy()
        low[at] -= 1e-5
        high[at] += 1e-5
        numeric[at] = (loss(high) - loss(low)) / 2e-5
    np.testing.assert_allclose(p.grad, numeric * expit(S) * expit(-S), rtol=1e-6, atol=1e-9)


def test_rescaling_keeps_the_sum_of_equal_weights():
    p = nn.Parameter(S, [Supermask(np.ones_like(W), rng=0, rescale=True)])
    for _ in range(5):
        assert p.forward().sum() == pytest.approx(W.size, rel=2**-5)
        p.clear()


def test_rescaling_survives_an_empty_mask():
    p = nn.Parameter(np.full((2, 3), -800.0), [Supermask(W[:2, :3], rng=0, rescale=True)])
    assert (p.forward() == 0).all()
    p.backward(np.ones((2, 3)))
    assert np.isfinite(p.grad).all()


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("outer", [False, True])
def test_freezing_keeps_the_weight_of_evaluation_and_only_that(rescale, outer):
    maps = [Supermask(W, rng=0, rescale=rescale), *([Masked(RNG.random(W.shape) < 0.5)] if outer else [])]
    p = nn.Parameter(S, maps)
    p.train(False)
    w = p.forward()
    p.freeze()
    np.testing.assert_array_equal(p.forward(), w)
    assert [type(q) for q in p.parametrizations] == [Scatter]
    assert outer or p.data.size == (S >= 0).sum()


def test_a_learned_mask_goes_into_a_file():
    model = hide(network(), rng=0)
    list(learn(model, 2))
    y = nn.predict(model, X)
    for weight in model.weights():
        weight.freeze()
    np.testing.assert_array_equal(nn.predict(storage.from_bytes(storage.to_bytes(model)), X), y)


def test_shapes_must_fit():
    with pytest.raises(ShapeError, match=r"scores of shape \(5, 6\) meet weights of shape \(5, 7\)"):
        nn.Parameter(S[:, :6], [Supermask(W, rng=0)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("rescale", [False, True])
def test_a_mask_learns_and_weights_do_not_move(dtype, constant, rescale):
    plain = network(dtype=dtype)
    model = hide(plain, rng=0, constant=constant, rescale=rescale)
    before = nn.error(drawn(model, 5), X, LABELS)
    list(learn(model))
    assert nn.error(model, X, LABELS) < min(before, 0.25)
    for weight, untrained in zip(model.weights(), plain.weights(), strict=True):
        fixed = signed_constant(untrained.data) if constant else untrained.data
        np.testing.assert_array_equal(weight.parametrizations[0].weights, fixed)
        assert weight.forward().dtype == weight.data.dtype == dtype
    assert all((layer.bias.data == 0).all() for layer in model.layers if isinstance(layer, nn.Linear))


def test_rescaling_is_asked_for():
    """A kept weight is w₀ n / Σm with it (in few bits), w₀ without."""
    for rescale in (False, True):
        model = hide(network(), rng=0, rescale=rescale)
        for weight, plain in zip(model.weights(), network().weights(), strict=True):
            w = weight.forward()
            kept = w != 0
            assert 0.2 < kept.mean() < 0.8
            factor = 1 / kept.mean() if rescale else 1
            np.testing.assert_allclose(w[kept], plain.data[kept] * factor, rtol=2**-5 if rescale else 1e-15)


class Memory:
    kept = None

    def load(self):
        return copy.deepcopy(self.kept)

    def save(self, state):
        self.kept = copy.deepcopy(state)


@pytest.mark.parametrize("rescale", [False, True])
def test_a_run_broken_off_at_every_epoch_ends_with_the_same_bits(rescale):
    whole, saver = hide(network(), rng=7, rescale=rescale), Memory()
    list(learn(whole, 4, validation=(X[:30] + 0.01, LABELS[:30])))
    for stop in range(1, 5):
        model = hide(network(), rng=stop, rescale=rescale) if stop > 1 else hide(network(), rng=7, rescale=rescale)
        for record in learn(model, 4, validation=(X[:30] + 0.01, LABELS[:30]), saver=saver):
            if record.epoch == stop:
                break
    assert all((a.data == b.data).all() for a, b in zip(model.weights(), whole.weights(), strict=True))
    states = [m.weights()[-1].parametrizations[0].rng.bit_generator.state for m in (model, whole)]
    assert states[0] == states[1]


def test_drawn_is_a_plain_network_that_follows_its_seed():
    model = hide(network(), rng=0)
    state = model.weights()[0].parametrizations[0].rng.bit_generator.state
    a, b, again = drawn(model, 1), drawn(model, 2), drawn(model, 1)
    assert all(w.parametrizations == [] for w in a.weights())
    assert (a.weights()[0].data == again.weights()[0].data).all()
    assert (a.weights()[0].data != b.weights()[0].data).any()
    assert model.weights()[0].parametrizations[0].rng.bit_generator.state == state


def test_without_biases_the_size_of_a_constant_changes_no_prediction():
    """ReLU passes positive factors on, so all outputs of a layer's factor 2 are doubled, exactly."""
    model = hide(network(), rng=0, constant=True)
    list(learn(model, 3))
    double = copy.deepcopy(model)
    double.weights()[0].parametrizations[0].weights *= 2
    np.testing.assert_array_equal(2 * nn.predict(model, X), nn.predict(double, X))


def test_a_heuristic_mask_is_an_untrained_network():
    def fit(model):
        list(nn.train(model, nn.Adam(model.parameters(), 0.02), (X, LABELS), epochs=15, rng=0, progress=False))

    trial = begin(network(), fit, lambda model: nn.error(model, X, LABELS))
    for action in WEIGHTS.values():
        model = masked_only(trial, CRITERIA["magnitude increase, same sign"], [0.4, 0.6], action)
        for weight, i in zip(model.weights(), trial.initial, strict=True):
            w = weight.forward()
            assert ((w == 0) | (w == action(i))).all() if action is not WEIGHTS["init"] else ((w == 0) | (w == i)).all()
        assert trial.measure(model) < 0.4
