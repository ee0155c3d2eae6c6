"""Integer inference equals its simulation in float64 bit for bit; the plausible mistakes do not."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn, storage
from minicompress.errors import DTypeError, StorageError
from minicompress.ledger import finished
from minicompress.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, predict
from minicompress.quantization import integer as module
from minicompress.quantization.conversion import to_integers
from minicompress.quantization.integer import IntegerNetwork, Stage, integer, requantized, simulated
from minicompress.quantization.quantizer import Quantizer
from minicompress.quantization.uniform import quantize


def biased(model: Sequential, rng: np.random.Generator) -> Sequential:
    for layer in model.layers:
        if isinstance(layer, (Linear, Conv2d)) and layer.bias is not None:
            layer.bias.become(rng.normal(size=layer.bias.shape) * 0.3)
    return model


def cnn(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    return biased(Sequential([
        Conv2d(1, 4, 3, rng=rng, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 6, 2, rng=rng, groups=2, bias=False),
        MaxPool2d(2, 1), ReLU(), Sequential([Conv2d(6, 6, 2, rng=rng, groups="channels", padding=(1, 0)), Flatten()]),
        Linear(18, 7, rng=rng), Linear(7, 5, rng=rng)]), rng)


def images(seed: int, n: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 1, 8, 8))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([8, 7, 4, 2]), st.booleans(), st.booleans(),
       st.sampled_from(["min-max", "percentile", "mse"]))
def test_integers_equal_the_simulation_bit_for_bit(seed: int, bits: int, symmetric: bool, per_channel: bool,
                                                   method: str) -> None:
    model = cnn(seed)
    for w in model.weights():
        quantize(w, bits, symmetric=symmetric, per_channel=per_channel)
    network = to_integers(model, images(seed), bits=bits, method=method)
    x = 2 * images(seed + 1)  # some beyond the calibrated range
    y = network(x)
    assert y.dtype == np.float64
    assert np.array_equal(y, simulated(network, x))
    assert np.array_equal(np.concatenate([network(x[i : i + 1]) for i in range(3)]), y[:3])  # whatever the batch


def test_the_file_form_is_the_model_with_its_codes() -> None:
    model, x = cnn(), images(1)
    for w in model.weights():
        quantize(w, 8, per_channel=True)
    network = to_integers(model, x)
    for value in (network, {"network": network}, network.stages[0]):
        with pytest.raises(StorageError, match="what it was made from"):
            storage.to_bytes(value)
    again = to_integers(storage.from_bytes(storage.to_bytes(finished(model, "single"))), x)
    for stage, other in zip(network.stages, again.stages, strict=True):
        assert np.array_equal(stage.weight, other.weight)
        assert np.array_equal(stage.multiplier * 2.0**-stage.shift, other.multiplier * 2.0**-other.shift)


def test_eight_bits_are_close_to_the_model() -> None:
    model, x = cnn(), images(1)
    y = predict(model, x)
    for per_channel in (False, True):
        assert np.abs(to_integers(model, x, per_channel=per_channel)(x) - y).max() < 0.06 * np.abs(y).max()


def test_only_integers_travel() -> None:
    network = to_integers(cnn(), images(0))
    q = network.stages[0].x.encode(images(1))
    for stage in network.stages:
        assert q.dtype == np.uint8
        q = integer(stage.layer, q, stage)
    assert q.dtype == np.int32
    kinds = {part.dtype.name for stage in network.stages for part in stage if isinstance(part, np.ndarray)}
    assert kinds == {"uint8", "int16", "int32"}


def test_bytes() -> None:
    """A byte a weight; for each output a zero point, 4 of bias and, but for the last layer, 3 to requantize."""
    rng = np.random.default_rng(0)
    network = to_integers(Sequential([Linear(64, 32, rng=rng), ReLU(), Linear(32, 10, rng=rng)]), rng.random((50, 64)))
    assert network.parameter_bytes == 64 * 32 + 32 * 8 + 32 * 10 + 10 * 5


def stage(m: int, n: int, zero: int = 0) -> Stage:
    out = Quantizer(np.ones(1), np.array([zero]), 255)
    return Stage(ReLU(), out, out, np.empty(0), np.empty(0), np.zeros(1, np.int32), np.array([m]), np.array([n]))


def test_requantizing_is_rounding_with_halves_up() -> None:
    """m = 1024, n = 11 is one half."""
    a = np.array([[-3, -2, -1, 0, 1, 2, 3, 1000]], np.int32)
    assert requantized(a, stage(1024, 11, 10)).tolist() == [[9, 9, 10, 10, 11, 11, 12, 255]]
    big = np.array([[2**31 - 1, -(2**31)]], np.int32)  # the product needs 64 bits
    assert requantized(big, stage(2047, 36, 7)).tolist() == [[round((2**31 - 1) * 2047 / 2**36) + 7, 0]]
    assert requantized(big, stage(2047, 62)).tolist() == [[0, 0]]


def mistakes() -> dict[str, dict[str, object]]:
    def eight_bit_sums(stage: Stage, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        W, shifted = module_widened(stage, x)
        return W.astype(np.int8), shifted.astype(np.int8)

    def zero_forgotten(stage: Stage, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return module_widened(stage, x)[0], x.astype(np.int32)

    def truncated(products: np.ndarray, stage: Stage) -> np.ndarray:
        return module_requantized(products, stage._replace(bias=stage.bias - (0 if stage.out is None else 1)))

    module_widened, module_requantized = module.widened, module.requantized
    return {"sums in 8 bits": {"widened": eight_bit_sums}, "zero point forgotten": {"widened": zero_forgotten},
            "one too low": {"requantized": truncated}}


@pytest.mark.parametrize("name", mistakes())
def test_mistakes_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = to_integers(cnn(), images(0)), images(1)
    right = simulated(network, x)
    for function, wrong in mistakes()[name].items():
        monkeypatch.setattr(module, function, wrong)
    assert not np.array_equal(network(x), right)


def test_padding_is_the_number_zero_not_the_code_zero() -> None:
    """Inputs in -3 .. 1: the code of zero is far from 0, and a sum of ones tells what was padded."""
    layer = Conv2d(1, 1, 3, rng=0, padding=1)
    layer.weight.become(np.ones((1, 1, 3, 3)))
    x = np.random.default_rng(0).uniform(-3, 1, (20, 1, 4, 4))
    network = to_integers(Sequential([layer]), x)
    assert network.stages[0].x.zero[0] > 90
    assert np.array_equal(network(x), simulated(network, x))
    assert np.abs(network(x) - predict(layer, x)).max() < 0.2


def test_a_layer_without_a_rule_is_named() -> None:
    with pytest.raises(DTypeError, match=r"Sigmoid\(\) has no rule for integers.*fold_batch_norm"):
        integer(nn.Sigmoid(), np.zeros((1, 1), np.uint8), stage(1024, 11))


def test_the_network_can_be_copied() -> None:
    network = copy.deepcopy(to_integers(cnn(), images(0)))
    assert isinstance(network, IntegerNetwork)
    assert np.array_equal(network(images(1)), simulated(network, images(1)))
