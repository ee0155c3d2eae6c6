"""Layers that treat every channel in its own way, in arrays (N, C) or (N, C, H, W): Gate, shuffle, normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_integer, as_number
from .grid import GRID, to_grid
from .layers import Layer
from .parameter import Parameter


def per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """values (C,) in a shape that multiplies x (N, C) or (N, C, H, W) channel by channel."""
    if x.ndim not in (2, 4) or x.shape[1] != len(values):
        raise ShapeError(f"x has shape {x.shape}; allowed: (N, {len(values)}) or (N, {len(values)}, H, W).")
    return values.reshape((-1,) + (1,) * (x.ndim - 2))


class Gate(Layer):
    """y[n, c] = g[c] x[n, c]      x (N, C) or (N, C, H, W)   g (C,), ones at first   saved: x, g in x's shape

    A gate of ones changes nothing. To first order, closing channel c (g[c] = 0) would change the loss by -dg[c].
    """

    gate: Parameter

    def __init__(self, channels: int, dtype: Any = np.float64) -> None:
        self.gate = Parameter(np.ones(as_integer(channels, "channels", 1), dtype))

    def forward(self, x: np.ndarray) -> np.ndarray:
        g = per_channel(self.gate.forward(), x)
        self.save(x, g)
        return x * g

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x, g = self.recall()
        self.gate.backward((dy * x).sum((0, 2, 3)[: x.ndim - 1]))
        return dy * g

    def validate(self) -> None:
        if len(self.gate.shape) != 1:
            raise ShapeError(f"a gate has shape {self.gate.shape}; allowed: (C,).")


class ChannelShuffle(Layer):
    """y[n, i groups + j] = x[n, j C / groups + i]      x, y (N, C) or (N, C, H, W)   saved: the order

    Each of `groups` equal groups of neighbours gives its first channel, then each its second, and so on: a
    transpose of (groups, C / groups). Raises ShapeError where the groups do not divide C.
    """

    groups: int

    def __init__(self, groups: int) -> None:
        self.groups = as_integer(groups, "groups", 1)

    def forward(self, x: np.ndarray) -> np.ndarray:
        if x.ndim not in (2, 4) or x.shape[1] % self.groups:
            raise ShapeError(f"{self!r} got x of shape {x.shape}; allowed: (N, C) or (N, C, H, W), C a multiple of "
                             f"{self.groups}.")
        order = np.arange(x.shape[1]).reshape(self.groups, -1).T.ravel()
        self.save(order)
        return take_channels(x, order)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (order,) = self.recall()
        return take_channels(dy, np.argsort(order))

    def validate(self) -> None:
        as_integer(self.groups, "groups", 1)

    def __repr__(self) -> str:
        return f"ChannelShuffle({self.groups})"


def take_channels(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """x[:, order], with the batch innermost in memory."""
    return np.moveaxis(np.moveaxis(x, 0, -1)[order], -1, 0)


class BatchNorm(Layer):
    """y = γ x̂ + β,  x̂ = (x - μ) / sqrt(σ² + ε)      x (N, C) or (N, C, H, W)   γ, β (C,)

    μ and σ² are those of the batch in training, the running ones in evaluation; running ← momentum · running +
    (1 - momentum) · batch, rounded to `grid` (Ioffe & Szegedy 2015, algorithms 1 and 2, but σ² without m / (m - 1)).
    dx = γ / sqrt(σ² + ε) · (dy - mean(dy) - x̂ mean(dy x̂)) in training.   saved: x̂, γ / sqrt(σ² + ε)
    Where γ and β are the first of their trained numbers, the first of the running statistics belong to them.
    """

    scale: Parameter
    shift: Parameter
    mean: np.ndarray
    variance: np.ndarray
    momentum: float
    eps: float
    grid: float

    def __init__(self, channels: int, *, momentum: float = 0.9, eps: float = 1e-5, grid: float = GRID,
                 dtype: Any = np.float64) -> None:
        C = as_integer(channels, "channels", 1)
        self.scale, self.shift = Parameter(np.ones(C, dtype)), Parameter(np.zeros(C, dtype))
        self.mean, self.variance = np.zeros(C, dtype), np.ones(C, dtype)
        self.momentum, self.eps = as_number(momentum, "momentum", 0, below=1), as_number(eps, "eps", above=0)
        self.grid = as_number(grid, "grid", 0)

    def forward(self, x: np.ndarray) -> np.ndarray:
        gamma, beta = per_channel(self.scale.forward(), x), per_channel(self.shift.forward(), x)
        axes = (0, 2, 3)[: x.ndim - 1]
        running = [statistics[: len(gamma)] for statistics in (self.mean, self.variance)]
        mean, variance = (x.mean(axes), x.var(axes)) if self.training else running
        factor = 1 / np.sqrt(variance + x.dtype.type(self.eps))
        normal = (x - per_channel(mean, x)) * per_channel(factor, x)
        self.save(normal, gamma * per_channel(factor, x))
        if self.training and np.isfinite(variance).all():  # a run that explodes must not leave its mark
            for old, batch in zip(running, (mean, variance), strict=True):
                old[...] = to_grid(self.momentum * old + (1 - self.momentum) * batch, self.grid)
        return normal * gamma + beta

    def backward(self, dy: np.ndarray) -> np.ndarray:
        normal, factor = self.recall()
        axes = (0, 2, 3)[: dy.ndim - 1]
        dshift, dscale = dy.sum(axes), (dy * normal).sum(axes)
        self.shift.backward(dshift)
        self.scale.backward(dscale)
        if not self.training:
            return dy * factor
        n = dy.size // len(dshift)
        return factor * (dy - per_channel(dshift / n, dy) - normal * per_channel(dscale / n, dy))

    def validate(self) -> None:
        self.mean, self.variance = as_array(self.mean, "mean"), as_array(self.variance, "variance")
        as_number(self.momentum, "momentum", 0, below=1), as_number(self.grid, "grid", 0)
        sizes = {self.scale.shape, self.shift.shape, self.mean.shape, self.variance.shape}
        whole = {self.scale.data.shape, self.mean.shape, self.variance.shape}
        part = len(whole) == 1 and self.scale.shape == self.shift.shape
        if len(self.mean.shape) != 1 or (len(sizes) > 1 and not part):
            raise ShapeError(f"a batch norm's arrays have shapes {sorted(sizes)}; allowed: (C,) for all four.")
        if not (self.variance >= 0).all():
            raise RangeError("a batch norm's running variance is negative; allowed: ≥ 0.")
        as_number(self.eps, "eps", above=0)
