"""Fewer multiply-accumulates: how much less time? Factored and separable layers against the full ones.

    python -m benchmarks.architecture    a minute; rewrites results/architecture.json, a table of docs/benchmarks.md

    low rank      Linear (M, N) against its two factors of rank r (lecture 13), as the ledger counts them
    separable     a 3 x 3 convolution C → O against depthwise and pointwise, both with batch norm and ReLU (lecture 14)
    network       the digits networks of lecture 14 at equal MACs: full with 6 channels, separable with 14

All in single precision and evaluation mode. A ratio is the full side's figure over the other's.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicompress import nn
from minicompress.architecture.blocks import full, separable
from minicompress.architecture.low_rank import low_rank
from minicompress.architecture.mobile import network
from minicompress.ledger import layer_macs
from minicompress.table import table

from .speed import record, seconds
from .timing import turns

BATCHES = (1, 16, 128)
FLOAT = np.float32
Pair = tuple[nn.Sequential, nn.Sequential, tuple[int, ...]]  # the full side, the other, the shape of a sample


@functools.cache  # the largest decomposition takes half a minute
def factors(M: int, N: int, r: int) -> Pair:
    layer = nn.Linear(N, M, rng=0, dtype=FLOAT)
    return nn.Sequential([layer]), nn.Sequential([low_rank(layer, r)]), (N,)


def block(C: int, O: int, side: int) -> Pair:
    one, other = (nn.Sequential([kind(C, O, rng=0, dtype=FLOAT)]) for kind in (full, separable))
    return one, other, (C, side, side)


def digits() -> Pair:
    one, other = (network(kind, width, rng=0, dtype=FLOAT) for kind, width in ((full, 6), (separable, 14)))
    return one, other, (1, 8, 8)


JOBS: dict[str, Callable[[], Pair]] = {
    "low rank 300 x 784, r = 30": lambda: factors(300, 784, 30),
    "low rank 4096 x 4096, r = 256": lambda: factors(4096, 4096, 256),
    "separable 12 → 12, 4 x 4": lambda: block(12, 12, 4),
    "separable 64 → 128, 14 x 14": lambda: block(64, 128, 14),
    "network, 8 x 8 pixels": digits,
}


def measure(job: str, batch: int, repetitions: int) -> dict[str, Any]:
    """Seconds of both sides, the ratio of times over the turns, and that of MACs."""
    *models, shape = JOBS[job]()
    x = np.random.default_rng(0).random((batch, *shape), FLOAT)
    for model in models:
        model.train(False)
    one, other = models
    times = turns(lambda: {"full": lambda: one.forward(x), "other": lambda: other.forward(x)}, repetitions)
    ratios = times["full"] / times["other"]
    macs = [sum(layer_macs(model, x[:1]).values()) for model in models]
    return {"job": job, "batch": batch, "full_seconds": float(np.median(times["full"])),
            "other_seconds": float(np.median(times["other"])), "macs": macs[0] / macs[1],
            "speedup": float(np.median(ratios)), "low": float(ratios.min()), "high": float(ratios.max())}


def records_table(records: list[dict[str, Any]]) -> str:
    rows = [[r["job"], str(r["batch"]), seconds(r["full_seconds"]), seconds(r["other_seconds"]), f"{r['macs']:.2f}",
             f"{r['speedup']:.2f}", f"{r['low']:.2f} - {r['high']:.2f}"] for r in records]
    return table(["job", "batch", "full", "other", "MACs ratio", "speed-up", "min - max"], rows)


def measured(turns: int) -> Iterator[dict[str, Any]]:
    for job in JOBS:
        print(job, flush=True)
        yield from (measure(job, batch, turns) for batch in BATCHES)


if __name__ == "__main__":
    record("architecture", __doc__, measured, records_table)
