"""Lecture 09: inference in integers. What is left of a network when all its numbers are whole?

    weights        ŵ = s_w (q_w - z_w)      8 bits, one scale, or one for each output
    activations    x̂ = s_x (q_x - z_x)      8 bits, a scale for each layer: a power of two
    biases         b̂ = s_w s_x q_b          32 bits, in the accumulator's own scale
    accumulator    a = Σ (q_w - z_w)(q_x - z_x) + q_b          32 bits;  y = s_w s_x a
    the next code  q_y = clip(z_y + round(M a), 0, top),  M = s_w s_x / s_y = m 2^-n:  (m a + 2^(n - 1)) >> n

ReLU costs nothing: where one follows, the range of y begins at zero, and clipping is the ReLU. MaxPool2d and Flatten
act on codes. The accumulators of the last layer are the outputs: only there a scale turns integers into numbers.

Source: Jacob et al. 2018, sections 2.2 to 2.4, eq. 4 to 7. Differences: they round M to an integer of 31 bits and a
shift; here scales have 11 significant bits (weights) and one (activations), so M = m 2^-n holds exactly, no sum of the
simulation rounds, and the two are equal bit for bit on every machine. Their outputs have 8 bits, ours 32.

Not here: how a network is converted (conversion.py), and speed (NumPy has no fast product of integers).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..errors import DTypeError, ShapeError
from ..inputs import as_array
from ..nn import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, kernels
from ..nn.conv import check_images
from .quantizer import Quantizer, column


class Stage(NamedTuple):
    """A layer; the grids of its inputs and outputs; its integers, which are empty where it has no weights.

    layer: with the numbers that the integers stand for, in float64.   out: None where accumulators are the outputs.
    """

    layer: Layer
    x: Quantizer
    out: Quantizer | None
    weight: np.ndarray = np.empty(0, np.uint8)  # (O, …), unsigned, each minus its zero point
    weight_zero: np.ndarray = np.empty(0, np.uint8)  # (O,)
    bias: np.ndarray = np.empty(0, np.int32)  # (O,)
    multiplier: np.ndarray = np.empty(0, np.int16)  # (O,)
    shift: np.ndarray = np.empty(0, np.uint8)  # (O,)


class IntegerNetwork(NamedTuple):
    """y = scale · accumulators      what `to_integers` makes   scale (O,): of the last layer's outputs

    Inputs outside of the range that it was calibrated on are clipped: stages[0].x.clipped(x) counts them.
    It goes into no file: what is saved is the model with `Scaled` weights (`quantize`, freeze), and `to_integers` makes
    the network from that and some samples.
    """

    stages: list[Stage]
    scale: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The outputs in float64 for real numbers x (N, …): encoded, then integers, then one product."""
        y = self.stages[0].x.encode(as_array(x, "x", (None, ...), np.float64))
        for stage in self.stages:
            y = integer(stage.layer, y, stage)
        result: np.ndarray = y * self.scale.reshape((-1,) + (1,) * (y.ndim - 2))
        return result

    @property
    def parameter_bytes(self) -> int:
        """What a device stores, counted, not a file: codes, zero points, biases, multipliers, shifts."""
        return sum(part.nbytes for stage in self.stages for part in stage if isinstance(part, np.ndarray))


@functools.singledispatch
def integer(layer: Layer, x: np.ndarray, stage: Stage) -> np.ndarray:
    """One layer in integers: codes (N, …) in uint8 to codes in uint8, or to the last accumulators in int32."""
    raise without_rule(layer)


def without_rule(layer: Layer) -> DTypeError:
    """The error for a layer that `integer` does not know."""
    return DTypeError(f"{layer!r} has no rule for integers; allowed: Linear, Conv2d, ReLU, MaxPool2d, Flatten. "
                      f"Hint: fold_batch_norm first; @integer.register for others.")


@integer.register
def _(layer: Linear, x: np.ndarray, stage: Stage) -> np.ndarray:
    if x.ndim != 2 or x.shape[1] != stage.weight.shape[1]:
        raise ShapeError(f"{layer!r} got codes of shape {x.shape}; allowed: (N, {stage.weight.shape[1]}).")
    W, shifted = widened(stage, x)
    return requantized(W @ shifted.T, stage).T


@integer.register
def _(layer: Conv2d, x: np.ndarray, stage: Stage) -> np.ndarray:
    """Zeros are padded after z is subtracted: what is padded is the number 0, not the code 0."""
    (O, C, ki, kj), (p, q) = stage.weight.shape, layer.padding
    groups = layer.group_count(O)
    check_images(layer, x, (ki - 2 * p, kj - 2 * q), layer.stride, C * groups)
    W, shifted = widened(stage, x)
    y, _ = kernels.convolve(kernels.pad(shifted.transpose(1, 2, 3, 0), layer.padding), W, layer.stride, groups)
    return requantized(y, stage).transpose(3, 0, 1, 2)


@integer.register
def _(layer: ReLU, x: np.ndarray, stage: Stage) -> np.ndarray:
    """max(q, z): the code of zero is z."""
    return np.maximum(x, stage.x.zero.astype(x.dtype))


@integer.register(MaxPool2d)
@integer.register(Flatten)
def _(layer: Layer, x: np.ndarray, stage: Stage) -> np.ndarray:
    """The codes have the order of the numbers that they stand for."""
    return layer.forward(x)


def widened(stage: Stage, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(q_w - z_w, q_x - z_x) in int32, because that is the type in which NumPy then sums their products."""
    W = stage.weight.astype(np.int32) - column(stage.weight_zero, stage.weight, np.int32)
    return W, x.astype(np.int32) - stage.x.zero.astype(np.int32)


def requantized(products: np.ndarray, stage: Stage) -> np.ndarray:
    """Accumulators (O, …) to codes: add the bias, multiply in 64 bits, shift with rounding (a half goes up), clip."""
    a = products + column(stage.bias, products)
    if stage.out is None:
        return a
    m, n = column(stage.multiplier, a, np.int64), column(stage.shift, a, np.int64)
    y = ((a * m + (1 << (n - 1))) >> n) + stage.out.zero
    return np.clip(y, 0, stage.out.top).astype(np.uint8)


def simulated(network: IntegerNetwork, x: np.ndarray) -> np.ndarray:
    """The same outputs by the ordinary layers in float64, every activation rounded to its grid, a half upwards."""
    first = network.stages[0].x
    y = first.decode(first.encode(as_array(x, "x", (None, ...), np.float64)))
    for layer, _, out, *_ in network.stages:
        y = layer.forward(y)
        if out is not None:
            y = out.scale * (np.clip(np.floor(y / out.scale + 0.5) + out.zero, 0, out.top) - out.zero)
    return y
