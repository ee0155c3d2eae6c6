"""Lecture 09: from a trained network to its integers. Where do ranges, biases and multipliers come from?

    weights        keep the grid they have, or get one (uniform.py)
    activations    the layer's outputs on samples, behind the ReLU where one follows: their range, as a power of two
    biases         q_b = round(b / (s_w s_x))
    multipliers    s_w s_x / s_y = m 2^-n,  2^10 ≤ m < 2^11

Source: Jacob et al. 2018, sections 2.2 to 2.4. Not here: running the integers (integer.py), batch norm (folding.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from ..errors import DTypeError, RangeError, StateError
from ..inputs import as_array, as_integer
from ..nn import Conv2d, Layer, Linear, Parameter, ReLU, Sequential
from .integer import IntegerNetwork, Stage, integer, without_rule
from .quantizer import SIGNIFICANT_BITS, Quantizer, calibrated
from .sharing import Codebook
from .uniform import quantize, quantizer_of


def to_integers(model: Layer, x: np.ndarray, *, bits: int = 8, per_channel: bool = True, method: str = "min-max",
                keep: float = 0.99) -> IntegerNetwork:
    """The integer network of a trained model, the ranges of its activations taken from the samples x (N, …).

    bits, at most 8: of activations (affine, by `method` and `keep`, see `calibrated`), and of weights without a grid
    (symmetric). Raises DTypeError (a layer without a rule; the last one without weights), StateError (a codebook, whose
    numbers are on no grid), RangeError (weights of more than 8 bits, scales of more than 11 significant bits, a sum
    that could leave 32 bits).
    """
    bits, layers = as_integer(bits, "bits", 1, 8), list(flat(copy.deepcopy(model)))
    for layer in layers:
        layer.train(False)
        if integer.dispatch(type(layer)) is integer.dispatch(object):
            raise without_rule(layer)
        if isinstance(layer, (Linear, Conv2d)) and quantizer_of(layer.weight) is None:
            check_real(layer)
            quantize(layer.weight, max(bits, 2), per_channel=per_channel)
    if not layers or not isinstance(layers[-1], (Linear, Conv2d)):
        raise DTypeError("the last layer has no weights; allowed: Linear or Conv2d. Hint: leave the others out.")
    values = [as_array(x, "x", (None, ...), np.float64)]
    for layer in layers:
        values.append(layer.forward(values[-1]))
    now, stages = activation_grid(values[0], bits, method, keep), []
    for i, layer in enumerate(layers[:-1]):
        out = now
        if isinstance(layer, (Linear, Conv2d)):
            out = activation_grid(values[after_relu(layers, i)], bits, method, keep)
        stages.append(stage_of(layer, now, out))
        now = out
    scale = accumulator_scale(layers[-1], now)
    return IntegerNetwork([*stages, stage_of(layers[-1], now, None)], scale)


def flat(layer: Layer) -> Iterator[Layer]:
    """The layers of nested Sequentials, one after the other."""
    if isinstance(layer, Sequential):
        for inner in layer.layers:
            yield from flat(inner)
    else:
        yield layer


def after_relu(layers: list[Layer], i: int) -> int:
    """How many layers to run to see the range of layer i: a ReLU before the next weights belongs to it."""
    end = i + 1
    for j in range(i + 1, len(layers)):
        if isinstance(layers[j], (Linear, Conv2d)):
            break
        if isinstance(layers[j], ReLU):
            end = j + 1
    return end


def check_real(layer: Linear | Conv2d) -> None:
    """Raise StateError where the weights are the numbers of a codebook."""
    if any(isinstance(each, Codebook) for each in layer.weight.parametrizations):
        raise StateError(f"{layer!r} has a codebook, whose numbers are on no grid; allowed: real or quantized weights. "
                         f"Hint: weight.bake(), which rounds its numbers to 8 bits.")


def activation_grid(values: np.ndarray, bits: int, method: str, keep: float) -> Quantizer:
    """One grid for all of them. A power of two hides how a machine rounded the sums from which its range came."""
    return calibrated(values, bits, symmetric=False, method=method, keep=keep, significant=1)


def accumulator_scale(layer: Linear | Conv2d, x: Quantizer) -> np.ndarray:
    """s_w s_x (O,).   Raises RangeError where the weights have more than 8 bits."""
    grid = quantizer_of(layer.weight)
    if grid is None or grid.top > 255:
        raise RangeError(f"{layer!r} has weights of more than 8 bits; allowed: 1 .. 8. Hint: quantize(weight, 8).")
    return np.broadcast_to(grid.scale * x.scale, layer.weight.shape[:1])


def stage_of(layer: Layer, x: Quantizer, out: Quantizer | None) -> Stage:
    """The integers of a layer between two grids; the layer itself gets the numbers they stand for."""
    grid = quantizer_of(layer.weight) if isinstance(layer, (Linear, Conv2d)) else None
    if grid is None or not isinstance(layer, (Linear, Conv2d)):
        return Stage(layer, x, out)
    w, scale = layer.weight.forward(), accumulator_scale(layer, x)
    codes, zero = grid.encode(w), np.broadcast_to(grid.zero, scale.shape).astype(np.uint8)
    bias = np.zeros(len(w)) if layer.bias is None else np.rint(layer.bias.forward() / scale)
    rows = np.abs(codes.reshape(len(w), -1) - zero[:, None].astype(np.int64)).sum(1)
    largest = int((rows * max(int(x.zero[0]), x.top - int(x.zero[0])) + np.abs(bias)).max())
    if largest >= 2**31:
        raise RangeError(f"a sum of {layer!r} could reach {largest}; allowed: below 2^31. Hint: samples that "
                         f"reach beyond {x.scale[0] * x.top:g} at its inputs, or per_channel=False.")
    layer.weight.become(grid.decode(codes))
    layer.bias = Parameter(bias * scale)
    m, n = (np.empty(0), np.empty(0)) if out is None else multipliers(scale / out.scale)
    return Stage(layer, x, out, codes, zero, bias.astype(np.int32), m.astype(np.int16), n.astype(np.uint8))


def multipliers(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, n) with M = m 2^-n, whole numbers, 2^10 ≤ m < 2^11.   Raises RangeError where there are none.

    From n = 62 on a product of 42 bits rounds to zero, so n may stop there.
    """
    mantissa, exponent = np.frexp(M)
    m, n = mantissa * 2**SIGNIFICANT_BITS, SIGNIFICANT_BITS - exponent
    if (m != np.rint(m)).any() or n.min() < 1:
        raise RangeError(f"multipliers to {M.max():g} have over {SIGNIFICANT_BITS} significant bits, or too large; "
                         f"allowed: scales as `quantize` makes them. Hint: bake the weight, quantize anew.")
    return m, np.minimum(n, 62)
