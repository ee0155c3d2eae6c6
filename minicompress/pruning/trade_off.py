"""Lecture 02: what does a removed weight cost? Error against density, in the five ways of Han et al. 2015, figure 5.

Two networks are trained, one with an L1 penalty and one with L2. For every density, copies of them are pruned: at once
and left so, at once and retrained, or in rounds with training after each. The penalty stays on in retraining. Whether
a comparison is fair depends on the budgets, which `fit` sets; give the rounds together as many steps as the retraining.

Difference from the paper: its iterative curve is one trajectory, whose points have had more and more training; here
each density is reached anew from the dense network.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable

from .. import nn
from ..inputs import as_integer
from .magnitude import geometric, prune

L1, L2, L1_RETRAINED, L2_RETRAINED, ITERATIVE = CURVES = (
    "L1, not retrained", "L2, not retrained", "L1, retrained", "L2, retrained", "L2, iterative")

Fit = Callable[[nn.Layer, Callable[[], float], str], object]


def five_curves(build: Callable[[], nn.Layer], fit: Fit, measure: Callable[[nn.Layer], float], *,
                densities: Iterable[float], l1: float, l2: float, rounds: int = 5) -> dict[str, list[float]]:
    """Curve (one of CURVES) → what `measure` says of the network at each density; at density 1 of the dense network.

    build: a new network, the same at each call. fit(model, penalty, stage): trains a model in place with a new
    optimizer, `penalty` as train() takes it, for the stage "dense", "retrain", "round" (all rounds but the last) or
    "last round". l1, l2: the strengths of the penalties on the weights, biases left out (nn.l1, nn.l2).
    rounds: densities fall by the same factor from 1 in each. Weights are ranked over all layers together.
    """
    stages = ["round"] * (as_integer(rounds, "rounds", 1) - 1) + ["last round"]

    def train(model: nn.Layer, norm: Callable[..., float], strength: float, stage: str) -> None:
        fit(model, functools.partial(norm, model.weights(), strength), stage)

    curves: dict[str, list[float]] = {name: [] for name in CURVES}
    settings = [(nn.l1, l1, L1, L1_RETRAINED), (nn.l2, l2, L2, L2_RETRAINED)]
    dense = [build() for _ in settings]
    for model, (norm, strength, _, _) in zip(dense, settings, strict=True):
        train(model, norm, strength, "dense")
    for density in densities:
        for original, (norm, strength, before, after) in zip(dense, settings, strict=True):
            model = copy.deepcopy(original)
            prune(model.weights(), 1 - density)
            curves[before].append(measure(model))
            if density < 1:
                train(model, norm, strength, "retrain")
            curves[after].append(measure(model))
        model = copy.deepcopy(dense[1])
        for share, stage in zip(geometric(density, rounds), stages, strict=True) if density < 1 else ():
            prune(model.weights(), 1 - share)
            train(model, nn.l2, l2, stage)
        curves[ITERATIVE].append(measure(model))
    return curves
