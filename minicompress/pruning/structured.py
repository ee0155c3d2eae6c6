"""Lecture 04: structured pruning. Score the units, choose, remove them for real, train on.

    1. score    each unit of each layer (importance.py)
    2. choose   the lowest of each layer, or the lowest of all
    3. remove   them for real: rows here, columns there (surgery.py)
    4. train    on, for the network is another one; with batch norm, first recalibrate

(Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 3; Molchanov et al. 2017, section 2, in many rounds.)

Not here: single weights (magnitude.py), and scores that training itself drives to zero (group_lasso.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from ..errors import RangeError
from ..inputs import as_array, as_choice, as_fraction, as_integer
from ..nn import BatchNorm, Layer
from .magnitude import keep_largest, kept_count
from .surgery import removable, remove_units

Score = Callable[[Layer, str], np.ndarray]  # (model, path of a layer) → one number for each of its units


def choose(scores: Mapping[str, np.ndarray], fraction: float, *, scope: str = "layerwise",
           min_keep: int = 1) -> dict[str, np.ndarray]:
    """Path → kept (units,), bool: all but the `fraction` of units with the lowest scores; ties keep the lower index.

    scope "layerwise": of each layer that fraction; "global": one ranking over all layers, whose scores must be
    comparable. min_keep: so many units stay in every layer, on top of the count.   Raises RangeError, NonFiniteError.
    """
    fraction, min_keep = as_fraction(fraction, "fraction"), as_integer(min_keep, "min_keep", 1)
    arrays = {path: as_array(s, f"the scores of {path}", (None,)) for path, s in scores.items()}
    if not arrays:
        raise RangeError("there are no scores; allowed: those of at least one layer. Hint: removable(model).")
    if as_choice(scope, "scope", ["layerwise", "global"]) == "layerwise":
        kept = {path: keep_largest(s, kept_count(s.size, fraction)) for path, s in arrays.items()}
    else:
        joined = np.concatenate(list(arrays.values()))
        parts = np.split(keep_largest(joined, kept_count(joined.size, fraction)),
                         np.cumsum([s.size for s in arrays.values()])[:-1])
        kept = dict(zip(arrays, parts, strict=True))
    return {path: mask | keep_largest(arrays[path], min(min_keep, mask.size)) for path, mask in kept.items()}


def prune_units(model: Layer, fraction: float, score: Score, *, scope: str = "layerwise",
                layers: Iterable[str] | None = None, min_keep: int = 1) -> dict[str, np.ndarray]:
    """Steps 1 to 3 of the docstring above, in place; returns which units were kept, by path.

    layers: paths, by default of all layers whose units can be removed. All are scored before any is cut. Raises what
    `choose` and `remove_units` raise; train on with a new optimizer.
    """
    paths = removable(model) if layers is None else list(layers)
    kept = choose({path: score(model, path) for path in paths}, fraction, scope=scope, min_keep=min_keep)
    for network in (copy.deepcopy(model), model):  # what raises does so on the copy
        for path, mask in kept.items():
            remove_units(network, path, mask)
    return kept


def prune_units_iteratively(model: Layer, fractions: Iterable[float], score: Score, retrain: Callable[[], object], *,
                            scope: str = "layerwise") -> Iterator[dict[str, np.ndarray]]:
    """All four steps, once for each fraction, which is of the units then left; yields what each round kept."""
    for fraction in fractions:
        kept = prune_units(model, fraction, score, scope=scope)
        retrain()
        yield kept


def recalibrate(model: Layer, x: np.ndarray, *, batch: int = 1000) -> None:
    """μ, σ² ← their means over the batches of x (N, …), for every batch norm of the model; nothing is trained.

    A batch norm behind the cut saw other inputs when its running statistics were made. Batches count by their size;
    numbers go through each layer's grid. Layers read the statistics of the batch, as in training; dropout is off.
    Only norms that run are touched: of a Switch the one in force. Statistics that several widths share are those of the
    width that runs; so a Slimmable's body is recalibrated at one width after the other, not the Slimmable itself.
    """
    x, batch = as_array(x, "x", (None, ...)), as_integer(batch, "batch", 2)
    norms = [node for _, node in model.walk() if isinstance(node, BatchNorm)]
    momenta, training = [norm.momentum for norm in norms], model.training
    model.train(False)
    try:
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            for norm in norms:
                norm.train()
                norm.momentum = start / (start + len(part))  # the running mean of all samples so far
            model.forward(part)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(training)
