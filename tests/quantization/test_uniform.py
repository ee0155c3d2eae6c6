"""Weights on a grid: straight through inside, nothing outside; what freezes is codes and scales, also under a mask."""

import copy
from pathlib import Path

import numpy as np
import pytest

from minicompress import storage
from minicompress.data import digits
from minicompress.errors import DTypeError, RangeError, ShapeError, StateError, StorageError
from minicompress.ledger import file_bytes, finished
from minicompress.nn import Adam, Conv2d, Linear, Parameter, ReLU, Sequential, error, predict, train
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.sharing import share
from minicompress.quantization.uniform import Scaled, Uniform, quantize, quantizer_of

RNG = np.random.default_rng(0)
W = RNG.normal(size=(6, 20))


def weight(*, masked: float = 0.0, **options) -> Parameter:
    parameter = Parameter(W)
    if masked:
        prune([parameter], masked)
    quantize(parameter, **options)
    return parameter


def test_forward_is_the_quantizer_and_twice_is_once() -> None:
    for options in ({"bits": 3}, {"bits": 4, "symmetric": False}, {"bits": 2, "per_channel": True}):
        p = weight(**options)
        w, grid = p.forward(), quantizer_of(p)
        assert np.array_equal(w, grid.decode(grid.encode(W)))
        assert np.array_equal(p.parametrizations[-1].forward(w), w)
        p.bake()
        quantize(p, **options)
        if "symmetric" not in options:  # an affine range may lose its outermost mark
            assert np.array_equal(p.forward(), w)


def test_the_gradient_passes_inside_and_is_cut_outside() -> None:
    grid = Uniform(np.array([1.0]), np.array([1]), 2)  # -1, 0, 1
    x = np.array([[-3.0, -1.51, -1.49, 0.2, 1.4, 1.6]])
    assert grid.forward(x).tolist() == [[-1, -1, -1, 0, 1, 1]]
    assert grid.backward(np.full((1, 6), 2.0)).tolist() == [[0, 0, 2, 2, 2, 0]]


@pytest.mark.parametrize("masked", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("order", ["mask first", "grid first"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:a weight of shape")
def test_freezing_keeps_the_weight_in_codes(masked: float, order: str, per_channel: bool, dtype: type) -> None:
    p = Parameter(W.astype(dtype))
    acts = [lambda: prune([p], masked), lambda: quantize(p, 4, per_channel=per_channel)]
    for act in acts if order == "mask first" else acts[::-1]:
        act()
    w, grid = p.forward(), quantizer_of(p)
    p.freeze()
    assert p.forward().dtype == dtype
    assert np.array_equal(p.forward(), w)
    kinds = [type(each) for each in p.parametrizations]
    expected = masked > 0.5 or (masked and order == "grid first")
    assert kinds == ([Scaled, Scatter] if expected else [Scaled])
    assert p.data.shape == ((6,) if per_channel else (1,))
    assert p.parametrizations[0].codes.dtype == np.uint8
    if expected:
        assert p.parametrizations[0].codes.size <= round(120 * (1 - masked))
    assert np.array_equal(quantizer_of(p).scale, grid.scale)
    p.freeze()
    assert np.array_equal(p.forward(), w)


def test_a_mask_on_a_finished_weight_leaves_each_survivor_its_channel() -> None:
    p = weight(bits=4, per_channel=True)
    p.freeze()
    w, mask = p.forward(), RNG.random(W.shape) < 0.4
    p.become(p.data, [*p.parametrizations, Masked(mask)])
    p.freeze()
    assert [type(each) for each in p.parametrizations] == [Scaled, Scatter]
    assert p.parametrizations[0].counts.tolist() == mask.sum(1).tolist()
    assert np.array_equal(p.forward(), w * mask)


def test_the_gradient_of_a_scale_is_that_of_finite_differences() -> None:
    scaled = Scaled(RNG.integers(0, 15, (3, 4)).astype("u1"), np.array([7, 3], "u1"), np.array([5, 7], "u2"))
    s, a = np.array([0.5, 2.0]), RNG.normal(size=(3, 4))
    ds = scaled.backward(a * np.cos(scaled.forward(s)))
    slopes = [np.sum(a * (np.sin(scaled.forward(s + h)) - np.sin(scaled.forward(s - h)))) / 2e-6
              for h in 1e-6 * np.eye(2)]
    assert ds == pytest.approx(slopes, abs=1e-6)


def network() -> Sequential:
    rng = np.random.default_rng(0)
    return Sequential([Linear(64, 32, rng=rng), ReLU(), Linear(32, 10, rng=rng)])


def fit(model: Sequential, lr: float, epochs: int) -> None:
    list(train(model, Adam(model.parameters(), lr), digits().train, epochs=epochs, rng=0, progress=False))


@pytest.fixture(scope="module")
def trained() -> Sequential:
    model = network()
    fit(model, 5e-3, 8)
    return model


def test_training_through_the_grid_beats_rounding_after_it(trained: Sequential) -> None:
    after, during = copy.deepcopy(trained), copy.deepcopy(trained)
    for model in (after, during):
        for w in model.weights():
            quantize(w, 2, per_channel=True)
    fit(during, 1e-3, 3)
    errors = [error(model, *digits().test) for model in (after, during)]
    assert errors[1] < errors[0] - 0.05
    assert len(np.unique(during.layers[0].weight.forward()[0])) <= 3  # a row of three levels


@pytest.mark.parametrize("finish", [lambda model: finished(model, "single"), lambda model: model])
def test_saved_and_loaded_the_outputs_are_equal(trained: Sequential, finish, tmp_path: Path) -> None:
    """But for Uniform itself, which lives in training only: it must freeze before a file can hold it."""
    model = copy.deepcopy(trained)
    prune(model.weights(), 0.7)
    quantize(model.layers[0].weight, 4, per_channel=True, symmetric=False)
    quantize(model.layers[2].weight, 10)
    model = finish(model)
    if any(isinstance(node, Uniform) for _, node in model.walk()):
        with pytest.raises(StorageError, match="Uniform"):
            storage.save(tmp_path / "model.mcz", model)
        return
    storage.save(tmp_path / "model.mcz", model)
    again = storage.load(tmp_path / "model.mcz")
    assert np.array_equal(predict(again, digits().test.x), predict(model, digits().test.x))
    fit(again, 1e-3, 1)  # trains on: scales and biases


def test_the_file_has_its_true_size(trained: Sequential) -> None:
    dense = file_bytes(finished(trained, "single"))
    sizes = {}
    for bits in (2, 4, 8):
        model = copy.deepcopy(trained)
        for w in model.weights():
            quantize(w, bits)
        small = finished(model, "single")
        sizes[bits] = file_bytes(small)
        assert np.array_equal(small.layers[0].weight.forward(), model.layers[0].weight.forward())  # scales: few bits
        assert sizes[bits] < 2368 * bits / 8 + 400  # codes, biases and the frame
    assert dense / sizes[8] > 3.5
    prune(trained.weights(), 0.9)
    pruned = copy.deepcopy(trained)
    for w in pruned.weights():
        quantize(w, 4)
    small = finished(pruned, "half")
    assert file_bytes(small) < 0.55 * sizes[4]
    assert np.array_equal(predict(small, digits().test.x).argmax(1), predict(pruned, digits().test.x).argmax(1))


def test_convolutions_and_stale_optimizers() -> None:
    layer = Conv2d(2, 3, 3, rng=0)
    optimizer = Adam(layer.parameters())
    quantize(layer.weight, 4, per_channel=True)
    assert len({tuple(np.unique(filter)) for filter in layer.weight.forward()}) == 3
    layer.backward(layer.forward(np.ones((1, 2, 5, 5))) ** 0)
    with pytest.raises(StateError):
        optimizer.step()


def test_errors() -> None:
    p = weight(bits=4)
    for parameter in (p, Parameter(W)):
        if parameter is not p:
            share(parameter, 4)
        before = parameter.forward()
        with pytest.raises(StateError, match="quantized already"):
            quantize(parameter, 4)
        assert np.array_equal(parameter.forward(), before)
    with pytest.raises(ShapeError, match="2 scales meet a weight of shape"):
        Parameter(W, [Uniform(np.ones(2), np.ones(2, int), 2)])
    for scale, zero, wrong in [(np.ones(1), np.ones(2, int), ShapeError), (np.ones(1), np.ones(1), ShapeError),
                               (np.zeros(1), np.ones(1, int), RangeError), (np.ones(1), np.array([3]), RangeError)]:
        with pytest.raises(wrong):
            Uniform(scale, zero, 2)
    codes, zero, counts = np.zeros(5, "u1"), np.ones(2, "u1"), np.array([2, 3], "u1")
    for arguments, wrong in [((codes.astype(int), zero, counts), DTypeError), ((codes, zero, counts[:1]), ShapeError),
                             ((codes, zero * 1.0, counts), DTypeError), ((codes[:4], zero, counts), ShapeError)]:
        with pytest.raises(wrong):
            Scaled(*arguments)
    with pytest.raises(ShapeError):
        Parameter(np.ones(3), [Scaled(codes, zero, counts)])
