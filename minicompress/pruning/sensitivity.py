"""Lecture 02: sensitivity. Which layer can spare how many weights?

    E(l, d) = the error when the weights of layer l alone are pruned to density d, without retraining

(Han et al. 2015, figure 6; Li et al. 2017, "Pruning Filters for Efficient ConvNets", figure 2b, for filters). Choose
densities by validation images. Not here: what layers do to each other; together they lose more than each one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import RangeError
from ..nn import Layer, Parameter
from .magnitude import keep_largest, kept_count, magnitudes
from .masks import Masked


def sensitivity(model: Layer, densities: Sequence[float], measure: Callable[[], float]) -> dict[str, list[float]]:
    """Path of each weight → E at each density. `measure` looks at the model, which is the same again afterwards."""
    weights = {path: node for path, node in model.walk() if isinstance(node, Parameter) and node in model.weights()}
    return {path: scan(weight, densities, measure) for path, weight in weights.items()}


def scan(weight: Parameter, densities: Sequence[float], measure: Callable[[], float]) -> list[float]:
    """E at each density for one weight; its numbers and the optimizer's are not touched."""
    chain, scores, errors = weight.parametrizations, magnitudes(weight), []
    masks = [keep_largest(scores, kept_count(scores.size, 1 - density)) for density in densities]
    try:
        for mask in masks:
            weight.parametrizations = [*chain, Masked(mask)]
            errors.append(measure())
    finally:
        weight.parametrizations = chain
    return errors


def least_densities(curves: Mapping[str, Sequence[float]], densities: Sequence[float], limit: float) -> list[float]:
    """For each layer the least density whose error, and that of all larger ones, is at most `limit`.

    The list is what `prune(…, scope="layerwise")` takes, as sparsities: [1 - d for d in …]. Raises RangeError where a
    layer's error is above the limit already at its largest density.
    """
    chosen = []
    for path, errors in curves.items():
        least = None
        for density, error in sorted(zip(densities, errors, strict=True), reverse=True):
            if error > limit:
                break
            least = density
        if least is None:
            raise RangeError(f"the error with {path} pruned is above {limit:g} at every density; allowed: a limit that "
                             f"some density keeps. Hint: scan density 1 too, the limit above the dense error.")
        chosen.append(least)
    return chosen
