"""Lecture 02: magnitude pruning. Which weights may go, when, and how many at once?

    m = [|w| among the `count` largest]      m of the weight's shape: the mask, as masks.py applies it

A weight's importance is |w| (Han et al. 2015, "Learning both Weights and Connections for Efficient Neural Networks",
section 3); any other score takes its place as `score=`. Weights go at once, in rounds with retraining after each, or
little by little while training runs.

Not here: whole neurons and filters (structured pruning), and any speed. Zeros are still multiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_choice, as_fraction, as_integer
from ..nn import Parameter, Record
from .masks import Mask, Masked, apply_mask


def keep_largest(scores: np.ndarray, count: int) -> np.ndarray:
    """m = 1 for the `count` largest scores      scores, m: any shape; of equal ones the lower index is kept"""
    count = as_integer(count, "count", 0, scores.size)
    mask = np.zeros(scores.size, bool)
    mask[np.argsort(-scores.ravel(), kind="stable")[:count]] = True
    return mask.reshape(scores.shape)


def kept_count(size: int, sparsity: float) -> int:
    """How many of `size` weights a sparsity in [0, 1] leaves: size - round(sparsity · size)."""
    return size - int(np.rint(as_fraction(sparsity, "sparsity") * size))


def magnitudes(parameter: Parameter) -> np.ndarray:
    """|w|, and -1 where w is pruned already, so that it goes first and never comes back."""
    w = np.abs(parameter.forward())
    for p in parameter.parametrizations:
        if isinstance(p, Mask) and p.mask.shape == w.shape:
            w = np.where(p.mask, w, w.dtype.type(-1))
    return w


def prune(parameters: Iterable[Parameter], sparsity: float | Sequence[float], *, scope: str = "global",
          score: Callable[[Parameter], np.ndarray] = magnitudes, min_keep: int = 0) -> None:
    """Remove the fraction `sparsity` of all weights, those of the lowest score; what is pruned already counts.

    scope "global": one ranking over all parameters. "layerwise": a ranking for each, whose sparsities may be a list.
    min_keep: so many weights stay in every parameter, beyond the count if need be. Counts are exact, ties included.
    A parameter's first mask makes optimizers stale; later ones tighten it in place (masks.py).
    Raises RangeError for a sparsity outside [0, 1], StateError for a weight whose shape varies; warns,
    naming the shape, where a parameter loses all weights.
    """
    parameters = list(parameters)
    as_choice(scope, "scope", ["global", "layerwise"])
    for p in parameters:
        p.check_fixed()
    scores = [score(p) for p in parameters]
    if scope == "layerwise":
        shares = list(sparsity) if isinstance(sparsity, Sequence) else [sparsity] * len(scores)
        if len(shares) != len(scores):
            raise ShapeError(f"there are {len(shares)} sparsities for {len(scores)} parameters; allowed: one each.")
        masks = [keep_largest(s, kept_count(s.size, share)) for s, share in zip(scores, shares, strict=True)]
    elif isinstance(sparsity, Sequence):
        raise RangeError("one sparsity for each parameter needs scope='layerwise'.")
    else:
        joined = np.concatenate([s.ravel() for s in scores])
        mask = keep_largest(joined, kept_count(joined.size, sparsity))
        parts = np.split(mask, np.cumsum([s.size for s in scores])[:-1])
        masks = [part.reshape(s.shape) for part, s in zip(parts, scores, strict=True)]
    for parameter, mask, s in zip(parameters, masks, scores, strict=True):
        if min_keep:
            mask |= keep_largest(s, min(min_keep, s.size))
        apply_mask(parameter, mask)


def geometric(final: float, rounds: int) -> list[float]:
    """dᵢ = final^(i / rounds),  i = 1 … rounds: densities that shrink by the same factor down to final."""
    as_integer(rounds, "rounds", 1)
    return [as_fraction(final, "final") ** (i / rounds) for i in range(1, rounds + 1)]


def cubic(final: float, rounds: int) -> list[float]:
    """dᵢ = final + (1 - final) (1 - i / rounds)³: gradual pruning (Zhu & Gupta 2017, eq. 1), as densities."""
    as_integer(rounds, "rounds", 1)
    return [as_fraction(final, "final") + (1 - final) * (1 - i / rounds) ** 3 for i in range(1, rounds + 1)]


def prune_iteratively(parameters: Iterable[Parameter], densities: Iterable[float], retrain: Callable[[], object], *,
                      scope: str = "global") -> Iterator[float]:
    """Prune to each density in turn and retrain (Han et al. 2015, figure 2); yields the density after each round."""
    parameters = list(parameters)
    for density in densities:
        prune(parameters, 1 - as_fraction(density, "density"), scope=scope)
        retrain()
        yield density


def prune_gradually(parameters: Iterable[Parameter], densities: Iterable[float],
                    start: Callable[[], Iterator[Record]], *, scope: str = "global") -> Iterator[Record]:
    """Prune to the next density after each epoch of one training (Zhu & Gupta 2017, section 3); yields its records.

    start: begins the training, `lambda: train(model, Adam(model.parameters()), …)`. It is called when masks of ones are
    in place, so that pruning only tightens them and the optimizer goes on with its momentum. Epochs beyond the
    densities train on with the last mask. A training with `saver` resumes to the same bits.
    Raises StateError, before any mask is put on, for a weight whose shape varies.
    """
    parameters = list(parameters)
    for p in parameters:
        p.check_fixed()
    for p in parameters:
        p.become(p.data, [*p.parametrizations, Masked(np.ones(p.shape, bool))])
    records = start()
    for density, record in zip(densities, records, strict=False):  # densities first: no record is lost at their end
        prune(parameters, 1 - as_fraction(density, "density"), scope=scope)
        yield record
    yield from records
