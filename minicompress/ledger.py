"""Lecture 01: what a network costs, counted on the network itself and on its file.

    weights   all parameters at their full shape, biases included
    trained   the numbers that an optimizer moves; in a finished network, pruned and shared weights make them fewer
    nonzero   weights that are not zero
    macs      multiply-accumulates of one sample, in linear maps and convolutions as they run (a zero is multiplied too)
    bytes     the size of the .mcz file, from the disk
    ratio     the dense network's file in float32 over this file
    seconds   of a forward pass, the median of several; in the table of stages, of the work that led there

`linear_cost` and `conv_cost` count a layer from its sizes alone. What ran is counted in counting.py, energy in
energy.py.

Not counted: activations, pooling and batch norm, which take few operations, and the memory for activations.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import storage
from .counting import layer_macs
from .inputs import as_integer
from .nn import Layer, Parameter
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
