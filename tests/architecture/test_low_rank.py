"""Low rank: the best factors, the same function at full rank, and layers that fit where the old one stood."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.architecture.low_rank import components, factorize, factors, low_rank, relative_error
from minicompress.architecture.moments import Moments, input_moments
from minicompress.data import digits
from minicompress.errors import DTypeError, RangeError, ShapeError, StateError
from minicompress.pruning.masks import Masked
from minicompress.storage import from_bytes, to_bytes

SIZES = st.integers(1, 12)
pytestmark = pytest.mark.filterwarnings("ignore:rank .* turns")  # full rank, to compare


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def black_pixels(seed, N, n=40):
    """Samples (n, N) with a mean, of which every third input is always 0."""
    return (random(seed, n, N) + 0.5) * (np.arange(N) % 3 != 2)


@given(SIZES, SIZES, st.integers(0, 99), st.data())
@settings(deadline=None, max_examples=60)
def test_the_error_is_exactly_the_tail_of_the_spectrum(M, N, seed, data):
    W, r = random(seed, M, N), data.draw(st.integers(1, min(M, N)))
    U, V = factors(W, r, grid=0)
    s = np.linalg.svd(W, compute_uv=False)
    assert U.shape == (M, r) and V.shape == (r, N)
    np.testing.assert_allclose(np.linalg.norm(W - U @ V), np.sqrt(np.sum(s[r:] ** 2)), atol=1e-12)
    np.testing.assert_allclose(components(W)[1], s, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(U, axis=0), np.linalg.norm(V, axis=1))


@pytest.mark.parametrize("weighted", [False, True])
def test_no_other_product_of_that_rank_is_better(weighted):
    """Random factors, the best U for a random V, and steps from the optimum in many directions."""
    W, x = random(0, 7, 9), black_pixels(1, 9)
    C = x.T @ x / len(x) if weighted else None
    root = (x if weighted else np.eye(9)).T
    U, V = factors(W, 3, C, grid=0)
    best = relative_error(W, U @ V, C)
    assert 0 < best < 1
    for seed in range(50):
        other = random(seed + 2, 3, 9)
        fitted = W @ root @ np.linalg.pinv(other @ root)
        assert relative_error(W, fitted @ other, C) > best
        near = (U + 1e-3 * random(seed, 7, 3)) @ (V + 1e-3 * random(seed + 1, 3, 9))
        assert relative_error(W, near, C) > best


def test_the_weighted_error_is_that_of_the_outputs():
    W, x = random(0, 6, 8), black_pixels(1, 8)
    C = x.T @ x / len(x)
    plain, weighted = (U @ V for U, V in (factors(W, 2), factors(W, 2, C)))

    def outputs(P):
        return np.linalg.norm(x @ (W - P).T) / np.linalg.norm(x @ W.T)
    for P in (plain, weighted):
        np.testing.assert_allclose(relative_error(W, P, C), outputs(P))
    assert outputs(weighted) < outputs(plain) and relative_error(W, plain) < relative_error(W, weighted)


def test_a_covariance_of_one_is_the_plain_case():
    W = random(3, 5, 8)
    for one, other in zip(components(W), components(W, np.eye(8)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_beyond_the_true_rank_there_is_nothing(weighted):
    """What rounding alone would fill is zero: it would differ from machine to machine."""
    W, x = random(0, 8, 2) @ random(1, 2, 9), black_pixels(2, 9)
    U, V = factors(W, 6, x.T @ x if weighted else None)
    assert not U[:, 2:].any() and not V[2:].any() and U[:, :2].any()
    assert relative_error(W, U @ V) < 1e-5
    assert not any(F.any() for F in factors(np.zeros((3, 4)), 2))


def test_signs_are_fixed_and_ties_go_to_the_lower_index():
    W = random(0, 9, 6)
    A = components(W)[0]
    assert (A[np.abs(A).argmax(0), range(6)] > 0).all()
    np.testing.assert_allclose(components(-W)[0], A)
    for W in (np.array([[1.0, 2], [-1, -2]]), np.array([[-1.0, 2], [1, -2]])):  # A: (1, -1) / √2, equal but for sign
        assert components(W)[0][0, 0] > 0 > components(W)[0][1, 0]


def test_factors_lie_on_the_grid():
    U, V = factors(random(0, 6, 7), 3, grid=2.0**-8)
    for F in (U, V):
        assert (np.rint(F * 2**8) == F * 2**8).all() and F.any()
    assert relative_error(U @ V, np.matmul(*factors(random(0, 6, 7), 3))) < 0.02


def test_a_linear_layer_gets_its_bias_at_the_end_and_no_activation_between():
    layer, x = nn.Linear(6, 4, rng=0), random(1, 5, 6)
    layer.bias.data[:] = 1, 2, 3, 4
    new = low_rank(layer, 2, grid=0)
    first, second = new.layers
    assert first.bias is None and second.bias.data.tolist() == [1, 2, 3, 4]
    product = second.weight.data @ first.weight.data
    np.testing.assert_allclose(new.forward(x), x @ product.T + layer.bias.data)
    assert np.linalg.matrix_rank(product) == 2
    second.bias.data[:] = 0
    assert layer.bias.data.any(), "the old layer keeps numbers of its own"


@pytest.mark.parametrize("kind", ["linear", "conv", "no bias"])
def test_weighted_outputs_keep_their_mean_and_no_other_rank_comes_closer(kind):
    x = random(0, 40, 3, 5, 5) + 1
    if kind == "conv":
        layer = nn.Conv2d(3, 6, 3, rng=1, padding=1)
    else:
        x, layer = x.reshape(40, -1), nn.Linear(75, 6, rng=1, bias=kind == "linear")
    y = layer.forward(x)
    plain, weighted = (low_rank(layer, 2, m, grid=0) for m in (None, input_moments(layer, x)[""]))
    parts = [y - new.forward(x) for new in (weighted, plain)]
    axes = (0, 2, 3)[: y.ndim - 1]
    np.testing.assert_allclose(parts[0].mean(axes), 0, atol=1e-10)
    assert np.linalg.norm(parts[0]) < np.linalg.norm(parts[1])
    flat = np.moveaxis(y, 1, 0).reshape(6, -1)
    s = np.linalg.svd(flat - flat.mean(1, keepdims=True), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(parts[0]), np.sqrt(np.sum(s[2:] ** 2)))


def network():
    rng = np.random.default_rng(0)
    conv = nn.Conv2d(4, 4, 3, rng=rng, padding=1)
    return nn.Sequential([nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.Residual(nn.Sequential([conv, nn.ReLU()])),
                          nn.Flatten(), nn.Linear(144, 10, rng=rng)])


def test_factorize_replaces_layers_inside_a_network():
    model, x = network(), random(1, 3, 1, 8, 8)
    dense = copy.deepcopy(model)
    factorize(model, {"layers.2.body.layers.0": 4, "layers.4": 10}, input_moments(model, x), grid=0)
    assert isinstance(model.layers[2].body.layers[0], nn.Sequential) and isinstance(model.layers[4], nn.Sequential)
    np.testing.assert_allclose(nn.predict(model, x), nn.predict(dense, x), atol=1e-6)
    again = from_bytes(to_bytes(model))
    np.testing.assert_array_equal(nn.predict(again, x), nn.predict(model, x))
    optimizer = nn.SGD(model.parameters(), 0.1)
    model.learn(nn.cross_entropy(model.forward(x), np.array([0, 1, 2]))[1])
    optimizer.step()
    assert np.abs(nn.predict(model, x) - nn.predict(again, x)).max() > 1e-3


def test_a_layer_in_two_places_is_replaced_in_both():
    layer = nn.Linear(5, 5, rng=0)
    model = nn.Sequential([layer, nn.ReLU(), layer])
    factorize(model, {"layers.0": 2})
    assert model.layers[0] is model.layers[2] is not layer


def test_a_tied_weight_stays_as_it_is_elsewhere():
    model = nn.Sequential([nn.Linear(4, 4, rng=0), nn.ReLU(), nn.Linear(4, 4, rng=1)])
    mask = np.arange(16).reshape(4, 4) % 3 == 0
    model.layers[0].weight.become(model.layers[0].weight.data, [Masked(mask)])
    model.layers[2].weight = model.layers[0].weight
    factorize(model, {"layers.0": 2})
    assert isinstance(model.layers[2].weight.parametrizations[0], Masked)


def test_masks_end_and_the_old_optimizer_is_stale():
    single = {"rng": 0, "dtype": np.float32}
    model = nn.Sequential([nn.Linear(6, 6, **single), nn.ReLU(), nn.Linear(6, 3, **single)])
    mask = np.arange(36).reshape(6, 6) % 2 == 0
    model.layers[0].weight.become(model.layers[0].weight.data, [Masked(mask)])
    W, optimizer = model.layers[0].weight.forward(), nn.SGD(model.parameters(), 0.1)
    factorize(model, {"layers.0": 6})
    first, second = model.layers[0].layers
    np.testing.assert_allclose(second.weight.data @ first.weight.data, W, atol=1e-4)
    assert {p.data.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    x = random(0, 4, 6).astype(np.float32)
    model.learn(nn.cross_entropy(model.forward(x), np.array([0, 1, 2, 0]))[1])
    with pytest.raises(StateError, match="new optimizer"):
        optimizer.step()


@pytest.mark.parametrize(("ranks", "kind", "word"), [
    ({"layers.4": 0}, RangeError, "rank"), ({"layers.4": 11}, RangeError, "rank"), ({"layer.4": 2}, RangeError, "mean"),
    ({"layers.1": 2}, DTypeError, "matrix"), ({"layers.4": 2.5}, DTypeError, "rank")])
def test_what_does_not_fit_changes_nothing(ranks, kind, word):
    model = network()
    before = copy.deepcopy(model.state())
    with pytest.raises(kind, match=word):
        factorize(model, {"layers.0": 2, **ranks})
    assert list(model.state()) == list(before) and isinstance(model.layers[0], nn.Conv2d)


def test_groups_and_moments_that_do_not_fit_are_refused():
    with pytest.raises(RangeError, match="groups"):
        low_rank(nn.Conv2d(4, 4, 3, rng=0, groups=2), 1)
    with pytest.raises(RangeError, match="spatial"):
        low_rank(nn.Conv2d(4, 4, 3, rng=0), 1, Moments(np.zeros(36), np.eye(36)), conv="spatial")
    with pytest.raises(RangeError, match="channels"):
        low_rank(nn.Conv2d(4, 4, 3, rng=0), 1, conv="spacial")
    with pytest.raises(ShapeError, match="covariance"):
        factors(random(0, 3, 4), 2, np.eye(3))


@pytest.mark.parametrize("weighted", [False, True])
def test_last_bits_do_not_come_through(weighted):
    """Another machine's rounding turns a singular vector by about 1e-16 / gap: the grid hides it."""
    data, rng = digits(), np.random.default_rng(0)
    model = nn.Sequential([nn.Linear(64, 100, rng=0), nn.ReLU(), nn.Linear(100, 10, rng=1)])
    list(nn.train(model, nn.Adam(model.parameters(), 3e-3), data.train, epochs=3, rng=0, progress=False))
    W, C = model.layers[0].weight.data, input_moments(model, data.train.x)["layers.0"].covariance if weighted else None
    for r in (4, 8, 16, 32):
        other = W * (1 + rng.uniform(-4e-16, 4e-16, W.shape))
        for one, two in zip(factors(W, r, C, grid=2.0**-12), factors(other, r, C, grid=2.0**-12), strict=True):
            np.testing.assert_array_equal(one, two)
