"""Lecture 13: what the weights of a layer meet. Mean and covariance of its inputs, which say what an error in W costs.

    E ‖D x + d‖² = tr D K Dᵀ + ‖D μ + d‖²      μ = E x (N,)   K = E (x - μ)(x - μ)ᵀ (N, N)   D (M, N), d (M,)

A function over layers, which reads what they saved in a forward pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..inputs import as_array, as_integer, check_finite
from ..nn import Conv2d, Layer, Linear


class Moments(NamedTuple):
    """Of the inputs of a layer: μ (N,), K (N, N)."""

    mean: np.ndarray
    covariance: np.ndarray


def input_moments(model: Layer, x: np.ndarray, batch: int = 1000) -> dict[str, Moments]:
    """Path → moments of what the weight's rows meet: a Linear's inputs, a convolution's patches (C k k)

    For Linear, and for Conv2d with one group. Computed in evaluation mode, batch by batch. A layer that runs twice
    counts with its last run, one that does not run is left out.   Raises NonFiniteError where the sums overflow.
    """
    x, batch = as_array(x, "x", (None, ...)), as_integer(batch, "batch", 1)
    layers = {path: node for path, node in model.walk() if isinstance(node, Linear | Conv2d) and is_plain(node)}
    sums = {path: (0, np.zeros(1), np.zeros(1)) for path in layers}
    before = model.training
    model.train(False)
    for layer in layers.values():
        layer.saved = None
    try:
        for i in range(0, len(x), batch):
            model.forward(x[i : i + batch])
            for path, layer in layers.items():
                if layer.saved is not None:
                    n, first, second = sums[path]
                    v = seen(layer).astype(np.float64)
                    with np.errstate(over="ignore", invalid="ignore"):  # found below
                        sums[path] = n + v.shape[1], first + v.sum(1), second + v @ v.T
                    check_finite(sums[path][2], f"the sum of products of the inputs of {path}")
    finally:
        model.train(before)
    return {path: Moments(first / n, second / n - np.outer(first / n, first / n))
            for path, (n, first, second) in sums.items() if n}


def is_plain(layer: Linear | Conv2d) -> bool:
    """Whether the weight is one matrix: no groups."""
    return isinstance(layer, Linear) or layer.group_count(layer.weight.shape[0]) == 1


def seen(layer: Linear | Conv2d) -> np.ndarray:
    """What the rows of the weight met in the last forward pass, as columns (N, samples)."""
    if isinstance(layer, Linear):
        columns: np.ndarray = layer.saved[0].T
        return columns
    patches, W, _ = layer.saved  # (1, H', k C k, W' N)
    _, C, ki, kj = W.shape
    rows = patches[0].swapaxes(0, 1).reshape(ki, C, kj, -1)
    return rows.swapaxes(0, 1).reshape(C * ki * kj, -1)
