"""Layers on images (N, C, H, W): convolution and pooling. The array kernels behind them are in kernels.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_integer
from . import kernels
from .kernels import Pair
from .layers import Layer, Seed, uniform_init
from .parameter import Parameter


def as_pair(value: Any, name: str, low: int) -> Pair:
    """An integer for both directions, or a pair (vertical, horizontal).   Raises RangeError, DTypeError."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise RangeError(f"{name} is {value}; allowed: an integer or a pair (vertical, horizontal).")
    return as_integer(pair[0], name, low), as_integer(pair[1], name, low)


def check_images(layer: Layer, x: np.ndarray, kernel: Pair, stride: Pair = (1, 1), channels: int | None = None) -> None:
    """Raise ShapeError unless x is (N, channels, H, W) with H and W at least as large as the kernel."""
    if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
        raise ShapeError(f"{layer!r} got x of shape {x.shape}; allowed: (N, {channels or 'C'}, H, W), channels before "
                         f"height, width. Hint: x.transpose(0, 3, 1, 2) for channels last, x[:, None] for grey images.")
    H, W = (x.shape[2] - kernel[0]) // stride[0] + 1, (x.shape[3] - kernel[1]) // stride[1] + 1
    if H < 1 or W < 1:
        raise ShapeError(f"{layer!r} got images of {x.shape[2]} x {x.shape[3]}, its output would be {H} x {W}; "
                         f"allowed: at least {kernel[0]} x {kernel[1]}. Hint: padding, or a smaller kernel.")


class Conv2d(Layer):
    """y[n, o] = Σ_c W[o, c] ⋆ x[n, c] + b[o]      x (N, C, H, W)   W (O, C / groups, k, k)   y (N, O, H', W')

    ⋆ slides the kernel over the padded image (kernels.py); with groups, c runs over the channels of o's group.

    H' = (H + 2 padding - k) // stride + 1. Kernel, stride and padding: an integer or a pair. groups: an integer, or
    "channels" for a depthwise convolution, whose number of groups follows the input.
    saved: what the weights meet (the patches; for a depthwise one the padded input), W, and the padded input's shape.
    Raises ShapeError for an input that does not fit, RangeError for sizes out of range.
    """

    weight: Parameter
    bias: Parameter | None
    stride: tuple
    padding: tuple
    groups: int | str

    def __init__(self, n_in: int, n_out: int, kernel: int | Pair, *, rng: Seed, stride: int | Pair = 1,
                 padding: int | Pair = 0, groups: int | str = 1, bias: bool = True, dtype: Any = np.float64) -> None:
        n_in, n_out = as_integer(n_in, "n_in", 1), as_integer(n_out, "n_out", 1)
        ki, kj = as_pair(kernel, "kernel", 1)
        self.stride, self.padding = as_pair(stride, "stride", 1), as_pair(padding, "padding", 0)
        self.groups = groups if groups == "channels" else as_integer(groups, "groups", 1)
        count = self.group_count(n_out)
        if n_in % count or n_out % count or (groups == "channels" and n_in != n_out):
            raise RangeError(f"groups is {groups!r} for {n_in} channels in and {n_out} out; allowed: a divisor of "
                             f"both, or 'channels' where both are equal.")
        per_group = n_in // count
        self.weight = Parameter(uniform_init((n_out, per_group, ki, kj), per_group * ki * kj, rng, dtype))
        self.bias = Parameter(np.zeros(n_out, dtype)) if bias else None
        self.validate()

    def group_count(self, n_out: int) -> int:
        """The number of groups in a layer with that many outputs."""
        return n_out if self.groups == "channels" else int(self.groups)

    def is_depthwise(self, W: np.ndarray) -> bool:
        """Whether each output reads one channel of its own: then shifted products are faster than patches."""
        return self.group_count(len(W)) == len(W) > 1 == W.shape[1]

    def forward(self, x: np.ndarray) -> np.ndarray:
        W = self.weight.forward()
        p, q = self.padding
        groups = self.group_count(len(W))
        # the kernel must fit into the padded image: the image itself may be smaller by the padding
        check_images(self, x, (W.shape[2] - 2 * p, W.shape[3] - 2 * q), self.stride, W.shape[1] * groups)
        b = None if self.bias is None else self.bias.forward()
        if b is not None and len(b) != len(W):
            self.validate()
        padded = kernels.pad(x.transpose(1, 2, 3, 0), self.padding)
        if self.is_depthwise(W):
            y, kept = kernels.depthwise(padded, W, self.stride), padded
        else:
            y, kept = kernels.convolve(padded, W, self.stride, groups)
        self.save(kept, W, padded.shape)
        if b is not None:
            y += b[:, None, None, None]
        return y.transpose(3, 0, 1, 2)

    def learn(self, dy: np.ndarray) -> None:
        kept, W, _ = self.recall()
        d = kernels.batch_last(dy)
        if self.is_depthwise(W):
            dW = kernels.depthwise_back(d, kept, W, self.stride)
        else:
            dW = kernels.convolve_back(d, W, kept)
        self.weight.backward(dW)
        if self.bias is not None:
            d = d.reshape(len(d), -1)
            self.bias.backward_matmul(d, np.ones(d.shape[1], d.dtype))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.learn(dy)
        _, W, (C, H, V, N) = self.saved
        d, (p, q), (ki, kj) = kernels.batch_last(dy), self.padding, W.shape[2:]
        if self.is_depthwise(W):
            dx = kernels.depthwise_input(d, W, (C, H, V, N), self.stride)
        elif self.stride == (1, 1) and ki // 2 <= p < ki and kj // 2 <= q < kj:  # y is at least as large as x
            return kernels.convolve_input_same(d, W, self.padding, self.group_count(len(W))).transpose(3, 0, 1, 2)
        else:
            dx = kernels.convolve_input(d, W, (C, H, V, N), self.stride, self.group_count(len(W)))
        return dx[:, p : H - p, q : V - q].transpose(3, 0, 1, 2)

    def validate(self) -> None:
        shape = self.weight.shape
        if len(shape) != 4 or (self.bias is not None and self.bias.shape != shape[:1]):
            raise ShapeError(f"a convolution has weight {shape} and bias {self.bias and self.bias.shape}; "
                             f"allowed: (O, C / groups, k, k) and (O,).")
        as_pair(self.stride, "stride", 1), as_pair(self.padding, "padding", 0)
        wide = any(p > 2 * k for p, k in zip(self.padding, shape[2:], strict=True))
        if 0 in shape or max(self.stride) >= 2**16 or wide:
            raise RangeError(f"a convolution with weight {shape} has stride {self.stride} and padding {self.padding}; "
                             f"allowed: no empty weight, stride < {2**16}, padding ≤ 2 k.")
        if self.groups != "channels":
            as_integer(self.groups, "groups", 1)
        if shape[0] % self.group_count(shape[0]) or (self.groups == "channels" and shape[1] != 1):
            raise ShapeError(f"a convolution with groups {self.groups!r} has weight {shape}; allowed: groups divides "
                             f"O, and one channel each where groups is 'channels'.")

    def __repr__(self) -> str:
        O, C, ki, kj = self.weight.shape
        return f"Conv2d({C * self.group_count(O)} → {O}, {ki} x {kj})"


class Pooling(Layer):
    """What pooling layers share: a window of k x k, moved by `stride` (s, t); what fills no window is dropped."""

    kernel: tuple
    stride: tuple

    def __init__(self, kernel: int | Pair = 2, stride: int | Pair | None = None) -> None:
        self.kernel = as_pair(kernel, "kernel", 1)
        self.stride = self.kernel if stride is None else as_pair(stride, "stride", 1)

    def validate(self) -> None:
        as_pair(self.kernel, "kernel", 1), as_pair(self.stride, "stride", 1)


class MaxPool2d(Pooling):
    """y[n, c, h, v] = max_ij x[n, c, s h + i, t v + j]      x (N, C, H, W)   y (N, C, H', W')

    The gradient goes to the first of equals in reading order.   saved: x and y with the batch last
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        check_images(self, x, self.kernel, self.stride)
        x = x.transpose(1, 2, 3, 0)
        y = kernels.max_pool(x, self.kernel, self.stride)
        self.save(x, y)
        return y.transpose(3, 0, 1, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x, y = self.recall()
        return kernels.max_pool_input(dy.transpose(1, 2, 3, 0), x, y, self.kernel, self.stride).transpose(3, 0, 1, 2)


class AvgPool2d(Pooling):
    """y[n, c, h, v] = mean_ij x[n, c, s h + i, t v + j]      x (N, C, H, W)   y (N, C, H', W')   saved: x's shape"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        check_images(self, x, self.kernel, self.stride)
        x = x.transpose(1, 2, 3, 0)
        self.save(x.shape)
        total = sum(part for _, _, part in kernels.taps(x, self.kernel, self.stride))
        return (total * x.dtype.type(1 / (self.kernel[0] * self.kernel[1]))).transpose(3, 0, 1, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (shape,) = self.recall()
        d = dy.transpose(1, 2, 3, 0) * dy.dtype.type(1 / (self.kernel[0] * self.kernel[1]))
        dx = np.zeros(shape, dy.dtype)
        for _, _, part in kernels.taps(dx, self.kernel, self.stride):
            part += d
        return dx.transpose(3, 0, 1, 2)


class GlobalAvgPool(Layer):
    """y[n, c] = mean_hw x[n, c, h, w]      x (N, C, H, W)   y (N, C)   saved: the shape of x"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        check_images(self, x, (1, 1))
        self.save(x.shape)
        return x.mean((2, 3))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        ((N, C, H, W),) = self.recall()
        share = (dy.T * dy.dtype.type(1 / (H * W)))[:, None, None, :]
        return np.broadcast_to(share, (C, H, W, N)).transpose(3, 0, 1, 2)
