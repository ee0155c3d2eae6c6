"""Weight sharing: one number, many places; its gradient is their sum, and pruned weights stay out of it."""

import numpy as np
import pytest

from minicompress.errors import DTypeError, RangeError, ShapeError, StateError
from minicompress.nn import Adam, Linear, ReLU, Sequential, cross_entropy
from minicompress.nn.parameter import Parameter
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.sharing import (
    Codebook,
    compression_rate,
    inertia,
    kmeans,
    share,
    share_together,
    shared_bits,
    tie,
)

CODES = np.array([[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]], dtype=np.uint8)


class Averaged(Codebook):
    """The plausible mistake."""

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return super().backward(dw) / np.maximum(np.bincount(self.codes.ravel(), minlength=self.size), 1)


def gradient_error(codebook: Codebook, x: np.ndarray) -> float:
    """The largest difference to central differences of the loss Σ a ∘ sin(w), for a fixed random a."""
    a = np.random.default_rng(0).normal(size=codebook.codes.shape)
    dx = codebook.backward(a * np.cos(codebook.forward(x)))
    steps = 1e-6 * np.eye(len(x))
    slopes = [np.sum(a * (np.sin(codebook.forward(x + h)) - np.sin(codebook.forward(x - h)))) / 2e-6 for h in steps]
    assert dx.shape == x.shape
    return float(np.abs(dx - slopes).max())


def test_compression_rate_of_figure_3() -> None:
    assert compression_rate(16, 4) == 3.2 == 16 * 32 / (4 * 32 + 2 * 16)
    assert compression_rate(1000, 1) == 1000
    assert compression_rate(1000, 5) == 32_000 / (3000 + 160) and shared_bits(1000, 5, 16) == 3080
    with pytest.raises(RangeError):
        compression_rate(16, 0)


def test_the_gradient_of_a_shared_weight_is_the_sum() -> None:
    x = np.array([-1.0, 0.0, 1.5, 2.0, 9.0])  # no code names the last number: its gradient is 0
    assert gradient_error(Codebook(CODES), x) < 1e-8
    assert gradient_error(Averaged(CODES), x) > 0.1
    assert Codebook(CODES).forward(x).tolist() == [[2, -1, 1.5, 0], [0, 0, -1, 2], [-1, 2, 0, -1], [2, 0, 1.5, 1.5]]


def test_the_gradient_does_not_depend_on_memory_order() -> None:
    codebook, dw = Codebook(CODES), np.arange(16.0).reshape(4, 4)
    codebook.forward(np.zeros(4))
    assert codebook.backward(dw).tolist() == codebook.backward(np.asfortranarray(dw)).tolist() == [26, 35, 31, 28]


def test_codes_must_be_unsigned_and_the_codebook_large_enough() -> None:
    with pytest.raises(DTypeError):
        Codebook(CODES.astype(int))
    for shape in ((3,), (4, 1), ()):
        with pytest.raises(ShapeError):
            Parameter(np.zeros(shape), [Codebook(CODES)])
    assert Parameter(np.zeros(4), [Codebook(CODES)]).shape == (4, 4)


def test_share_replaces_weights_by_their_centroids() -> None:
    weights = np.random.default_rng(0).normal(size=(20, 30))
    parameter = Parameter(weights.copy())
    share(parameter, 8, "density")
    centroids, codes = kmeans(weights, 8, "density")
    assert (parameter.data == centroids).all() and (parameter.forward() == centroids[codes]).all()
    parameter.backward(np.ones((20, 30)))
    assert parameter.grad.tolist() == np.bincount(codes.ravel()).tolist()


def test_pruned_weights_take_no_part() -> None:
    weights = np.random.default_rng(0).normal(size=(20, 30))
    mask = np.abs(weights) > 1
    parameter = Parameter(weights, [Masked(mask)])
    share(parameter, 4)
    assert [type(p) for p in parameter.parametrizations] == [Codebook, Scatter]
    assert parameter.data.tolist() == kmeans(weights[mask], 4)[0].tolist()
    assert ((parameter.forward() != 0) == mask).all()
    everywhere = inertia(weights[mask], *kmeans(weights[mask], 4))
    assert np.sum((parameter.forward() - weights * mask) ** 2) == pytest.approx(everywhere)


def test_training_moves_all_places_of_a_number_at_once() -> None:
    parameter = Parameter(np.random.default_rng(0).normal(size=(20, 30)))
    share(parameter, 4)
    before = parameter.forward().copy()
    parameter.data[1] += 1
    moved = parameter.forward() - before
    assert set(np.round(moved, 12).ravel()) == {0, 1} and (moved[before == before[moved != 0][0]] != 0).all()


def test_freezing_keeps_the_codebook() -> None:
    mask = CODES != 2
    parameter = Parameter(np.arange(4.0), [Codebook(CODES), Masked(mask)])
    weight = parameter.forward()
    parameter.freeze()
    assert [type(p) for p in parameter.parametrizations] == [Codebook, Scatter]
    assert parameter.parametrizations[0].codes.tolist() == CODES[mask].tolist()
    assert (parameter.forward() == weight).all() and parameter.data.tolist() == [0, 1, 2, 3]


def test_nothing_is_changed_before_an_error() -> None:
    parameter = Parameter(np.arange(6.0), [Masked(np.arange(6) > 1)])
    data, maps = parameter.data, parameter.parametrizations
    for k, init, error in ((0, "linear", RangeError), (2, "liner", RangeError), (2.5, "linear", DTypeError)):
        with pytest.raises(error):
            share(parameter, k, init)
    assert parameter.data is data and parameter.parametrizations is maps
    share(parameter, 2)
    with pytest.raises(StateError, match="codebook already"):
        share(parameter, 2)


def test_without_weights_there_is_nothing_to_share() -> None:
    parameter = Parameter(np.ones(3), [Masked(np.zeros(3, bool))])
    share(parameter, 2)
    assert [type(p) for p in parameter.parametrizations] == [Scatter] and not parameter.forward().any()


def test_the_same_seed_gives_the_same_bits() -> None:
    data = [Parameter(np.random.default_rng(0).normal(size=500)) for _ in range(3)]
    for parameter, seed in zip(data, (1, 1, 2), strict=True):
        share(parameter, 8, "random", rng=seed, iterations=1, grid=2**-20)
    assert data[0].data.tobytes() == data[1].data.tobytes() != data[2].data.tobytes()
    assert (data[0].data * 2**20 % 1 == 0).all()


def test_one_codebook_for_several_layers() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(20, 30)), rng.normal(0, 2, (4, 5)), rng.normal(size=7)]
    mask = np.abs(weights[0]) > 0.5
    parameters = [Parameter(weights[0], [Masked(mask)]), Parameter(weights[1]),
                  Parameter(weights[2], [Masked(np.zeros(7, bool))])]
    share_together([*parameters, parameters[1]], 8)
    centroids, codes = kmeans(np.concatenate([weights[0][mask], weights[1].ravel()]), 8)
    assert all((p.data == centroids).all() for p in parameters[:2]) and parameters[0].data is not parameters[1].data
    assert (parameters[1].forward() == centroids[codes[mask.sum() :]].reshape(4, 5)).all()
    assert (parameters[0].forward()[mask] == centroids[codes[: mask.sum()]]).all()
    assert not parameters[2].forward().any()
    fresh = Parameter(weights[1])
    with pytest.raises(StateError):
        share_together([fresh, parameters[0]], 2)
    assert not fresh.parametrizations


def test_tied_codebooks_train_as_one() -> None:
    """The gradient of the one codebook, by finite differences; equal numbers after training."""
    rng = np.random.default_rng(0)
    model = Sequential([Linear(6, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng)])
    x, labels = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    share_together(model.weights(), 4)
    add, books = tie(model.weights()), model.weights()

    def loss_at(step: np.ndarray) -> float:
        for book in books:
            book.data += step
        value, dz = cross_entropy(model(x), labels)
        model.learn(dz)
        for book in books:
            book.data -= step
        return value

    steps = 1e-6 * np.eye(4)
    slopes = [(loss_at(h) - loss_at(-h)) / 2e-6 for h in steps]
    optimizer = Adam(model.parameters(), 1e-2)
    loss_at(np.zeros(4))
    assert add() == 0
    np.testing.assert_allclose(books[0].grad, slopes, atol=1e-8)
    for _ in range(5):
        optimizer.step()
        loss_at(np.zeros(4))
        add()
    assert books[0].data.tobytes() == books[1].data.tobytes()
    with pytest.raises(ShapeError, match="sizes"):
        tie([Parameter(np.zeros(3)), Parameter(np.zeros(4))])
