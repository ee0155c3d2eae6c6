"""How time and memory of a training step grow with the network and with the batch: LeNet-300-100 made wider."""

import tracemalloc
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from minicompress import plots

from .timing import Contenders, turns
from .training import our_step, torch, torch_step

WIDTHS = (37, 75, 150, 300, 600, 1200, 2400)  # of the first hidden layer; the second one has a third
BATCHES = (1, 4, 16, 60, 128, 512, 2048)


def network_of(width: int) -> str:
    return f"linear 784 {width}, relu, linear {width} {width // 3}, relu, linear {width // 3} 10"


def peak_bytes(width: int, batch: int) -> int:
    """The most memory that NumPy holds during two steps: weights, gradients, momentum and all layers' outputs."""
    tracemalloc.start()
    step = our_step(network_of(width), (batch, 784))
    step(), step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def point(width: int, batch: int, repetitions: int) -> dict[str, Any]:
    """Median seconds of each contender, and our peak memory, for one size."""
    text, shape = network_of(width), (batch, 784)

    def make() -> Contenders:
        peers = {"PyTorch eager": torch_step(text, shape)} if torch else {}
        return {"minicompress": our_step(text, shape), **peers}

    found = {name: float(np.median(times)) for name, times in turns(make, repetitions, 0.005).items()}
    return {"width": width, "batch": batch, "seconds": found, "peak_bytes": peak_bytes(width, batch)}


def growth(repetitions: int) -> dict[str, list[dict[str, Any]]]:
    """The points of both curves."""
    return {"width": [point(width, 60, repetitions) for width in WIDTHS],
            "batch": [point(300, batch, repetitions) for batch in BATCHES]}


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Time above memory; the network grows on the left, the batch on the right."""
    labels = {"width": "units in the first hidden layer (batch 60)", "batch": "batch (300 units)"}
    with plots.style():
        figure, axes = plt.subplots(2, 2, figsize=(7, 4.6), sharex="col", sharey="row")
        for (above, below), (key, points) in zip(axes.T, found.items(), strict=True):
            sizes = [p[key] for p in points]
            for name in points[0]["seconds"]:
                above.loglog(sizes, [1000 * p["seconds"][name] for p in points], marker="o", label=name)
            below.loglog(sizes, [p["peak_bytes"] / 1e6 for p in points], marker="o", label="minicompress")
            below.set(xlabel=labels[key], xticks=sizes, xticklabels=sizes)
            below.minorticks_off()
        axes[0, 0].set(ylabel="time of a step (ms)")
        axes[1, 0].set(ylabel="peak memory (MB)")
        axes[0, 0].legend()
        figure.savefig(path)
        plt.close(figure)
