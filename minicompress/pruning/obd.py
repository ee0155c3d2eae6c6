"""Lecture 03: optimal brain damage. How much would the loss rise if a weight were deleted?

    s = h_w w² / 2,   E rises by about Σ s over the deleted weights      h_w = ∂²E/∂w² (curvature.py)   s, h_w, w: alike

The second-order Taylor term of E for w → 0. It stands alone if training has reached a minimum (no first-order term), if
E is nearly quadratic, and if deletions do not interact (LeCun, Denker & Solla 1990, section 2). Many deletions at once
break this: around a saturated unit E is flat, so each weight into it is cheap, but all together lead out of the flat
part. So saliencies are computed anew after every few deletions.

Not here: a correction of the weights that stay (obs.py), and biases, which the paper deletes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ..inputs import as_fraction, as_integer
from ..nn import Layer, Loss, Parameter, predict
from ..nn.evaluation import Samples
from .curvature import Diagonal, curvature
from .magnitude import magnitudes, prune


class Deletion(NamedTuple):
    """One round: the sparsity after it, the rise of the loss as predicted for its deletions, and the actual one."""

    sparsity: float
    predicted: float
    actual: float


def saliency(h: np.ndarray, w: np.ndarray) -> np.ndarray:
    """s = h w² / 2      h, w, s: any shape; negative where the loss is curved downwards"""
    return h * w * w / 2


def saliencies(model: Layer, loss: Loss, samples: Samples, *, second_derivative: bool = True) -> Diagonal:
    """Parameter → s over the samples (x, target), zero where the weight is pruned.   Raises as `curvature` does."""
    diagonal = curvature(model, loss, samples, second_derivative=second_derivative)
    return {parameter: saliency(h, parameter.forward()) for parameter, h in diagonal.items()}


def as_score(s: Diagonal) -> Callable[[Parameter], np.ndarray]:
    """The saliencies as `score` of magnitude.prune: what is pruned already goes first and never comes back."""
    return lambda parameter: np.where(magnitudes(parameter) < 0, -np.inf, s[parameter])


def predicted_rise(s: Diagonal, parameters: Iterable[Parameter]) -> float:
    """Σ s over the weights that are zero by now, for saliencies computed before they were deleted."""
    return float(sum(s[parameter][parameter.forward() == 0].sum() for parameter in parameters))


def mean_loss(model: Layer, loss: Loss, samples: Samples) -> float:
    """E of the model over the samples (x, target), in evaluation mode."""
    return loss(predict(model, samples[0]), samples[1])[0]


def optimal_brain_damage(model: Layer, loss: Loss, samples: Samples, sparsity: float, *, rounds: int = 10,
                         retrain: Callable[[], object] | None = None,
                         second_derivative: bool = True) -> list[Deletion]:
    """Delete the fraction `sparsity` of model.weights() in equal rounds; what each was predicted to cost, and did cost.

    The recipe of LeCun, Denker & Solla 1990, section 2.2, for a trained network (steps 1 and 2). rounds=1: one shot.
    samples (x, target): those of the training, whose minimum the network is in. retrain: called after each round.
    Raises RangeError for a sparsity outside [0, 1] and for what `curvature` does not know.
    """
    weights, done = model.weights(), []
    shares = [as_fraction(sparsity, "sparsity") * i / rounds for i in range(1, as_integer(rounds, "rounds", 1) + 1)]
    for share in shares:
        s = saliencies(model, loss, samples, second_derivative=second_derivative)  # 3 curvature, 4 saliencies
        before = mean_loss(model, loss, samples)
        prune(weights, share, score=as_score(s))  # 5 sort, delete the lowest
        done.append(Deletion(share, predicted_rise(s, weights), mean_loss(model, loss, samples) - before))
        if retrain is not None:
            retrain()  # 6 back to step 2
    return done
