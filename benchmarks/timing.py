"""Measuring side by side: contenders take turns, so that a busy moment of the machine meets all of them.

A figure is the median over the turns of the ratio of two neighbours, never the ratio of two totals. Time is the CPU
time of the process. Every turn starts from fresh state: training for long makes some numbers denormal, and slow.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Contenders = dict[str, Callable[[], Any]]


class Job(NamedTuple):
    """A piece of work done by several contenders: the first one is this library, the others its peers."""

    name: str
    make: Callable[[], Contenders]  # each time from fresh state
    targets: dict[str, float]  # peer -> how many times its speed we want to reach


class Row(NamedTuple):
    """One peer in one job. ratio: the peer's time over ours, so more than 1 means that we are faster."""

    job: str
    peer: str
    our_seconds: float
    peer_seconds: float
    ratio: float
    low: float
    high: float
    target: float | None

    @property
    def is_met(self) -> bool:
        return self.target is None or self.ratio >= self.target


def turns(make: Callable[[], Contenders], repetitions: int, slice_seconds: float = 0.02) -> dict[str, np.ndarray]:
    """Seconds a call of each contender, (repetitions,), after two calls for warming up."""
    first = next(iter(make().values()))
    first(), first()
    calls = max(1, round(slice_seconds / max(seconds(first, 1), 1e-6)))
    found: dict[str, list[float]] = {}
    for i in range(repetitions):
        contenders = list(make().items())
        for name, call in contenders[:: (-1) ** i]:  # nobody always goes first
            call(), call()
            found.setdefault(name, []).append(seconds(call, calls))
    return {name: np.array(found[name]) for name in make()}


def seconds(call: Callable[[], Any], calls: int) -> float:
    """CPU seconds a call, on average."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def measure(job: Job, repetitions: int) -> list[Row]:
    """A row for each peer."""
    ours, *peers = turns(job.make, repetitions).items()
    rows = []
    for peer, times in peers:
        ratios = times / ours[1]
        rows.append(Row(job.name, peer, float(np.median(ours[1])), float(np.median(times)), float(np.median(ratios)),
                        float(ratios.min()), float(ratios.max()), job.targets.get(peer)))
    return rows
