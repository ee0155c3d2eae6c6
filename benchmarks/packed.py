"""What are bits worth on a clock? Networks of signs, packed and counted, against the same products of floats.

    python -m benchmarks.packed      four minutes; rewrites results/packed.* and the last table of docs/benchmarks.md

    product        x Wᵀ for signs x and W; the packed side packs x each time, W beforehand
    layer          Linear, BatchNorm, Sign against words and thresholds, from signs to signs
    network        784 real inputs, three hidden layers of 1024, 10 outputs; the first layer multiplies on both sides
    pixels         x Wᵀ for pixels of 8 bits, bit by bit
    convolution    3 x 3, 256 channels to 256, 14 x 14 outputs: the example of the XNOR-Net paper

A speed-up is the float side's time over the packed side's.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from minicompress import nn, plots
from minicompress.quantization.binary import binarize
from minicompress.quantization.packed import pack, pack_weights, packed, pixel_product, product, xnor_speedup
from minicompress.quantization.thresholds import with_thresholds
from minicompress.table import table

from .speed import ROOT, record, seconds
from .timing import Contenders, turns

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def signs(shape: tuple[int, ...]) -> np.ndarray:
    """Random ± 1 in float32."""
    return np.random.default_rng(0).choice(np.array([-1, 1], np.float32), shape)


def products(n_in: int, n_out: int, batch: int) -> Contenders:
    """The batch lies innermost for the floats, as layers leave it, and as rows for the words."""
    W, x = signs((n_out, n_in)), signs((batch, n_in))
    w, xT = pack_weights(W > 0), np.ascontiguousarray(x.T)
    return {"float": lambda: W @ xT, "packed": lambda: product(pack(x >= 0), w, n_in).T}


def layers(*sizes: int) -> nn.Sequential:
    """[Linear of signs, BatchNorm, Sign] for each pair of sizes, in float32 and evaluation mode."""
    parts: list[nn.Layer] = []
    for n_in, n_out in itertools.pairwise(sizes):
        parts += [nn.Linear(n_in, n_out, rng=0, bias=False, dtype=np.float32), nn.BatchNorm(n_out, dtype=np.float32),
                  nn.Sign()]
    model = nn.Sequential(parts)
    binarize(model.weights())
    model.train(False)
    return model


def both(model: nn.Sequential, fast: nn.Layer, x: np.ndarray, given: np.ndarray) -> Contenders:
    """The network with its weights as plain floats, and the packed one."""
    for weight in model.weights():
        weight.bake()
    forward = packed(fast)
    return {"float": lambda: model.forward(x), "packed": lambda: forward(given)}


def layer(n: int, batch: int) -> Contenders:
    model, x = layers(n, n), signs((n, batch)).T
    fast = with_thresholds(nn.Sequential([nn.Sign(), *model.layers]))  # which lets booleans pass
    return both(model, fast, x, np.ascontiguousarray(x > 0))


def network(batch: int, sizes: tuple[int, ...] = (784, 1024, 1024, 1024, 10)) -> Contenders:
    model = layers(*sizes)
    model.layers.pop()
    x = np.random.default_rng(0).random((sizes[0], batch), np.float32).T
    return both(model, with_thresholds(model), x, x)


def pixels(n_in: int, n_out: int, batch: int) -> Contenders:
    x, W = np.random.default_rng(0).integers(0, 256, (batch, n_in), np.uint8), signs((n_out, n_in))
    xT, w = x.T.astype(np.float32, order="C"), pack_weights(W > 0)
    return {"float": lambda: W @ xT, "packed": lambda: pixel_product(x, w).T}


def convolution(channels: int, side: int, batch: int) -> Contenders:
    model = nn.Sequential([nn.Conv2d(channels, channels, 3, rng=0, bias=False, dtype=np.float32)])
    binarize(model.weights())
    model.train(False)
    x = signs((channels, side, side, batch)).transpose(3, 0, 1, 2)
    return both(model, model, x, np.ascontiguousarray(x > 0))


JOBS: dict[str, Callable[[int], Contenders]] = {
    "product 256 x 256": lambda batch: products(256, 256, batch),
    "product 1024 x 1024": lambda batch: products(1024, 1024, batch),
    "product 4096 x 4096": lambda batch: products(4096, 4096, batch),
    "layer 1024 x 1024": lambda batch: layer(1024, batch),
    "network, 3 x 1024": network,
    "pixels 784 x 1024": lambda batch: pixels(784, 1024, batch),
    "convolution": lambda batch: convolution(256, 16, batch),
}


def measure(job: str, batch: int, repetitions: int) -> dict[str, Any]:
    """Seconds of both sides and their ratio, over the turns."""
    times = turns(lambda: JOBS[job](batch), repetitions, 0.005)
    ratios = times["float"] / times["packed"]
    return {"job": job, "batch": batch, "float_seconds": float(np.median(times["float"])),
            "packed_seconds": float(np.median(times["packed"])), "speedup": float(np.median(ratios)),
            "low": float(ratios.min()), "high": float(ratios.max())}


def records_table(records: list[dict[str, Any]]) -> str:
    rows = [[r["job"], str(r["batch"]), seconds(r["float_seconds"]), seconds(r["packed_seconds"]),
             f"{r['speedup']:.2f}", f"{r['low']:.2f} - {r['high']:.2f}"] for r in records]
    return table(["job", "batch", "float", "packed", "speed-up", "min - max"], rows)


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Speed-up against the batch size, a line for each job."""
    with plots.style():
        figure, ax = plt.subplots(figsize=(6, 4))
        ax.axhline(1, color="#808080", linestyle="--", linewidth=1)
        for i, (job, marker) in enumerate(zip(JOBS, "os^vDPX", strict=False)):
            own = [r for r in records if r["job"] == job]
            ax.plot([r["batch"] for r in own], [r["speedup"] for r in own], marker=marker, markersize=5, label=job,
                    color=plots.COLORS[i % len(plots.COLORS)])
        ax.set(xscale="log", yscale="log", xlabel="batch", ylabel="speed-up over float32", xticks=BATCHES,
               xticklabels=BATCHES, yticks=(0.5, 1, 2, 4, 8, 16), yticklabels=("0.5x", "1x", "2x", "4x", "8x", "16x"))
        ax.minorticks_off()
        figure.legend(loc="outside right upper")
        figure.savefig(path)
        plt.close(figure)


def measured(turns: int) -> Iterator[dict[str, Any]]:
    for job in JOBS:
        print(job, flush=True)
        yield from (measure(job, batch, turns) for batch in BATCHES if job != "convolution" or batch <= 8)


if __name__ == "__main__":
    draw(record("packed", __doc__, measured, records_table, xnor_speedup=xnor_speedup(256, 3)),
         ROOT / "results" / "packed.png")
