"""Do zeros make a network faster? Four ways to run with a share of the weights, against the dense network.

    python -m benchmarks.sparsity    six minutes; rewrites results/sparsity.* and the last table of docs/benchmarks.md

    dense     all weights
    zeros     the pruned weights are zeros in the same arrays, multiplied by the same kernels
    CSR       only the survivors are stored and multiplied (minicompress/pruning/csr.py)
    smaller   neurons are missing instead of weights: a narrower dense network with as many weights, or a few less

A speed-up is the dense network's time over the contender's, so more than 1 means faster than dense.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from minicompress import nn, plots
from minicompress.pruning.csr import csr
from minicompress.pruning.magnitude import prune
from minicompress.table import table

from .speed import ROOT, record, seconds
from .timing import Contenders, turns

DENSITIES = (0.5, 0.2, 0.1, 0.05)
BATCHES = (1, 16, 128)
CONTENDERS = ("zeros", "CSR", "smaller")
NETWORKS = {"LeNet-300-100": (784, 300, 100, 10), "256 x 256": (256, 256), "1024 x 1024": (1024, 1024),
            "4096 x 4096": (4096, 4096)}


def mlp(sizes: tuple[int, ...]) -> nn.Sequential:
    """Linear layers of these sizes, ReLU between them, in float32 and evaluation mode."""
    layers: list[nn.Layer] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, rng=0, dtype=np.float32), nn.ReLU()]
    model = nn.Sequential(layers[:-1])
    model.train(False)
    return model


def weight_count(sizes: tuple[int, ...]) -> int:
    return sum(a * b for a, b in itertools.pairwise(sizes))


def narrower(sizes: tuple[int, ...], density: float) -> tuple[int, ...]:
    """The widest sizes of the same proportions with at most `density` of the weights.

    In a network the inputs and outputs stay; a single layer stands inside one, so that it loses some of both.
    """
    limit, ends = density * weight_count(sizes), len(sizes) > 2
    for width in range(sizes[1], 0, -1):
        inner = [max(round(n * width / sizes[1]), 1) for n in sizes]
        found = (sizes[0], *inner[1:-1], sizes[-1]) if ends else tuple(inner)
        if weight_count(found) <= limit:
            return found
    return found


def pruned(sizes: tuple[int, ...], density: float) -> nn.Sequential:
    """The network with its smallest weights set to zero, the same share in each layer, without masks."""
    model = mlp(sizes)
    prune(model.weights(), 1 - density, scope="layerwise")
    for weight in model.weights():
        weight.bake()
    return model


def contenders(sizes: tuple[int, ...], density: float, batch: int) -> Callable[[], Contenders]:
    """What runs on one batch, copied anew at each call: where an array lies in memory can cost or save a tenth.

    Inside a network the batch is innermost in memory, as layers leave it.
    """
    small = narrower(sizes, density)
    models = mlp(sizes), pruned(sizes, density), mlp(small)
    x, less = (np.random.default_rng(0).random((n, batch), dtype=np.float32).T for n in (sizes[0], small[0]))
    if len(sizes) > 2:
        x, less = np.ascontiguousarray(x), np.ascontiguousarray(less)

    def make() -> Contenders:
        dense, zeros, smaller = copy.deepcopy(models)
        sparse = csr(zeros)
        return {"dense": lambda: dense.forward(x), "zeros": lambda: zeros.forward(x), "CSR": lambda: sparse(x),
                "smaller": lambda: smaller.forward(less)}

    return make


def measure(name: str, batch: int, density: float, repetitions: int) -> Iterator[dict[str, Any]]:
    """A record for each contender but the dense one."""
    times = turns(contenders(NETWORKS[name], density, batch), repetitions, 0.01)
    for contender in CONTENDERS:
        ratios = times["dense"] / times[contender]
        yield {"network": name, "batch": batch, "density": density, "contender": contender,
               "dense_seconds": float(np.median(times["dense"])), "seconds": float(np.median(times[contender])),
               "speedup": float(np.median(ratios)), "low": float(ratios.min()), "high": float(ratios.max())}


def speedups(records: list[dict[str, Any]], name: str, batch: int, contender: str) -> list[float]:
    """The median speed-up at each density."""
    return [r["speedup"] for r in records if (r["network"], r["batch"], r["contender"]) == (name, batch, contender)]


def records_table(records: list[dict[str, Any]]) -> str:
    """A line for each network and batch; what zeros bring depends on no density, so their least and most will do."""
    columns = [f"{c} {100 * d:g} %" for c in CONTENDERS[1:] for d in DENSITIES]
    rows = []
    for name, batch in itertools.product(NETWORKS, BATCHES):
        dense = np.median([r["dense_seconds"] for r in records if (r["network"], r["batch"]) == (name, batch)])
        zeros, *others = (speedups(records, name, batch, c) for c in CONTENDERS)
        values = [f"{value:.2f}" for value in itertools.chain(*others)]
        rows.append([name, str(batch), seconds(float(dense)), f"{min(zeros):.2f} - {max(zeros):.2f}", *values])
    return table(["network", "batch", "dense", "zeros", *columns], rows)


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Speed-up against the weights kept: a column for each network, a row for each batch."""
    looks = dict(zip(CONTENDERS, ((plots.COLORS[0], "^"), (plots.VERMILION, "s"), (plots.BLUE, "o")), strict=True))
    shares, ticks = [100 * d for d in DENSITIES], (0.1, 0.3, 1, 3, 10, 30)
    with plots.style():
        figure, axes = plt.subplots(len(BATCHES), len(NETWORKS), figsize=(9, 6), sharex=True, sharey=True)
        for row, batch in zip(axes, BATCHES, strict=True):
            for ax, name in zip(row, NETWORKS, strict=True):
                ax.axhline(1, color="#808080", linestyle="--", linewidth=1)
                for contender, (color, marker) in looks.items():
                    ax.plot(shares, speedups(records, name, batch, contender), color=color, marker=marker, markersize=5)
                ax.set(xscale="log", yscale="log", xlim=(60, 4.2), xticks=shares, yticks=ticks)
                ax.set(xticklabels=[f"{s:g}" for s in shares], yticklabels=[f"{t:g}x" for t in ticks])
                ax.minorticks_off()
            row[0].set_ylabel(f"batch {batch}\nspeed-up over dense")
        for ax, name in zip(axes[0], NETWORKS, strict=True):
            ax.set_title(name)
        figure.supxlabel("weights kept (%)", fontsize=10)
        figure.legend(axes[0, 0].lines[1:], ["zeros written", "compressed sparse rows", "smaller network"],
                      loc="outside upper center", ncols=3)
        figure.savefig(path)
        plt.close(figure)


def measured(turns: int) -> Iterator[dict[str, Any]]:
    for name, batch in itertools.product(NETWORKS, BATCHES):
        print(name, batch, flush=True)
        for density in DENSITIES:
            yield from measure(name, batch, density, turns)


if __name__ == "__main__":
    draw(record("sparsity", __doc__, measured, records_table, packages=("numpy", "scipy")),
         ROOT / "results" / "sparsity.png")
