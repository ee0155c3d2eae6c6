"""Lecture 08: is it the teacher? The same student, taught the same images in the same number of steps in several ways.

An experiment names its ways of teaching (dictionaries of Supervision) and `compare` trains a student in each:

    labels or teacher    ways(x, labels, v, temperatures)         controls: hard labels, label smoothing
    five teachers        ensembles(x, logits, T)
    a pruned student     compare(pruned(dense, 0.9), …)
    other sizes          by_size({16: build16, 64: build64}, …)
    an unseen class      never_seen(…): 7 left out of the transfer set, or all but 7 and 8; bias from the prior
    a wrong teacher      taught by swapped or mistaken labels (`mislabel`); `copied` counts whose errors these are

All follow from their arguments alone: a seed is fixed by the `build` and `fit` that the caller makes for it.
(Hinton, Vinyals & Dean 2015, section 3.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import RangeError
from ..inputs import as_fraction, as_generator, as_integer, as_labels
from ..nn import Layer
from ..nn.layers import Seed
from ..pruning.magnitude import prune
from .prior import correct_bias
from .targets import Supervision, check_logits, ensemble, from_labels, from_teacher, warn_at_chance

Build = Callable[[], Layer]  # a new network, the same at each call
Fit = Callable[[Layer, Supervision], Any]  # trains a model in place, with a new optimizer and the supervision's loss
Measure = Callable[[Layer], Any]

HARD, SMOOTHED = "hard labels", "label smoothing"
ONE, PROBABILITIES, LOGITS = "one teacher", "mean of probabilities", "mean of logits"


def at(T: float) -> str:
    """The name of a way of teaching: T = 4."""
    return f"T = {T:g}"


def ways(x: np.ndarray, labels: np.ndarray, logits: np.ndarray, temperatures: Iterable[float], *,
         smoothing: float = 0.1, alpha: float | None = None) -> dict[str, Supervision]:
    """HARD, SMOOTHED, and the teacher's logits at each temperature (`at`); with alpha mixed with the labels.

    Warns of a teacher at chance (`warn_at_chance`).   Raises as from_labels and from_teacher do.
    """
    logits = check_logits(logits)
    controls = {name: from_labels(x, labels, logits.shape[1], smoothing=amount)
                for name, amount in ((HARD, 0.0), (SMOOTHED, smoothing))}
    mixed = None if alpha is None else labels
    taught = {at(T): from_teacher(x, logits, T, labels=mixed, alpha=alpha) for T in temperatures}
    if alpha is None:  # else `from_teacher` has looked
        warn_at_chance(logits, labels)
    return controls | taught


def ensembles(x: np.ndarray, logits: Sequence[np.ndarray], T: float) -> dict[str, Supervision]:
    """The first of several teachers alone, and their averages: ONE, PROBABILITIES, LOGITS."""
    return {ONE: from_teacher(x, logits[0], T),
            PROBABILITIES: from_teacher(x, ensemble(logits, "probabilities", T), T),
            LOGITS: from_teacher(x, ensemble(logits, "logits", T), T)}


def compare(build: Build, fit: Fit, measure: Measure, taught: Mapping[str, Supervision]) -> dict[str, Any]:
    """Way of teaching → what `measure` says of a new student taught so."""
    results = {}
    for name, supervision in taught.items():
        student = build()
        fit(student, supervision)
        results[name] = measure(student)
    return results


def by_size(builds: Mapping[Any, Build], fit: Fit, measure: Measure,
            taught: Mapping[str, Supervision]) -> dict[Any, dict[str, Any]]:
    """Size → `compare` for students of that size."""
    return {size: compare(build, fit, measure, taught) for size, build in builds.items()}


def pruned(dense: Layer, sparsity: float) -> Build:
    """Copies of a network without the smallest of all its weights: students that start from their teacher."""
    small = copy.deepcopy(dense)
    prune(small.weights(), sparsity)
    return lambda: copy.deepcopy(small)


class Unseen(NamedTuple):
    """What `measure` said of a student as trained and with corrected biases, and the shifts b (C,) of these."""

    before: Any
    after: Any
    shift: np.ndarray


def never_seen(build: Build, fit: Fit, measure: Measure, taught: Mapping[str, Supervision], labels: np.ndarray,
               seen: Collection[int], unlabelled: np.ndarray, prior: Mapping[int, float]) -> dict[str, Unseen]:
    """Way of teaching → a student whose transfer set has the classes `seen` only, before and after `correct_bias`.

    labels (N,): which samples to leave out. prior: the classes whose bias is shifted,
    with their shares (`shares`); the paper shifts the missing class, or, with only 7 and 8 seen, these two.
    unlabelled: inputs of all classes on which the shares are matched.   Raises RangeError, StateError, ShapeError.
    """
    results = {}
    for name, supervision in taught.items():
        kept = np.isin(as_labels(labels, len(supervision.x)), list(seen))
        if not kept.any():
            raise RangeError(f"no sample has one of the classes {sorted(seen)}; allowed: classes that occur.")
        student = build()
        fit(student, supervision.only(kept))
        before = measure(student)
        shift = correct_bias(student, unlabelled, prior)
        results[name] = Unseen(before, measure(student), shift)
    return results


def shares(labels: np.ndarray, classes: Iterable[int]) -> dict[int, float]:
    """Class → its share of the labels, a prior."""
    labels = as_labels(labels)
    return {c: float(np.mean(labels == c)) for c in classes}


def mislabel(labels: np.ndarray, mistakes: Mapping[int, int], share: float = 1.0, *, rng: Seed) -> np.ndarray:
    """A copy in which round(share · n) of the n labels of each class `a` in `mistakes` became mistakes[a]

    {1: 7, 7: 1} swaps the two. For a teacher that is wrong on purpose.   Raises RangeError, LabelError.
    """
    labels, share, rng = as_labels(labels), as_fraction(share, "share"), as_generator(rng)
    wrong = labels.copy()
    last = int(labels.max())
    pairs = [[as_integer(c, "a class of the mistakes", 0, last) for c in pair] for pair in mistakes.items()]
    for a, b in pairs:
        found = np.flatnonzero(labels == a)
        wrong[rng.permutation(found)[: int(np.rint(share * len(found)))]] = b
    return wrong


def copied(student: np.ndarray, teacher: np.ndarray, labels: np.ndarray) -> float:
    """Of the teacher's errors, the fraction that the student makes with the same wrong class      logits (N, C), (N, C)

    NaN where the teacher makes none.
    """
    said, wrong = teacher.argmax(1), teacher.argmax(1) != as_labels(labels, *teacher.shape)
    return float(np.mean(student.argmax(1)[wrong] == said[wrong])) if wrong.any() else float("nan")
