"""Kill -9 at random moments of saving and of training with checkpoints: nothing that was acknowledged may be lost.

    python -m checks.kills                 a thousand kills: half while saving, half while training

A forked process saves or trains and acknowledges each finished save or epoch through a pipe. After the kill the file
must load and hold the last acknowledged state or the one after it. A training is started again until it ends, and must
end with the bits of the run that nobody killed. A kill ends the process, not the machine: power cuts are not tried.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import random
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minicompress import nn
from minicompress.errors import MiniCompressError
from minicompress.storage import Checkpoint, load, save, to_bytes
from minicompress.storage.disk import PREFIX

Acknowledge = Callable[[object], object]


class Lost(Exception):
    """What was acknowledged is not there, or other bits came out."""


def killed(work: Callable[[Acknowledge], None], seconds: float) -> tuple[list[str], bool]:
    """Run `work` in a process of its own for so long; (what it acknowledged, whether it had to be killed)."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            work(lambda what: os.write(writing, f"{what}\n".encode()))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    text, deadline = b"", time.perf_counter() + seconds
    while select.select([reading], [], [], max(0.0, deadline - time.perf_counter()))[0]:
        if not (part := os.read(reading, 2**16)):
            break
        text += part
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    while part := os.read(reading, 2**16):
        text += part
    os.close(reading)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise Lost("the process failed by itself; its error stands above.")
    return text.decode().splitlines(), os.WIFSIGNALED(status)


def document(n: int) -> dict[str, Any]:
    """The n-th state, which a reader can check: of 1 to 30,000 numbers."""
    return {"n": n, "numbers": np.random.default_rng(n).uniform(size=int(30000 ** (n % 97 / 96)))}


def check_saving(folder: Path, kills: int, rng: random.Random) -> dict[str, int]:
    """Kill a process that saves one state after the other into the same file; raises Lost."""
    path, last = folder / "saved.mcz", -1
    counts = {"kills": 0, "the last acknowledged state": 0, "the next one": 0, "temporary files left behind": 0}

    def work(acknowledge: Acknowledge) -> None:
        for n in itertools.count(last + 1):
            save(path, document(n))
            acknowledge(n)

    while counts["kills"] < kills:
        lines, _ = killed(work, rng.uniform(0, 0.06))
        counts["kills"] += 1
        last = max([last, *map(int, lines)])
        found = load(path) if path.exists() else {"n": -1}
        if found["n"] not in (last, last + 1):
            raise Lost(f"state {found['n']} is in the file; {last} was acknowledged.")
        if found["n"] >= 0 and to_bytes(found) != to_bytes(document(found["n"])):
            raise Lost(f"state {found['n']} came back with other numbers.")
        counts["the next one" if found["n"] > last else "the last acknowledged state"] += 1
        last = found["n"]
        counts["temporary files left behind"] += clean(folder)
    return {**counts, "states saved": last + 1}


def clean(folder: Path) -> int:
    """Remove what kills left behind (the package does it after an hour) and return how many files that were."""
    left = list(folder.glob(PREFIX + "*"))
    for path in left:
        path.unlink()
    return len(left)


def training(path: Path, kind: int, acknowledge: Acknowledge) -> None:
    """A training of 12 epochs with everything that draws or remembers; acknowledges epochs, then the model's sha256."""
    rng = np.random.default_rng(kind)
    x, x2 = rng.uniform(-1, 1, (200, 6)), rng.uniform(-1, 1, (50, 6))
    model = nn.Sequential([nn.Linear(6, 30, rng=kind), nn.BatchNorm(30), nn.ReLU(), nn.Dropout(0.2, rng=kind),
                           nn.Linear(30, 2, rng=kind + 1)])  # fmt: skip
    optimizer = [nn.Adam, nn.SGD][kind % 2](model.parameters(), 0.01)
    for record in nn.train(model, optimizer, (x, (x[:, 0] > x[:, 1] ** 2).astype(int)), epochs=12, rng=kind, batch=20,
                           validation=(x2, (x2[:, 0] > x2[:, 1] ** 2).astype(int)), patience=[None, 9][kind // 2],
                           schedule=nn.cosine, saver=Checkpoint(path), progress=False):  # fmt: skip
        acknowledge(record.epoch)
    acknowledge(hashlib.sha256(to_bytes(model)).hexdigest())


def check_training(folder: Path, kills: int, rng: random.Random) -> dict[str, int]:
    """Kill trainings until each has ended all the same; raises Lost."""
    expected, started = [], time.perf_counter()
    for kind in range(4):
        acknowledged: list[object] = []
        training(folder / f"whole-{kind}.mcz", kind, acknowledged.append)
        expected.append(str(acknowledged[-1]))
    seconds = (time.perf_counter() - started) / 4
    counts = {"kills": 0, "runs": 0, "most kills of one run": 0}
    while counts["kills"] < kills:
        path = folder / f"run-{counts['runs']}.mcz"
        sha256, suffered = train_to_the_end(path, counts["runs"] % 4, seconds, rng)
        if sha256 != expected[counts["runs"] % 4]:
            raise Lost(f"run {counts['runs']}, killed {suffered} times, ended with other bits.")
        counts = {"kills": counts["kills"] + suffered, "runs": counts["runs"] + 1,
                  "most kills of one run": max(counts["most kills of one run"], suffered)}  # fmt: skip
        clean(folder)
    return counts


def train_to_the_end(path: Path, kind: int, seconds: float, rng: random.Random) -> tuple[str, int]:
    """Start a training again after each kill; (the sha256 of its model, how often it was killed). Raises Lost."""
    done, suffered = 0, 0
    while True:
        lines, was_killed = killed(lambda acknowledge: training(path, kind, acknowledge), rng.uniform(0, seconds))
        suffered += was_killed
        state = Checkpoint(path).load()
        found, done = len(state["records"]) if state else 0, max([done, *(int(n) for n in lines if len(n) < 64)])
        if found not in (done, done + 1):
            raise Lost(f"the checkpoint holds {found} epochs; {done} were acknowledged.")
        done = found
        if lines and len(lines[-1]) == 64:
            return lines[-1], suffered


def kill(count: int = 1000, seed: int = 0) -> dict[str, Any]:
    """The report as a dictionary; "lost" is empty where all went well."""
    rng, started = random.Random(seed), time.perf_counter()
    report: dict[str, Any] = {"seed": seed}
    lost = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            report["saving"] = check_saving(Path(folder), count // 2, rng)
            report["training"] = check_training(Path(folder), count - count // 2, rng)
        except (Lost, MiniCompressError) as error:
            lost = f"{type(error).__name__}: {error}"
    return {**report, "lost": lost, "minutes": round((time.perf_counter() - started) / 60, 1),
            "Python": platform.python_version(), "NumPy": np.__version__}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser("python -m checks.kills", description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many kills (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report into this file too")
    args = parser.parse_args()
    if not hasattr(os, "fork"):
        parser.exit(1, "checks.kills needs a POSIX system: it forks.\n")
    report = kill(args.count, args.seed)
    text = json.dumps(report, indent=2) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8", newline="\n")
    return 1 if report["lost"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
