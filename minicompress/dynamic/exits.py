"""Lecture 15: several exits. One network that answers early or late: what does it learn, and what do its exits know?

    E = w₁ E₁ + … + w_L E_L      Eᵢ: the loss of exit i, of L   wᵢ: its weight, 1 unless given

(Szegedy et al. 2015, "Going Deeper with Convolutions", section 5; Lee et al. 2015, "Deeply-Supervised Nets";
Teerapittayanon, McDanel & Kung 2016, "BranchyNet", section III.) The network is a MultiExit, its output a tuple:

    train(model, optimizer, samples, loss=joint(), measure=last_error, …)

A weight of 0 leaves an exit untrained: joint([0, 0, 1]) trains the last exit alone. Not here: leaving (routing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, RangeError, ShapeError
from ..inputs import as_array, as_function, as_integer, as_labels
from ..nn import Layer, Loss, MultiExit, Sequential, cross_entropy, predict


def joint(weights: Sequence[float] | np.ndarray | None = None, loss: Loss = cross_entropy) -> Loss:
    """E = Σᵢ wᵢ loss(zᵢ, target),   dzᵢ = wᵢ dloss(zᵢ, target)      outputs (z₁, …, z_L), a gradient for each

    Raises RangeError for weights that are negative or all zero; the loss ShapeError for another number of exits.
    """
    loss, given = as_function(loss, "loss"), None if weights is None else as_array(weights, "weights", (None,))
    if given is not None and (given.min() < 0 or given.max() == 0):
        raise RangeError(f"the weights of the exits are {given.tolist()}; allowed: ≥ 0, one at least > 0.")

    def total(outputs: tuple[np.ndarray, ...], target: Any) -> tuple[float, tuple[np.ndarray, ...]]:
        w = np.ones(len(outputs)) if given is None else given
        if not isinstance(outputs, tuple) or len(w) != len(outputs):
            found = f"{len(outputs)} exits" if isinstance(outputs, tuple) else "a single output"
            raise ShapeError(f"the loss has {len(w)} weights and the network {found}; allowed: a MultiExit, one each.")
        values, gradients = zip(*(loss(z, target) for z in outputs), strict=True)
        return float(w @ values), tuple(d.dtype.type(wi) * d for wi, d in zip(w, gradients, strict=True))

    name = "equal weights" if given is None else ", ".join(f"{w:g}" for w in given)
    total.__name__ = f"joint, {name}, {getattr(loss, '__name__', type(loss).__name__)}"  # by which checkpoints know it
    return total


def with_exits(model: Layer) -> MultiExit:
    """The model, if it has exits.   Raises DTypeError."""
    if not isinstance(model, MultiExit):
        raise DTypeError(f"the model is a {type(model).__name__}; allowed: a MultiExit.")
    return model


def exit_errors(model: Layer, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(L,): the fraction of wrong answers if all samples leave at exit 1, …, L.   Raises ShapeError, LabelError."""
    outputs = as_array(predict(model, x), "the outputs of the exits", (None, None, None))
    return np.mean(outputs.argmax(2) != as_labels(labels, *outputs.shape[1:]), axis=1)


def last_error(model: MultiExit, x: np.ndarray, labels: np.ndarray) -> float:
    """The error of the last exit."""
    return float(exit_errors(model, x, labels)[-1])


def up_to(model: MultiExit, k: int) -> Sequential:
    """y = e_k(s_k(… s₁(x)))      k from 1: exit k as a plain network that shares the layers.   Raises RangeError."""
    k = as_integer(k, "k", 1, len(with_exits(model).stages))
    parts: list[Layer] = [*model.stages[:k], model.exits[k - 1]]
    return Sequential(parts)
