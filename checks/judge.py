"""What becomes of one mutant: how it is read, measured and used, and what counts as a find."""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicompress import nn
from minicompress.errors import FormatError, MiniCompressError
from minicompress.storage import codecs, from_bytes, to_bytes, tree

SECONDS, SLACK_BYTES = 1.0, 64 * 2**20  # what a mutant may take, and use beside the arrays that it announces
SMALL = 2**16  # the limit of weights for most mutants, which are also used


class Outcome(NamedTuple):
    """What became of one mutant: an error's name, "valid", or a find, which says what is wrong."""

    name: str
    find: str
    seconds: float
    excess_bytes: int


class Hang(BaseException):
    """A mutant took too long."""


class Meter:
    """The memory that reading takes beyond the arrays that are announced to it."""

    def __init__(self) -> None:
        self.announced = 0
        tree.codecs = types.SimpleNamespace(**{**vars(codecs), "decode": self.decode})  # type: ignore[assignment]
        self.restart()

    def decode(self, data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        self.announced += math.prod(shape) * dtype.itemsize
        return codecs.decode(data, dtype, shape)

    @staticmethod
    def peak_bytes() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def restart(self) -> None:
        """Let the peak be what is in use now."""
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self.base = self.peak_bytes()

    def excess_bytes(self) -> int:
        """How far the last reading went beyond what was announced."""
        growth = self.peak_bytes() - self.base
        return max(0, growth - self.announced) if growth else 0


def matching_input(model: nn.Layer) -> np.ndarray:
    """Random inputs of the shape that the first layer with weights asks for."""
    rng = np.random.default_rng(0)
    for _, node in model.walk():
        if isinstance(node, nn.Conv2d):
            O, C = node.weight.shape[:2]
            return rng.uniform(-1, 1, (2, C * node.group_count(O), 8, 9))
        if isinstance(node, (nn.Linear, nn.Gate, nn.BatchNorm)):
            weight = next(iter(node.parameters()))
            return rng.uniform(-1, 1, (3, weight.shape[-1]))
    return rng.uniform(-1, 1, (3, 6))


def use(value: Any, data: bytes, limit: int) -> None:
    """Save a value that was accepted again, and run its models; what they raise must be named."""
    again = to_bytes(value)
    if again != data and to_bytes(from_bytes(again, limit)) != again:
        raise ValueError("saved again, it gives other bytes each time")
    for model in [value] if isinstance(value, nn.Layer) else []:
        with np.errstate(all="ignore"), contextlib.suppress(MiniCompressError):
            model.train(False)
            model.forward(matching_input(model))


def judge(data: bytes, limit: int, is_blind: bool, meter: Meter) -> Outcome:
    """Read one mutant and say what became of it."""
    meter.announced, excess, started = 0, 0, time.process_time()
    name, find = "valid", "a damaged file was accepted" if is_blind else ""
    signal.setitimer(signal.ITIMER_PROF, 10 * SECONDS)  # CPU time: others may share the machine
    try:
        try:
            value = from_bytes(data, limit)
        finally:
            seconds, excess = time.process_time() - started, meter.excess_bytes()
        if limit == SMALL:
            use(value, data, limit)
    except FormatError as error:
        name, find = type(error).__name__, ""
    except (Exception, Hang) as error:
        name, find = type(error).__name__, "".join(traceback.format_exception(error)[-4:])
    signal.setitimer(signal.ITIMER_PROF, 0)
    if seconds > SECONDS:
        find += f"{seconds:.2f} s of CPU time"
    if excess > SLACK_BYTES:
        find += f"{excess / 2**20:.0f} MiB beyond the arrays that it announces"
    if meter.peak_bytes() > meter.base:
        meter.restart()
    return Outcome(name, find, seconds, excess)


def raise_hang(*_: Any) -> None:
    raise Hang
