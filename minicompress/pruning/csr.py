"""Lecture 04: inference that skips the zeros, with compressed sparse rows.

    y = x Wᵀ + b,   (W x)ᵢ = Σ_{j in row i} values[j] x[columns[j]],   row i = starts[i] … starts[i + 1] - 1

values, columns: one entry for each non-zero weight, row after row; starts (out + 1,): where each row begins (Barrett et
al. 1994, "Templates for the Solution of Linear Systems", compressed row storage). In single precision a product reads
8 bytes a survivor instead of 4 a weight, and fetches x from all over: fewer multiplications, not always less time.

Not here: training, and containers other than Sequential and Residual, whose contents run dense.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from ..errors import ShapeError
from ..nn import Conv2d, Layer, Linear, Residual, Sequential, kernels
from ..nn.conv import check_images

Forward = Callable[[np.ndarray], np.ndarray]


def csr_bytes(w: np.ndarray) -> int:
    """Bytes of w (O, …) as compressed sparse rows: values, and columns and starts in 4 bytes each."""
    return int(np.count_nonzero(w)) * (w.itemsize + 4) + 4 * (len(w) + 1)


@functools.singledispatch
def csr(layer: Layer) -> Forward:
    """y = csr(model)(x): the evaluation pass of a layer as it is now, its weights as compressed sparse rows.

    The outputs are those of the layer up to rounding, because sums run in another order. A layer that is not known here
    runs as it is.   The result raises ShapeError as the layer does.
    """
    layer = copy.deepcopy(layer)
    layer.train(False)
    return layer.forward


@csr.register
def _(layer: Sequential) -> Forward:
    return functools.partial(functools.reduce, lambda x, step: step(x), [csr(inner) for inner in layer.layers])


@csr.register
def _(layer: Residual) -> Forward:
    body, shortcut = csr(layer.body), csr(layer.shortcut or Sequential([]))
    return lambda x: body(x) + shortcut(x)


@csr.register
def _(layer: Linear) -> Forward:
    W = csr_array(layer.weight.forward())
    b = None if layer.bias is None else layer.bias.forward()[:, None].copy()

    def forward(x: np.ndarray) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != W.shape[1]:
            raise ShapeError(f"a linear layer got x of shape {x.shape}; allowed: (N, {W.shape[1]}).")
        yT = W @ x.T
        if b is not None:
            yT += b
        return yT.T

    return forward


@csr.register
def _(layer: Conv2d) -> Forward:
    """The weights times the patches of one row of y after the other, each a matrix; depthwise ones stay as they are."""
    w = layer.weight.forward()
    if layer.is_depthwise(w):
        return csr.dispatch(Layer)(layer)
    (O, C, ki, kj), groups, (s, t) = w.shape, layer.group_count(len(w)), layer.stride
    parts = [csr_array(rows) for rows in kernels.weight_rows(w, groups)]
    b = None if layer.bias is None else layer.bias.forward()[:, None, None, None].copy()

    def forward(x: np.ndarray) -> np.ndarray:
        check_images(layer, x, (ki - 2 * layer.padding[0], kj - 2 * layer.padding[1]), (s, t), C * groups)
        padded = kernels.pad(x.transpose(1, 2, 3, 0), layer.padding)
        patches = kernels.patches(kernels.columns(padded, kj, t, groups), ki, s)
        y = np.array([[W @ row for row in group] for W, group in zip(parts, patches, strict=True)])
        y = y.swapaxes(1, 2).reshape(O, patches.shape[1], -1, len(x))  # groups and their outputs first, then the rows
        if b is not None:
            y += b
        return y.transpose(3, 0, 1, 2)

    return forward
