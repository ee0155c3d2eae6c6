"""Lecture 14: convolutions made of cheaper ones, as blocks of ordinary layers.

    full                   k² C O               each output has a kernel of its own for each of the C channels
    depthwise, pointwise   k² C + C O           one kernel a channel, shared by all outputs, which mix its results
    grouped                k² C O / g           an output reads the channels of its group only
    squeezed               C S + k² S O         fewer channels in front of the kernels

The first is a factorization, W[o, c, i, j] = P[o, c] D[c, i, j]: `compose` multiplies the factors, `separate` finds the
nearest ones to a given W. A block is a function (n_in, n_out, *, rng, stride) → Layer, so that networks differ in one
argument. `stride` 2 halves the images, which must have even sides.

Not here: quantized or fused kernels. Networks made of the blocks are in mobile.py, the published ones in zoo.py.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_integer
from ..nn import (
    GRID,
    AvgPool2d,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Conv2d,
    Layer,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from ..nn.layers import Seed


def kernel_weights(C: int, O: int, k: int) -> tuple[int, int]:
    """(k² C O, k² C + C O): the weights of a full and of a separable convolution; their ratio is 1 / O + 1 / k²

    Multiply-accumulates are as many for each position of the output (Howard et al. 2017, section 3.1).
    """
    C, O, k = (as_integer(size, name, 1) for size, name in ((C, "C"), (O, "O"), (k, "k")))
    return k * k * C * O, k * k * C + C * O


def compose(D: np.ndarray, P: np.ndarray) -> np.ndarray:
    """W[o, c, i, j] = P[o, c, 0, 0] D[c, 0, i, j]      D (C, 1, k, k)   P (O, C, 1, 1)   W (O, C, k, k)

    The full convolution that a depthwise one and a pointwise one make together, if nothing stands between them.
    """
    D, P = as_array(D, "D"), as_array(P, "P")
    if D.ndim != 4 or P.ndim != 4 or D.shape[1] != 1 or P.shape[1:] != (len(D), 1, 1):
        raise ShapeError(f"D has shape {D.shape} and P {P.shape}; allowed: (C, 1, k, k) and (O, C, 1, 1).")
    return P * D.swapaxes(0, 1)


def separate(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(D, P) whose `compose` is nearest to W in the sum of squares      W (O, C, k, k)

    For each channel c the kernels W[:, c] are a matrix of O rows and k² columns, and the nearest one of rank 1 comes
    from its largest singular value (Eckart & Young 1936).   Raises ShapeError, NonFiniteError.
    """
    W = as_array(W, "W")
    if W.ndim != 4 or not W.size:
        raise ShapeError(f"W has shape {W.shape}; allowed: (O, C, k, k).")
    O, C, k, kj = W.shape
    U, s, V = np.linalg.svd(W.swapaxes(0, 1).reshape(C, O, k * kj), full_matrices=False)
    return V[:, 0].reshape(C, 1, k, kj), (U[:, :, 0] * s[:, :1]).T.reshape(O, C, 1, 1)


def convolution(n_in: int, n_out: int, kernel: int, *, rng: Seed, stride: int = 1, groups: int | str = 1,
                relu: bool = True, grid: float = GRID, dtype: Any = np.float64) -> list[Layer]:
    """[convolution without bias, batch norm, ReLU] on zero-padded images: sides become sides / stride, rounded up.

    grid: of the batch norm's statistics.
    """
    conv = Conv2d(n_in, n_out, kernel, rng=rng, stride=stride, padding=kernel // 2, groups=groups, bias=False,
                  dtype=dtype)
    return [conv, BatchNorm(n_out, grid=grid, dtype=dtype), *([ReLU()] if relu else [])]


def full(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, dtype: Any = np.float64) -> Sequential:
    """y = ReLU(BN(W ⋆ x))      3 x 3"""
    return Sequential(convolution(n_in, n_out, 3, rng=rng, stride=stride, dtype=dtype))


def separable(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, dtype: Any = np.float64) -> Sequential:
    """Depthwise 3 x 3, then pointwise, each with batch norm and ReLU (Howard et al. 2017, MobileNet, figure 3)."""
    return Sequential([*convolution(n_in, n_in, 3, rng=rng, stride=stride, groups="channels", dtype=dtype),
                       *convolution(n_in, n_out, 1, rng=rng, dtype=dtype)])


def inverted_residual(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, expansion: int = 6,
                      dtype: Any = np.float64) -> Layer:
    """Pointwise to `expansion` as many channels, depthwise 3 x 3, pointwise without ReLU; plus x where shapes agree

    (Sandler et al. 2018, MobileNetV2, table 1; ReLU here, not ReLU6). The wide part lies inside, where kernels are
    cheap. expansion 1 leaves the first convolution out.
    """
    inner = as_integer(expansion, "expansion", 1) * n_in
    body = Sequential([*(convolution(n_in, inner, 1, rng=rng, dtype=dtype) if expansion > 1 else []),
                       *convolution(inner, inner, 3, rng=rng, stride=stride, groups="channels", dtype=dtype),
                       *convolution(inner, n_out, 1, rng=rng, relu=False, dtype=dtype)])
    return Residual(body) if stride == 1 and n_in == n_out else body


def fire(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, dtype: Any = np.float64) -> Sequential:
    """Squeeze to n_out / 8 channels, then expand to n_out: half of them see 1 x 1, half 3 x 3

    (Iandola et al. 2016, SqueezeNet, section 3.2, with the proportions of table 1: biases, no batch norm.) No
    depthwise convolution. stride 2: max pooling behind it, as between the modules of the paper.   Raises RangeError.
    """
    if as_integer(n_out, "n_out", 8) % 8:
        raise RangeError(f"n_out is {n_out}; allowed in a Fire module: multiples of 8.")
    inner, half, stride = n_out // 8, n_out // 2, as_integer(stride, "stride", 1)
    expand = [Sequential([Conv2d(inner, half, k, rng=rng, padding=k // 2, dtype=dtype), ReLU()]) for k in (1, 3)]
    return Sequential([Conv2d(n_in, inner, 1, rng=rng, dtype=dtype), ReLU(), Concat(expand),
                       *([MaxPool2d(stride)] if stride > 1 else [])])


def shuffle_unit(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, groups: int = 2, first_groups: int | None = None,
                 shuffle: bool = True, dtype: Any = np.float64) -> Sequential:
    """Grouped pointwise to n_out / 4, shuffle, depthwise 3 x 3, grouped pointwise; plus x, then ReLU

    (Zhang et al. 2018, ShuffleNet, figure 2 b.) With stride 2 the result stands beside the pooled x instead (figure
    2 c; pooled by 2 x 2, not 3 x 3): it makes n_out - n_in channels. Without the shuffle no group ever hears of
    another. first_groups: of the first pointwise convolution (in the paper 1 where the input has few channels).
    """
    inner, made = n_out // 4, n_out if stride == 1 else n_out - n_in
    body = Sequential([*convolution(n_in, inner, 1, rng=rng, groups=first_groups or groups, dtype=dtype),
                       *([ChannelShuffle(groups)] if shuffle else []),
                       *convolution(inner, inner, 3, rng=rng, stride=stride, groups="channels", relu=False,
                                    dtype=dtype),
                       *convolution(inner, made, 1, rng=rng, groups=groups, relu=False, dtype=dtype)])
    return Sequential([Residual(body) if stride == 1 else Concat([AvgPool2d(stride), body]), ReLU()])


def xception_module(n_in: int, n_out: int, *, rng: Seed, stride: int = 1, inner: int | None = None,
                    dtype: Any = np.float64) -> Residual:
    """f(x) + g(x): f is [ReLU, depthwise 3 x 3, pointwise, batch norm] two or three times, g the identity or 1 x 1

    (Chollet 2017, Xception, figure 5.) ReLU comes first, and none stands between depthwise and pointwise, where the
    paper found it to hurt (section 4.7). Three times with the identity; twice, then pooled (2 x 2, not 3 x 3), where
    stride is 2. inner: the channels in between, n_out unless given.
    """
    repeats = 2 if stride > 1 or n_in != n_out else 3
    widths = [n_in, *[inner or n_out] * (repeats - 1), n_out]
    body: list[Layer] = []
    for a, b in itertools.pairwise(widths):
        body += [ReLU(), Conv2d(a, a, 3, rng=rng, padding=1, groups="channels", bias=False, dtype=dtype),
                 *convolution(a, b, 1, rng=rng, relu=False, dtype=dtype)]
    if repeats == 3:
        return Residual(Sequential(body))
    shortcut = convolution(n_in, n_out, 1, rng=rng, stride=stride, relu=False, dtype=dtype)
    return Residual(Sequential([*body, *([MaxPool2d(stride)] if stride > 1 else [])]), Sequential(shortcut))
