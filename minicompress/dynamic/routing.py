"""Lecture 15: leaving early. How is a network run so that a sample that is certain costs no further layers?

    after exit k:   sample n leaves if u(z_n) ≤ threshold_k;   the others, and only they, enter stage k + 1

u measures uncertainty: the entropy of softmax(z) (Teerapittayanon, McDanel & Kung 2016, "BranchyNet", section III),
or 1 - max softmax(z) (Huang et al. 2018, "Multi-Scale Dense Networks", section 4). At the last exit all leave. The
thresholds are chosen in thresholds.py.

Not here: samples that arrive one by one and are gathered into batches before the later stages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..counting import counted, layer_macs, within
from ..errors import DTypeError, RangeError, ShapeError
from ..inputs import as_array, as_function, as_integer, check_finite
from ..nn import MultiExit
from ..nn.losses import check_scores
from .exits import with_exits

Uncertainty = Callable[[np.ndarray], np.ndarray]  # logits (N, C) → (N,), never negative
Step = Callable[..., tuple[Any, dict[str, int]]]  # what `counted` makes of a layer
NEVER, ALWAYS = -1.0, float("inf")  # thresholds


@np.errstate(under="ignore")  # a probability may round to zero
def entropy(z: np.ndarray) -> np.ndarray:
    """H_n = -Σ_c p_nc log p_nc,  p = softmax(z)      z (N, C)   H (N,), in nats, 0 .. log C

    Raises ShapeError, NonFiniteError.
    """
    gaps, e, rest = below_the_largest(z)
    return np.log1p(rest) - (e * gaps).sum(1) / (1 + rest)


@np.errstate(under="ignore")  # a probability may round to zero
def doubt(z: np.ndarray) -> np.ndarray:
    """u_n = 1 - max_c p_nc,  p = softmax(z)      z (N, C)   u (N,), 0 .. 1 - 1/C

    Raises ShapeError, NonFiniteError.
    """
    _, _, rest = below_the_largest(z)
    return rest / (1 + rest)


def uncertainty(measure: Uncertainty, z: np.ndarray) -> np.ndarray:
    """u = measure(z)      z (N, C)   u (N,)   Raises DTypeError, ShapeError."""
    u = np.asarray(as_function(measure, "measure")(z))
    if u.shape != z.shape[:1]:
        raise ShapeError(f"measure gave {u.shape} for outputs of shape {z.shape}; allowed: one number a sample.")
    return u


def below_the_largest(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """g = z - max z (N, C),  e = exp(g) but 0 at the largest,  Σ_c e (N,)

    The largest, whose exp(0) = 1 would swallow the others, is left out: so two very certain samples still differ.
    """
    z = as_array(z, "z")
    N, C = check_scores(z)
    if not C:
        raise ShapeError(f"z has shape {z.shape}; allowed: at least 1 class.")
    with np.errstate(over="ignore"):
        g = np.maximum(z - z.max(1, keepdims=True), -1000)  # exp(-1000) is 0, and 0 · 1000 too, but not 0 · infinity
    e = np.exp(g)
    e[np.arange(N), z.argmax(1)] = 0
    return g, e, e.sum(1)


class Routed(NamedTuple):
    """Logits (N, C) of the exit where each sample left; that exit (N,), from 0; products executed for all samples."""

    outputs: np.ndarray
    exits: np.ndarray
    macs: int


def route(model: MultiExit, x: np.ndarray, thresholds: float | Sequence[float] | np.ndarray, *,
          measure: Uncertainty = entropy, batch: int = 1000) -> Routed:
    """Run the network in evaluation mode; each sample leaves at the first exit where measure(z) ≤ its threshold.

    thresholds: L - 1 numbers, or one for all exits; NEVER and ALWAYS are allowed. What lies between two stages may be
    an array or a tuple of arrays, N rows each.   Raises ShapeError, RangeError for thresholds; NonFiniteError for
    outputs that are NaN or infinite; what as_array and the layers raise.
    """
    x, batch = as_array(x, "x", (None, ...)), as_integer(batch, "batch", 1)
    limits = as_thresholds(thresholds, len(with_exits(model).stages))
    steps = [(counted(stage), counted(leave)) for stage, leave in zip(model.stages, model.exits, strict=True)]
    before = model.training
    model.train(False)
    try:
        with np.errstate(all="ignore"):  # what overflows is found at the exits
            parts = [route_batch(steps, x[i : i + batch], limits, measure) for i in range(0, len(x), batch)]
    finally:
        model.train(before)
    outputs, exits, counts = zip(*parts, strict=True)
    return Routed(np.concatenate(outputs), np.concatenate(exits), sum(counts))


def route_batch(steps: list[tuple[Step, Step]], x: Any, limits: np.ndarray, measure: Uncertainty) -> Routed:
    """`route` for one batch."""
    rows, exits, total = np.arange(len(x)), np.empty(len(x), np.int64), 0
    outputs = np.empty((len(x), 0))
    for k, (stage, leave) in enumerate(steps):
        x, in_stage = stage(x)
        z, in_exit = leave(x)
        check_finite(z, f"the output of exit {k + 1}")
        total += sum(in_stage.values()) + sum(in_exit.values())
        if k == 0:
            outputs = np.empty(z.shape, z.dtype)
        go = uncertainty(measure, z) <= limits[k] if k < len(limits) else np.ones(len(rows), bool)
        outputs[rows[go]], exits[rows[go]] = z[go], k
        if go.all():
            break
        rows, x = rows[~go], take(x, ~go)
    return Routed(outputs, exits, total)


def take(x: Any, chosen: np.ndarray) -> Any:
    """The chosen rows of an array, or of each array of a tuple; the batch stays innermost in memory."""
    if isinstance(x, tuple):
        return tuple(take(part, chosen) for part in x)
    return x if chosen.all() else np.moveaxis(np.compress(chosen, np.moveaxis(x, 0, -1), axis=-1), -1, 0)


def as_thresholds(thresholds: Any, exits: int) -> np.ndarray:
    """One threshold for each exit but the last, (exits - 1,).   Raises ShapeError, RangeError, DTypeError."""
    try:
        t = np.asarray(thresholds, np.float64)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"the thresholds are {thresholds!r}; allowed: a number, or {exits - 1} of them.") from error
    if t.shape not in ((), (exits - 1,)):
        raise ShapeError(f"the thresholds have shape {t.shape} for {exits} exits; allowed: one number, or {exits - 1}. "
                         f"Hint: all leave at the last exit, it has none.")
    if np.isnan(t).any():
        raise RangeError(f"the thresholds are {t.tolist()}; allowed: numbers. Hint: NEVER and ALWAYS.")
    return np.broadcast_to(t, (exits - 1,))


def exit_macs(model: MultiExit, sample: np.ndarray) -> np.ndarray:
    """(L,) multiply-accumulates of a sample (1, …) that leaves at exit 1, …, L, exits that it passes included."""
    counts = layer_macs(with_exits(model), sample)
    return np.cumsum([within(counts, f"stages.{k}") + within(counts, f"exits.{k}") for k in range(len(model.stages))])
