"""Lecture 12: batch norm and sign as one threshold. What is left of a binary network when it is finished?

    smaller = with_thresholds(model)     an ordinary network: saved with storage.save, run fast by packed.packed,
                                         where no weight is pruned

    sign BN(z + b) = +1   where z ≥ t, if γ > 0;   where z ≤ t, if γ < 0      z (N, C): the layer's sums   t (C,)

Where γ < 0 all signs of that row of weights are turned over, and so is z: one form remains, z ≥ t. Behind signs, z is
a whole number between -n and n, and so is t. Bias, μ, σ², γ and β of every layer but the last are gone, and behind
signs α, too.

t is not computed from them: rounding would put it beside the layer's own. It is found, as the least z whose sign is
+1, by halving the interval of all whole numbers or all floats. Rounding never reverses an order, so this is exact.

Source: Umuroglu et al. 2017, "FINN", batch norm and activation as a threshold. Not here: pooling between a layer and
its batch norm.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import numpy as np

from ..errors import ShapeError, StateError
from ..nn import BatchNorm, Conv2d, Dropout, Flatten, Gate, Layer, Linear, MaxPool2d, Parameter, Sequential, Sign
from ..nn.channelwise import per_channel
from ..pruning.masks import Scatter
from .binary import Signed
from .folding import fold

Positive = Callable[[np.ndarray], np.ndarray]  # numbers (C,) → where their sign is +1 (C,)
HUGE = 1e30  # beyond every sum; the threshold of a unit that is always on, or with the other sign never


class Threshold(Layer):
    """y = +1 where x ≥ t, else -1      x (N, C) or (N, C, H, W)   t (C,)   saved: x, t in x's shape

    dx = dy [|x - t| ≤ 1],   dt = -Σ dx over all but the channels      straight through, as in Sign
    """

    limit: Parameter

    def __init__(self, limit: np.ndarray) -> None:
        self.limit = Parameter(limit)
        self.validate()

    def forward(self, x: np.ndarray) -> np.ndarray:
        t = per_channel(self.limit.forward(), x)
        self.save(x, t)
        return np.where(x >= t, x.dtype.type(1), x.dtype.type(-1))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x, t = self.recall()
        dx = dy * (np.abs(x - t) <= 1)
        self.limit.backward(-dx.sum((0, 2, 3)[: x.ndim - 1]))
        return dx

    def validate(self) -> None:
        if len(self.limit.shape) != 1:
            raise ShapeError(f"thresholds have shape {self.limit.shape}; allowed: (C,).")


def scales(W: np.ndarray) -> np.ndarray | None:
    """α (O,), where every weight of row o is ± α[o], or zero, pruned; None where they are not.      W (O, …)"""
    sizes = np.abs(W).reshape(len(W), -1)
    alpha: np.ndarray = sizes.max(1)
    return alpha if ((sizes == alpha[:, None]) | (sizes == 0)).all() else None


def pruned(W: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether W has a zero that is not one of the signs of a row with α = 0."""
    return bool((W[alpha > 0] == 0).any())


def put_signs(weight: Parameter, alpha: np.ndarray, bits: np.ndarray) -> None:
    """Let the weights that are not zero be ± α, + where the bit is 1, with one α if it is one.   α (O,)   bits (O, …)
    """
    kept = weight.forward() != 0
    alpha = alpha[:1] if (alpha == alpha[0]).all() else alpha
    counts = kept.reshape(len(alpha), -1).sum(1)
    weight.become(alpha, [Signed(bits, counts)] if kept.all() else [Signed(bits[kept], counts), Scatter(kept)])


def with_thresholds(model: Layer) -> Layer:
    """A copy for evaluation, equal in its outputs, in which [Linear or Conv2d of signs, BatchNorm …, Sign] has become
    [the same layer without bias, Threshold], in every Sequential; Dropout is left out.

    A layer of signs with batch norms elsewhere becomes one with a bias and an α for each output; only this changes the
    rounding, so it needs that no Sign follows. Some of a row's weights may be zero, pruned. Sums behind signs are
    assumed exact, as α of few bits makes them. Other layers stay as they are.
    Raises StateError for a model in which two places share a parameter.
    """
    parameters = [id(value) for _, value in model.leaves() if isinstance(value, Parameter)]
    if len(set(parameters)) < len(parameters):
        raise StateError("two layers share a parameter; allowed: each its own. Hint: copy.deepcopy the layer.")
    model = copy.deepcopy(model)
    model.train(False)
    for _, node in list(model.walk()):
        if isinstance(node, Sequential):
            node.layers = joined(node.layers)
    return model


def joined(layers: list[Layer]) -> list[Layer]:
    """The layers of a Sequential, put together as `with_thresholds` says."""
    layers = [layer for layer in layers if not isinstance(layer, Dropout)]
    result: list[Layer] = []
    behind_signs = False
    while layers:
        layer, *layers = layers
        result.append(layer)
        if isinstance(layer, (Linear, Conv2d)) and (alpha := scales(layer.weight.forward())) is not None:
            norms = list(itertools.takewhile(lambda other: isinstance(other, (BatchNorm, Gate)), layers))
            rest = layers[len(norms) :]
            if rest and isinstance(rest[0], Sign):
                result.append(replace_norms(layer, alpha, norms, behind_signs))
                layers = rest[1:]
            elif norms and all(isinstance(norm, BatchNorm) for norm in norms) and not signs_in(rest):
                fold_norms(layer, norms)
                layers = rest
        if not isinstance(layer, (Flatten, MaxPool2d)):
            behind_signs = isinstance(result[-1], (Sign, Threshold))
    return result


def signs_in(layers: list[Layer]) -> bool:
    """Whether one of them is a Sign, or has one inside."""
    return any(isinstance(node, Sign) for layer in layers for _, node in layer.walk())


def fold_norms(layer: Linear | Conv2d, norms: list[Layer]) -> None:
    """Fold batch norms behind a layer of signs into its α and bias, in place. An α of zero prunes no row."""
    before = copy.deepcopy(layer.weight)
    for norm in norms:
        if isinstance(norm, BatchNorm):
            fold(layer, norm)
    W = layer.weight.forward()
    layer.weight = before
    put_signs(before, np.abs(W).reshape(len(W), -1).max(1), W > 0)


def replace_norms(layer: Linear | Conv2d, alpha: np.ndarray, norms: list[Layer], behind_signs: bool) -> Threshold:
    """Take bias and turned signs out of the layer, and α where its inputs are signs; return what replaces the rest."""
    W = layer.weight.forward()
    n, dtype = W[0].size, W.dtype
    b = dtype.type(0) if layer.bias is None else layer.bias.forward()

    def positive(z: np.ndarray) -> np.ndarray:
        x = (z + b)[None]
        for norm in norms:
            x = norm.forward(x)
        return x[0] >= 0

    def number(i: np.ndarray) -> np.ndarray:
        return alpha * i.astype(dtype) if behind_signs else nth_float(i, dtype)

    high = np.full(len(W), n if behind_signs else float_index(HUGE, dtype))
    falls = positive(number(-high)) & ~positive(number(high))
    turned = np.where(falls, dtype.type(-1), dtype.type(1))
    i = least(lambda middle: positive(turned * number(middle)), -high, high)
    bits = ((W > 0).T ^ falls).T  # transposed, because NumPy lines up the last axes
    put_signs(layer.weight, np.ones_like(alpha) if behind_signs else alpha, bits)
    layer.bias = None
    return Threshold(i.astype(dtype) if behind_signs else nth_float(i, dtype))


def least(positive: Positive, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The least i in low … high with positive(i), or high + 1; positive never falls as i grows.      all (C,)"""
    high = high + 1
    while (low < high).any():
        middle = (low & high) + ((low ^ high) >> 1)  # their mean, without a sum that overflows
        found = positive(middle) | (low == high)
        low, high = np.where(found, low, middle + 1), np.where(found, middle, high)
    return low


def float_index(x: float, dtype: np.dtype) -> int:
    """How many floats of the dtype lie between 0 and x ≥ 0, x included: its bits, read as an integer."""
    return int(np.array(x, dtype).view(f"i{dtype.itemsize}"))


def nth_float(i: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The i-th float above 0, or the -i-th below: integers in the order of the floats."""
    return np.copysign(np.abs(i).astype(f"i{dtype.itemsize}").view(dtype), i.astype(dtype))
