"""The fuzzer: no damaged or malicious .mcz file may give a wrong exception, hang, take all memory or pass unnoticed.

    python -m checks.fuzz                                a million mutants, in two processes
    python -m checks.fuzz --first 123 --count 1          mutant 123 again

Even mutants are blind: every one must raise a FormatError. Odd ones are structure-aware: a FormatError, or a value that
is saved again to the same bytes and a model that runs forward or raises a named error. Measured for each: CPU time, and
how far the process grew beyond the arrays that the mutant announced (Linux; elsewhere the growth of the whole chunk).
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import functools
import json
import platform
import random
import resource
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from minicompress.storage import to_bytes
from minicompress.storage.file import MAX_WEIGHTS

from .judge import SECONDS, SMALL, Meter, Outcome, judge, raise_hang
from .mutate import Spans, aware, blind, giant
from .samples import samples

CHUNK, GIANT_EVERY = 2000, 1000  # one structure-aware mutant of a thousand announces what a file may at most
ADDRESS_SPACE_BYTES = 4 * 2**30  # a worker that wants more gets a MemoryError, which is a find


@functools.cache
def corpus() -> tuple[list[bytes], list[Spans]]:
    files = [to_bytes(value) for value in samples().values()]
    return files, [Spans(data) for data in files]


def mutant(seed: int, number: int) -> tuple[bytes, int]:
    """(file, max_weights) of one mutant, which depends on nothing but its number."""
    rng, (files, spans) = random.Random(seed << 40 | number), corpus()
    i = rng.randrange(len(files))
    if number % 2 == 0:
        return blind(files[i], files, rng), MAX_WEIGHTS
    if rng.randrange(GIANT_EVERY) == 0:
        return giant(spans[rng.choice([i, -1, -1])], rng), MAX_WEIGHTS  # the last file holds arrays that fit any size
    return aware(spans[i], spans, rng), SMALL


def run_chunk(seed: int, first: int, count: int) -> list[tuple[int, Outcome]]:
    """The outcomes of `count` mutants, for a worker process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGPROF, raise_hang)
    faulthandler.register(signal.SIGXCPU, chain=True)  # says where it stood what no other handler can stop
    cpu_seconds = int(time.process_time()) + 600
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    corpus()
    meter = Meter()
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(first, first + count):
            outcome = judge(*mutant(seed, number), number % 2 == 0, meter)
            if outcome.seconds > SECONDS:  # once more: pages that a machine hands out for the first time are slow
                outcome = judge(*mutant(seed, number), number % 2 == 0, meter)
            outcomes.append((number, outcome))
    return outcomes


def run(seed: int, first: int, count: int, processes: int) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of all mutants; a worker that dies or stands still stops the run with an error."""
    with ProcessPoolExecutor(processes) as pool:
        starts = range(first, first + count, CHUNK)
        futures = [pool.submit(run_chunk, seed, start, min(CHUNK, first + count - start)) for start in starts]
        for future in futures:
            yield from future.result()


def fuzz(seed: int = 0, first: int = 0, count: int = 10**6, processes: int = 2) -> dict[str, Any]:
    """The report as a dictionary: counts by outcome, the slowest mutant, the largest excess of memory, the finds."""
    started = time.perf_counter()
    counts: dict[str, collections.Counter[str]] = {"blind": collections.Counter(), "aware": collections.Counter()}
    finds, slowest, largest = [], (0.0, 0), (0, 0)
    for number, outcome in tqdm(run(seed, first, count, processes), total=count, unit="mutant", disable=None):
        counts["aware" if number % 2 else "blind"][outcome.name] += 1
        slowest, largest = max(slowest, (outcome.seconds, number)), max(largest, (outcome.excess_bytes, number))
        if outcome.find:
            finds.append({"mutant": number, "find": outcome.find})
    return {"mutants": count, "first": first, "seed": seed,
            "outcomes": {family: dict(counter.most_common()) for family, counter in counts.items()},
            "slowest": {"seconds": round(slowest[0], 3), "mutant": slowest[1]},
            "memory beyond the announced arrays": {"MiB": round(largest[0] / 2**20, 1), "mutant": largest[1]},
            "finds": finds, "minutes": round((time.perf_counter() - started) / 60, 1),
            "Python": platform.python_version(), "NumPy": np.__version__}


def main() -> int:
    parser = argparse.ArgumentParser("python -m checks.fuzz", description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=10**6, help="how many mutants (default: a million)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report into this file too")
    args = parser.parse_args()
    report = fuzz(args.seed, args.first, args.count)
    text = json.dumps(report, indent=2) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8", newline="\n")
    return 1 if report["finds"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
