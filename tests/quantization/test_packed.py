"""Packed inference equals the product of signs, for every size, and the network that it stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import DTypeError, RangeError, ShapeError
from minicompress.nn import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sign,
    predict,
)
from minicompress.quantization import packed as module
from minicompress.quantization.binary import Binary, binarize
from minicompress.quantization.packed import pack, pack_weights, packed, pixel_product, product, xnor_speedup
from minicompress.quantization.thresholds import Threshold, with_thresholds


def signs(bits: np.ndarray) -> np.ndarray:
    return np.where(bits, 1, -1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9), st.integers(1, 200), st.integers(1, 9), st.integers(0, 2**32))
def test_the_product_is_that_of_signs(N: int, n: int, O: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, w = rng.random((N, n)) < 0.5, rng.random((O, n)) < rng.random()
    y = product(pack(a), pack_weights(w), n)
    assert y.dtype.kind == "i"
    assert np.array_equal(y, signs(a) @ signs(w).T)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 1000, 2**14 - 1, 2**14, 40000])
def test_equal_and_opposite_rows_reach_both_ends(n: int) -> None:
    a = np.random.default_rng(0).random((1, n)) < 0.5
    assert product(pack(a), pack_weights(np.concatenate([a, ~a])), n).tolist() == [[n, -n]]


def test_blocks_of_samples_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, w = rng.random((11, 70)) < 0.5, rng.random((5, 70)) < 0.5
    monkeypatch.setattr(module, "BLOCK", 40)  # two words of five rows each: four samples a block
    assert np.array_equal(product(pack(a), pack_weights(w), 70), signs(a) @ signs(w).T)


def test_words_hold_64_bits_and_the_buffer_size_is_as_before() -> None:
    assert [pack(np.ones((3, n), bool)).shape[1] for n in (1, 64, 65, 129)] == [1, 1, 2, 3]
    assert [np.bitwise_count(pack(np.ones((1, n), bool))).sum() for n in (1, 64, 65, 129)] == [1, 64, 65, 129]
    before = np.getbufsize()
    product(pack(np.ones((3, 9), bool)), pack_weights(np.ones((2, 9), bool)), 9)
    assert np.getbufsize() == before


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(1, 130), st.integers(1, 4), st.integers(0, 2**32))
def test_pixels_bit_by_bit(N: int, n: int, O: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 256, (N, n), np.uint8), rng.random((O, n)) < 0.5
    assert np.array_equal(pixel_product(x, pack_weights(w)), x.astype(int) @ signs(w).T)
    assert np.array_equal(pixel_product(np.full_like(x, 255), pack_weights(w)), np.full(x.shape, 255) @ signs(w).T)


def settle(model: Sequential, x: np.ndarray) -> Sequential:
    """Batch norms with statistics of x, and scales of both signs and zero, each with a shift."""
    rng = np.random.default_rng(3)
    model.train()
    for _ in range(30):
        model.forward(x)
        model.train()
    for _, node in model.walk():
        if isinstance(node, BatchNorm):
            node.scale.data[...] = rng.integers(-2, 3, node.scale.shape)
            node.shift.data[...] = rng.uniform(-1, 1, node.shift.shape)
    model.train(False)
    return model


def mlp(scale: str | None = "channel", dtype: type = np.float64) -> Sequential:
    layers = []
    for n_in, n_out, bias in ((20, 70, True), (70, 65, False), (65, 33, True), (33, 5, True)):
        layers += [Linear(n_in, n_out, rng=n_in, bias=bias, dtype=dtype), BatchNorm(n_out, dtype=dtype), Sign(),
                   Dropout(0.2, rng=0)]
    model = Sequential(layers[:-2])
    binarize(model.weights(), scale)
    return model


def cnn() -> Sequential:
    model = Sequential([Conv2d(1, 8, 3, rng=0), BatchNorm(8), Sign(), Conv2d(8, 12, 3, rng=1, stride=(1, 2)),
                        BatchNorm(12), Sign(), MaxPool2d(2), Conv2d(12, 9, 2, rng=2, bias=False), BatchNorm(9), Sign(),
                        Flatten(), Linear(18, 5, rng=3), BatchNorm(5)])
    binarize(model.weights(), "channel")
    return model


@pytest.mark.parametrize("batch", [1, 2, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [None, "layer", "channel"])
def test_a_network_gives_the_same_numbers(batch: int, dtype: type, scale: str | None) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 20)).astype(dtype)
    model = settle(mlp(scale, dtype), x)
    assert packed(model)(x[:batch]).dtype == dtype
    assert np.array_equal(packed(model)(x[:batch]), predict(model, x[:batch]))
    assert np.allclose(packed(with_thresholds(model))(x[:batch]), predict(model, x[:batch]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 5])
def test_convolutions_too(batch: int) -> None:
    x = np.random.default_rng(0).standard_normal((40, 1, 11, 14))
    model = settle(cnn(), x)
    assert np.array_equal(packed(model)(x[:batch]), predict(model, x[:batch]))
    assert np.allclose(packed(with_thresholds(model))(x[:batch]), predict(model, x[:batch]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [9, 20000])
def test_thresholds_that_are_no_whole_numbers(n: int) -> None:
    layer, limits = Linear(n, 4, rng=0, bias=False, dtype=np.float32), np.array([-0.5, 1e-30, 3, 1e9], np.float32)
    layer.weight.become(layer.weight.data, [Binary()])
    model, x = Sequential([Sign(), layer, Threshold(limits)]), np.random.default_rng(0).standard_normal((50, n))
    assert np.array_equal(packed(model)(x), predict(model, x) > 0)
    model.layers.pop()
    assert np.array_equal(packed(model)(x), predict(model, x))
    layer.weight.become(layer.weight.data, [Binary("layer", limit=0.5)])
    assert packed(model)(x.astype(np.float32)).dtype == np.float32


def test_what_is_not_of_signs_runs_as_it_is() -> None:
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((6, 4, 5, 5))
    padded, grouped = Conv2d(4, 4, 3, padding=1, rng=rng), Conv2d(4, 4, 1, groups=2, rng=rng)
    model = Sequential([Sign(), padded, Sign(), grouped, Residual(Sign()), Sign(), ReLU(), Sign(), Flatten(),
                        Dropout(0.5, rng=0), Linear(100, 7, rng=rng)])
    binarize([padded.weight, grouped.weight])
    assert np.allclose(packed(model)(x), predict(model, x), rtol=1e-12)
    assert model.training, "the model itself stays in training mode"
    assert not any(layer.pending for layer in model.layers)


def test_it_is_a_copy_of_the_model_as_it_is_now() -> None:
    model, x = Sequential([Linear(9, 8, rng=0), Sign(), Linear(8, 3, rng=1)]), np.random.default_rng(0).random((4, 9))
    for weight in model.weights():
        weight.become(weight.data, [Binary()])
    before, forward = predict(model, x), packed(model)
    for p in model.parameters():
        p.data[...] = -1 - p.data
    assert np.array_equal(forward(x), before)
    assert not np.array_equal(predict(model, x), before)


def test_what_does_not_fit_is_refused() -> None:
    linear, conv = Linear(9, 4, rng=0), Conv2d(3, 4, 2, rng=0)
    binarize([linear.weight, conv.weight])
    with pytest.raises(ShapeError, match="allowed"):
        packed(linear)(np.ones((2, 8), bool))
    with pytest.raises(ShapeError, match="allowed"):
        packed(conv)(np.ones((2, 4, 8, 8), bool))
    with pytest.raises(ShapeError, match="words"):
        product(pack(np.ones((2, 64), bool)), pack_weights(np.ones((2, 65), bool)), 64)
    with pytest.raises(DTypeError, match="uint8"):
        pixel_product(np.ones((2, 9)), pack_weights(np.ones((2, 9), bool)))
    with pytest.raises(RangeError, match="channels"):
        xnor_speedup(0, 3)


def test_the_speed_up_that_the_paper_computes() -> None:
    assert f"{xnor_speedup(256, 3):.2f}" == "62.27"
    assert xnor_speedup(256, 3) == 64 * 256 * 9 / (256 * 9 + 64)
    assert xnor_speedup(64, 1) == 32, "as much multiplying as counting"
