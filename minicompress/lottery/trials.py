"""Lecture 06: three questions to one trained network. Which weights to keep, what of the others, and where to start?

A Trial is trained once; each answer is a ticket made from its initial and final weights, trained again and measured.
Masks are one-shot, so all tickets of a trial share its history; the paper prunes in rounds (find_tickets does that).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..inputs import as_generator
from ..nn import Layer
from ..nn.layers import Seed
from ..pruning.magnitude import keep_largest, kept_count
from ..pruning.masks import apply_mask
from .deconstruct import KEPT, PRUNED, Held, Values
from .tickets import Criterion, Fit, Keep, check_masks, check_plain, checked, large_final, rewind, scored


class Trial(NamedTuple):
    """An untrained network, how others like it are trained and measured, and its weights after training."""

    model: Layer
    fit: Fit
    measure: Callable[[Layer], float]
    initial: list[np.ndarray]
    final: list[np.ndarray]


def begin(model: Layer, fit: Fit, measure: Callable[[Layer], float]) -> Trial:
    """Train a copy of the model, once for all questions.   Raises StateError for weights that are not plain."""
    check_plain(model)
    trained = copy.deepcopy(model)
    fit(trained)
    initial, final = ([w.forward().copy() for w in each.weights()] for each in (model, trained))
    return Trial(model, fit, measure, initial, final)


def choose(trial: Trial, criterion: Criterion, densities: Sequence[float]) -> list[np.ndarray]:
    """The mask of every layer: a density each, exact counts, ties to the lower index.

    Raises ShapeError, RangeError for the densities, NonFiniteError for the criterion's scores.
    """
    densities = checked(densities, len(trial.initial))
    return [keep_largest(scored(criterion, i, f), kept_count(i.size, 1 - density))
            for i, f, density in zip(trial.initial, trial.final, densities, strict=True)]


def ticket(trial: Trial, masks: Sequence[np.ndarray], kept: Keep = rewind, pruned: Values | None = None, *,
           rng: Seed = 0) -> Layer:
    """A copy of the untrained network under the masks, ready to train; pruned weights are zero unless said.

    Raises StateError for weights that are not plain, ShapeError where masks and weights differ in number or shape;
    warns where all of a weight is pruned to zero.
    """
    check_plain(trial.model)
    check_masks(trial.model, masks)
    model, rng = copy.deepcopy(trial.model), as_generator(rng)
    for weight, mask, i, f in zip(model.weights(), masks, trial.initial, trial.final, strict=True):
        weight.become(kept(i, f, mask, rng), [] if pruned is None else [Held(mask, pruned(i, f))])
        if pruned is None:
            apply_mask(weight, mask)
    return model


def retrained(trial: Trial, model: Layer) -> float:
    """What `measure` says of a ticket after training."""
    trial.fit(model)
    return trial.measure(model)


def which_to_keep(trial: Trial, densities: Sequence[float], criteria: Mapping[str, Criterion]) -> dict[str, float]:
    """Criterion → its rewound ticket, retrained and measured."""
    return {name: retrained(trial, ticket(trial, choose(trial, criterion, densities)))
            for name, criterion in criteria.items()}


def what_are_the_pruned(trial: Trial, densities: Sequence[float], actions: Mapping[str, Values] = PRUNED
                        ) -> dict[str, float]:
    """Mask-0 action → the large-final ticket, whose pruned weights are so; the kept ones are rewound."""
    masks = choose(trial, large_final, densities)
    return {name: retrained(trial, ticket(trial, masks, rewind, action)) for name, action in actions.items()}


def where_to_start(trial: Trial, densities: Sequence[float], actions: Mapping[str, Keep] = KEPT, *, rng: Seed
                   ) -> dict[str, float]:
    """Mask-1 action → the large-final ticket, whose kept weights start so; the pruned ones are zero."""
    masks, rng = choose(trial, large_final, densities), as_generator(rng)
    return {name: retrained(trial, ticket(trial, masks, action, rng=rng)) for name, action in actions.items()}
