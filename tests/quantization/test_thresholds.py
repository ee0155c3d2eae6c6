"""Thresholds say what batch norm and sign said, for every sum; the file of what is left is 28 times smaller."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import storage
from minicompress.errors import ShapeError, StateError
from minicompress.ledger import finished
from minicompress.nn import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Gate,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sign,
    predict,
)
from minicompress.pruning.masks import Masked
from minicompress.quantization.binary import Binary, Signed, binarize
from minicompress.quantization.packed import packed
from minicompress.quantization.thresholds import (
    HUGE,
    Threshold,
    float_index,
    least,
    nth_float,
    pruned,
    scales,
    with_thresholds,
)


def norm(C: int, seed: int, dtype: type = np.float64, spread: float = 9.0) -> BatchNorm:
    """A batch norm as training may leave it, with scales of both signs, zero, and means on whole numbers and off."""
    rng, layer = np.random.default_rng(seed), BatchNorm(C, dtype=dtype)
    layer.scale.data[...] = rng.choice([-1.7, -0.3, 0.0, 0.4, 1.0], C)
    layer.shift.data[...] = rng.choice([-0.8, 0.0, 0.5], C) * rng.random(C)
    layer.mean[...] = np.where(rng.random(C) < 0.5, rng.integers(-9, 10, C), rng.uniform(-spread, spread, C))
    layer.variance[...] = rng.uniform(0, 60, C)
    return layer


def all_signs(n: int) -> np.ndarray:
    """Inputs (n + 1, n) whose products with n ones are n, n - 2 … -n."""
    return np.where(np.arange(n) < np.arange(n + 1)[:, None], -1.0, 1.0)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 24), st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_equal_for_every_sum_that_there_is(n: int, seed: int, dtype: type, bias: bool) -> None:
    rng, C = np.random.default_rng(seed), 12
    layer = Linear(n, C, rng=0, bias=bias, dtype=dtype)
    bits = rng.random((C, n)) < 0.5
    layer.weight.become(rng.integers(1, 20, C).astype(dtype) / 8, [Signed(bits, np.full(C, n))])
    if bias:
        layer.bias.data[...] = rng.uniform(-3, 3, C)
    model = Sequential([Sign(), layer, norm(C, seed, dtype), Sign()])
    smaller = with_thresholds(model)
    assert [type(part) for part in smaller.layers] == [Sign, Linear, Threshold]
    for row in bits:  # inputs that make every sum of this row
        x = (all_signs(n) * np.where(row, 1, -1)).astype(dtype)
        assert np.array_equal(predict(smaller, x), predict(model, x))
        assert np.array_equal(packed(smaller)(x), predict(model, x) > 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_equal_for_the_floats_around_the_threshold(seed: int, dtype: type) -> None:
    C, layer = 12, Linear(1, 12, rng=0, dtype=dtype)
    layer.weight.become(np.ones(1, dtype), [Signed(np.ones((C, 1), bool), np.array([C]))])
    layer.bias.data[...] = np.random.default_rng(seed).uniform(-3, 3, C)
    model = Sequential([layer, norm(C, seed, dtype), Gate(C, dtype=dtype), Sign()])
    smaller = with_thresholds(model)
    t = np.abs(smaller.layers[1].limit.data)
    assert t.dtype == dtype
    t = t[t < HUGE]  # beyond, a unit that is always on or never would not be
    near = nth_float(np.add.outer(np.arange(-3, 4), t.view(f"i{t.itemsize}")).ravel(), t.dtype)
    x = np.concatenate([near, -near, [0, 1e9, -1e9]]).astype(dtype)[:, None]
    assert np.array_equal(predict(smaller, x), predict(model, x))


def test_never_and_always() -> None:
    layer = BatchNorm(2)
    layer.scale.data[...], layer.shift.data[...] = 0, [0, -1]
    model = Sequential([Sign(), Linear(5, 2, rng=0, bias=False), layer, Sign()])
    binarize(model.weights())
    assert with_thresholds(model).layers[2].limit.data.tolist() == [-5, 6]
    real = with_thresholds(Sequential(model.layers[1:])).layers[1].limit.data
    assert np.allclose(real, [-HUGE, HUGE])


def test_least_finds_what_a_search_would() -> None:
    limits = np.array([-4, -3, 0, 2, 3, 4])
    found = least(lambda i: i >= limits, np.full(6, -3), np.full(6, 3))
    assert found.tolist() == [-3, -3, 0, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8")])
def test_floats_are_numbered_in_their_order(dtype: np.dtype) -> None:
    least_above_zero = np.nextafter(dtype.type(0), dtype.type(1))
    assert nth_float(np.array([-1, 0, 1]), dtype).tolist() == [-least_above_zero, 0, least_above_zero]
    for x in (1e-40, 0.1, 1.0, 1e9, HUGE):
        i = float_index(x, dtype)
        assert nth_float(np.array([i, -i]), dtype).tolist() == [dtype.type(x), -dtype.type(x)]
        assert nth_float(np.array([i + 1]), dtype)[0] == np.nextafter(dtype.type(x), dtype.type(np.inf))


def test_scales_are_found_and_refused() -> None:
    assert scales(np.array([[2.0, -2.0], [-0.5, 0.5]])).tolist() == [2, 0.5]
    assert scales(np.array([[2.0, -2.0], [0.5, 0.0], [0.0, 0.0]])).tolist() == [2, 0.5, 0]
    assert scales(np.array([[2.0, -2.0], [0.5, 0.25]])) is None
    assert pruned(np.array([[2.0, -2.0], [0.5, 0.0]]), np.array([2.0, 0.5]))
    assert not pruned(np.array([[2.0, -2.0], [0.0, 0.0]]), np.array([2.0, 0.0]))


def test_which_layers_stay() -> None:
    """Real weights stay; pooling passes signs on, and keeps batch norm behind it; Dropout goes."""
    model = Sequential([Conv2d(1, 4, 3, rng=0), BatchNorm(4), Sign(), MaxPool2d(2), Dropout(0.5, rng=0), Flatten(),
                        Linear(36, 6, rng=1), BatchNorm(6), Sign(), Linear(6, 5, rng=2), ReLU(), Linear(5, 4, rng=3),
                        BatchNorm(4)])
    binarize([model.layers[6].weight, model.layers[9].weight, model.layers[11].weight])
    smaller = with_thresholds(model)
    names = [type(layer).__name__ for layer in smaller.layers]
    assert names == ["Conv2d", "BatchNorm", "Sign", "MaxPool2d", "Flatten", "Linear", "Threshold", "Linear", "ReLU",
                     "Linear"]
    assert smaller.layers[5].bias is None
    assert smaller.layers[6].limit.data.tolist() == np.rint(smaller.layers[6].limit.data).tolist()
    x = np.random.default_rng(0).standard_normal((7, 1, 8, 8))
    assert np.allclose(predict(smaller, x), predict(model, x), rtol=1e-12)
    assert len(model.layers) == 13, "the model itself is not changed"


def test_batch_norm_is_folded_where_no_sign_follows() -> None:
    def model(*end: Layer) -> Sequential:
        layers = Sequential([Sign(), Linear(8, 5, rng=0, bias=False), norm(5, 3), *end])
        binarize([layers.layers[1].weight])
        return layers

    x = np.random.default_rng(0).standard_normal((9, 8))
    plain = model(ReLU(), Linear(5, 4, rng=1))
    smaller = with_thresholds(plain)
    assert [type(layer) for layer in smaller.layers] == [Sign, Linear, ReLU, Linear]
    assert np.allclose(predict(smaller, x), predict(plain, x), rtol=1e-12)
    for end in ([MaxPool2d(2), Sign()], [Sequential([ReLU(), Sign()])]):  # rounding could turn a sign
        assert type(with_thresholds(model(*end)).layers[2]) is BatchNorm


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 14), st.integers(0, 2**32), st.booleans())
def test_pruned_rows_have_thresholds_too(n: int, seed: int, real: bool) -> None:
    rng, C = np.random.default_rng(seed), 12
    layers = [Linear(n, C, rng=0), norm(C, seed), Sign(), Linear(C, 4, rng=1, bias=False), norm(4, seed)]
    model = Sequential(layers if real else [Sign(), *layers])
    for weight in model.weights():
        weight.become(weight.data, [Binary("channel"), Masked(rng.random(weight.shape) < 0.6)])
    smaller = with_thresholds(model)
    assert [type(layer) for layer in smaller.layers[-3:]] == [Linear, Threshold, Linear]
    x = rng.choice([-1.0, 1.0], (200, n))
    before, after = model.layers[:-2], smaller.layers[:-1]
    assert np.array_equal(predict(Sequential(after), x), predict(Sequential(before), x))
    assert np.allclose(predict(smaller, x), predict(model, x), rtol=1e-12, atol=1e-12)
    assert np.allclose(packed(smaller)(x), predict(model, x), rtol=1e-12, atol=1e-12)
    first, v = smaller.weights()[0], layers[0].weight.forward()
    assert np.array_equal(first.forward() != 0, v != 0), "what is pruned stays pruned"
    again = storage.from_bytes(storage.to_bytes(smaller))
    assert np.array_equal(predict(again, x), predict(smaller, x))


def test_whole_thresholds_survive_half_precision() -> None:
    model = Sequential([Sign(), Linear(5000, 6, rng=0, bias=False), BatchNorm(6), Sign(), Linear(6, 2, rng=1)])
    binarize([model.layers[1].weight])
    model.layers[2].mean[...] = 0.0175 * np.array([2049.5, -3001, 7, 0, 2051, 1])
    smaller = with_thresholds(model)
    assert np.abs(smaller.layers[2].limit.data).max() > 2048
    half = finished(smaller, "half")
    assert half.layers[2].limit.data.tolist() == smaller.layers[2].limit.data.tolist()
    assert half.layers[3].weight.data.tolist() != smaller.layers[3].weight.data.tolist()


def test_the_gradient_of_a_threshold_is_straight_through() -> None:
    layer = Threshold(np.array([0.0, 5.0]))
    x = np.array([[0.5, 4.5], [-2.0, 5.0]])
    assert layer.forward(x).tolist() == [[1, -1], [-1, 1]]
    assert layer.backward(np.array([[1.0, 2], [3, 4]])).tolist() == [[1, 2], [0, 4]]
    assert layer.limit.grad.tolist() == [-1, -6]
    with pytest.raises(ShapeError, match="allowed"):
        Threshold(np.zeros((2, 2)))


def test_a_shared_layer_is_refused() -> None:
    layer = Linear(4, 4, rng=0)
    with pytest.raises(StateError, match="share"):
        with_thresholds(Sequential([layer, Sign(), layer, Sign()]))


def test_the_file_is_28_times_smaller(tmp_path: Path) -> None:
    layers = []
    for i, (n_in, n_out) in enumerate([(784, 512), (512, 512), (512, 512), (512, 10)]):
        layers += [Linear(n_in, n_out, rng=i, bias=False, dtype=np.float32), norm(n_out, i, np.float32), Sign()]
    model = Sequential(layers[:-1])
    dense = storage.save(tmp_path / "dense.mcz", model)
    for weight in model.weights():
        weight.become(weight.data, [Binary("channel")])
    smaller = with_thresholds(model)
    size = storage.save(tmp_path / "binary.mcz", smaller)
    bits = sum(weight.forward().size for weight in model.weights())
    assert bits / 8 < size < 1.06 * bits / 8
    assert dense >= 28 * size
    x = np.random.default_rng(0).random((3, 784), np.float32)
    again = storage.load(tmp_path / "binary.mcz")
    assert np.allclose(packed(again)(x), predict(model, x), rtol=1e-5, atol=1e-5)
