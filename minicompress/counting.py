"""Lecture 01: multiply-accumulates of the layers that ran, for as many samples as each of them saw.

    executed = Σ over linear maps and convolutions   samples seen · products for one      a zero is multiplied too

Read from what the layers saved in the forward pass, so a layer that did not run costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .nn import Conv2d, Layer, Linear


@functools.singledispatch
def macs(layer: Layer) -> int:
    """Multiply-accumulates of the last forward pass, of all its samples; zero for layers that only pass numbers on."""
    return 0


@macs.register
def _(layer: Linear) -> int:
    x, W = layer.saved
    return len(x) * int(W.size)


@macs.register
def _(layer: Conv2d) -> int:
    _, W, (_, H, V, N) = layer.saved
    (s, t), (_, _, ki, kj) = layer.stride, W.shape
    return int(N * W.size * ((H - ki) // s + 1) * ((V - kj) // t + 1))


def counted(model: Layer) -> Callable[..., tuple[Any, dict[str, int]]]:
    """x → (model.forward(x), path → multiply-accumulates of every layer that ran, for the samples that it saw)"""
    layers = {path: node for path, node in model.walk() if isinstance(node, Layer)}

    def run(*inputs: Any) -> tuple[Any, dict[str, int]]:
        for layer in layers.values():
            layer.saved = None
        y = model.forward(*inputs)
        return y, {path: macs(layer) for path, layer in layers.items() if layer.saved is not None}

    return run


def layer_macs(model: Layer, sample: np.ndarray) -> dict[str, int]:
    """Path → multiply-accumulates of every layer that ran for one sample, of shape (1, …)."""
    before = model.training
    model.train(False)
    try:
        return counted(model)(sample[:1])[1]
    finally:
        model.train(before)


def within(counts: Mapping[str, int], path: str) -> int:
    """What the layer at a path and all inside it add up to in path → number."""
    return sum(n for own, n in counts.items() if f"{own}.".startswith(f"{path}."))
