"""Lecture 01: what a network costs, counted on the network itself and on its file.

    weights   all parameters at their full shape, biases included
    trained   the numbers that an optimizer moves; in a finished network, pruned and shared weights make them fewer
    nonzero   weights that are not zero
    macs      multiply-accumulates of one sample, in linear maps and convolutions as they run (a zero is multiplied too)
    bytes     the size of the .mcz file, from the disk
    ratio     the dense network's file in float32 over this file
    seconds   of a forward pass, the median of several; in the table of stages, of the work that led there

`linear_cost` and `conv_cost` count a layer from its sizes alone. Energy is in energy.py.

Not counted: activations, pooling and batch norm, which take few operations, and the memory for activations.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import storage
from .inputs import as_integer
from .nn import Conv2d, Layer, Linear, Parameter
from .table import percent, table


class Stage(NamedTuple):
    """One row of the ledger: a network at some stage of its compression; error as a fraction, seconds as told."""

    name: str
    error: float
    weights: int
    trained: int
    nonzero: int
    macs: int
    bytes: int
    ratio: float
    seconds: float


@functools.singledispatch
def macs(layer: Layer) -> int:
    """Multiply-accumulates of the last forward pass, for one sample; zero for layers that only pass numbers on."""
    return 0


@macs.register
def _(layer: Linear) -> int:
    _, W = layer.saved
    return int(W.size)


@macs.register
def _(layer: Conv2d) -> int:
    _, W, (_, H, V, _) = layer.saved
    (s, t), (_, _, ki, kj) = layer.stride, W.shape
    return int(W.size * ((H - ki) // s + 1) * ((V - kj) // t + 1))


def counted(model: Layer) -> Callable[..., tuple[Any, dict[str, int]]]:
    """x → (model.forward(x), path → multiply-accumulates, for one sample, of every layer that ran)"""
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


def linear_cost(n_in: int, n_out: int) -> tuple[int, int]:
    """(weights, macs) = (out (in + 1), out in)      a linear layer with biases"""
    return n_out * (n_in + 1), n_out * n_in


def conv_cost(n_in: int, n_out: int, kernel: int, side: int, *, groups: int = 1) -> tuple[int, int]:
    """(weights, macs) = (O (C k² / groups + 1), O C k² / groups · side²)      with biases; side: of the output image"""
    products = n_out * n_in // groups * kernel**2
    return products + n_out, products * side**2


def count(parameters: list[Parameter]) -> tuple[int, int, int]:
    """(weights, trained numbers, non-zero weights), summed over the parameters."""
    weights = [p.forward() for p in parameters]
    nonzero = sum(int(np.count_nonzero(w)) for w in weights)
    return sum(w.size for w in weights), sum(p.data.size for p in parameters), nonzero


def finished(model: Layer, precision: str) -> Layer:
    """A copy as a file should keep it: parameters frozen (a mask gives way to the survivors and their places), numbers
    rounded to "single" or "half" precision."""
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.freeze()
    storage.round_to(model, precision)
    return model


def file_bytes(model: Layer) -> int:
    """The size on disk of the model's .mcz file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.mcz"
        storage.save(path, model)
        return os.path.getsize(path)


def inference_seconds(model: Layer, x: np.ndarray, repeats: int = 21) -> float:
    """The median wall-clock seconds of a forward pass over the whole batch x (N, …), after one that does not count."""
    before, times = model.training, []
    model.train(False)
    try:
        for _ in range(as_integer(repeats, "repeats", 1) + 1):
            start = time.perf_counter()
            model.forward(x)
            times.append(time.perf_counter() - start)
    finally:
        model.train(before)
    return statistics.median(times[1:])


class Ledger:
    """The stages of a network on its way from dense to small; the first one is what ratios compare with."""

    def __init__(self, sample: np.ndarray) -> None:
        self.sample = sample
        self.stages: list[Stage] = []

    def add(self, name: str, model: Layer, error: float, seconds: float) -> Stage:
        """Measure a finished model and append its row; error and seconds are the caller's."""
        size = file_bytes(model)
        ratio = (self.stages[0].bytes if self.stages else size) / size
        products = sum(layer_macs(model, self.sample).values())
        stage = Stage(name, error, *count(model.parameters()), products, size, ratio, seconds)
        self.stages.append(stage)
        return stage

    def __str__(self) -> str:
        header = ["stage", "error", "weights", "trained", "nonzero", "MACs", "bytes", "ratio", "seconds"]
        rows = [[s.name, percent(s.error), *(f"{n:,}" for n in (s.weights, s.trained, s.nonzero, s.macs, s.bytes)),
                 f"{s.ratio:.1f}x", f"{s.seconds:.1f}"] for s in self.stages]
        return table(header, rows)

    def to_json(self) -> str:
        """The stages as a JSON list of objects."""
        return json.dumps([stage._asdict() for stage in self.stages], indent=2) + "\n"


def layer_table(model: Layer, sample: np.ndarray) -> str:
    """Weights, trained numbers, non-zeros and multiply-accumulates, layer by layer and in total."""
    products = layer_macs(model, sample)
    rows, total = [], np.zeros(4, np.int64)
    for path, node in model.walk():
        inside = [value for _, value in node.leaves()] if isinstance(node, Layer) else []
        own = [value for value in inside if isinstance(value, Parameter)]
        if own and not any(isinstance(value, Layer) for value in inside):
            numbers = np.array([*count(own), products.get(path, 0)])
            total += numbers
            rows.append([f"{path} {node!r}".strip(), *(f"{n:,}" for n in numbers)])
    rows.append(["total", *(f"{n:,}" for n in total)])
    return table(["layer", "weights", "trained", "nonzero", "MACs"], rows)
