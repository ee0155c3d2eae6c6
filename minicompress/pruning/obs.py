"""Lecture 03: optimal brain surgeon. Which weight can go, if all others may make up for it?

    L_q = w_q² / (2 A_qq),   δw = -(w_q / A_qq) A e_q      A = H⁻¹ (P, P), the inverse Hessian   w, δw (P,)

Among all changes with w_q + δw_q = 0, δw raises the loss least, by L_q, if the loss is quadratic and at its minimum
(Hassibi & Stork 1993, "Second order derivatives for network pruning: Optimal Brain Surgeon", eq. 5). For the mean
squared error, and outputs close to their targets,

    H ≈ Xᵀ X + α I,   X = sqrt(2 / N) ∂y/∂w      X (N C, P): a row for each sample and output

which is inverted a row at a time (their section 3). Biases are weights like others. A weight decay λ adds λ I to the
Hessian of what is minimized, so α = λ is a natural choice; the paper has α from 1e-8 to 1e-4.

Not here: other losses, layers with weights other than Linear, and networks for which P² numbers are too many.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import RangeError
from ..inputs import as_array, as_choice, as_integer, as_number
from ..nn import GRID, Layer, Linear, Parameter, Sequential, mean_squared_error, predict, to_grid
from ..nn.evaluation import Samples, as_samples
from .masks import Masked

Rows = dict[Parameter, np.ndarray]  # parameter → the gradient of one output, a row for each sample


class Step(NamedTuple):
    """One deletion: weights left, q among all weights, the rise of the loss that was predicted, the loss after it."""

    weights: int
    q: int
    predicted: float
    loss: float


@functools.singledispatch
def sample_gradients(layer: Layer, dy: np.ndarray, found: Rows) -> np.ndarray:
    """dx from dy, after a forward pass; adds to `found` the gradient of each parameter's weight, sample by sample."""
    if layer.parameters():
        raise RangeError(f"the gradients of {layer!r} for single samples are unknown; allowed: Linear, Sequential, and "
                         f"layers without weights. Hint: @sample_gradients.register adds one.")
    return layer.backward(dy)


@sample_gradients.register
def _(layer: Linear, dy: np.ndarray, found: Rows) -> np.ndarray:
    x, W = layer.saved
    add(found, layer.weight, (dy[:, :, None] * x[:, None, :]).reshape(len(x), -1))
    if layer.bias is not None:
        add(found, layer.bias, dy)
    return dy @ W


@sample_gradients.register
def _(layer: Sequential, dy: np.ndarray, found: Rows) -> np.ndarray:
    for part in reversed(layer.layers):
        dy = sample_gradients(part, dy, found)
    return dy


def add(found: Rows, parameter: Parameter, rows: np.ndarray) -> None:
    """The places that share a parameter add up."""
    found[parameter] = found[parameter] + rows if parameter in found else rows


def output_gradients(model: Layer, x: np.ndarray) -> np.ndarray:
    """∂y/∂w (N C, P) over all parameters, in the order of model.parameters(); output by output, sample by sample.

    Computed in evaluation mode; no gradient is touched. Raises RangeError for a layer without a rule.
    """
    before, blocks = model.training, []
    model.train(False)
    try:
        y = as_array(model.forward(x), "the model's output", (None, None))
        for direction in np.eye(y.shape[1], dtype=y.dtype):
            found: Rows = {}
            sample_gradients(model, np.tile(direction, (len(y), 1)), found)
            blocks.append(np.concatenate([found[p] for p in model.parameters()], 1))
    finally:
        model.train(before)
    return np.concatenate(blocks)


def inverse_hessian(X: np.ndarray, alpha: float, block: int = 1) -> np.ndarray:
    """A = (Xᵀ X + α I)⁻¹, without ever inverting a matrix of its size      X (rows, P)   A (P, P)

    A ← A - A xᵀ (1 + x A xᵀ)⁻¹ x A for each row x, from A = I / α (Hassibi & Stork 1993, section 3). With block > 1
    so many rows at a time: the same formula with a small matrix to invert in the middle, and faster.
    """
    alpha, block = as_number(alpha, "alpha", above=0), as_integer(block, "block", 1)
    A = np.eye(X.shape[1]) / alpha
    for i in range(0, len(X), block):
        x = X[i : i + block]
        xA = x @ A
        A -= xA.T @ np.linalg.solve(np.eye(len(x)) + xA @ x.T, xA)
    return A


def without(A: np.ndarray, q: int) -> np.ndarray:
    """The inverse Hessian of the weights that stay: A - a aᵀ / A_qq, a = A e_q, less row and column q."""
    stay = np.arange(len(A)) != q
    return (A - np.outer(A[q], A[q]) / A[q, q])[np.ix_(stay, stay)]


def surgeon(w: np.ndarray, A: np.ndarray, h: np.ndarray) -> tuple[int, float, np.ndarray]:
    """q, L_q and δw of optimal brain surgeon      w, h, δw (P,)   A (P, P); h is not needed"""
    L = w * w / (2 * A.diagonal())
    q = int(L.argmin())
    return q, float(L[q]), -w[q] / A[q, q] * A[q]


def damage(w: np.ndarray, A: np.ndarray, h: np.ndarray) -> tuple[int, float, np.ndarray]:
    """q, its saliency h w² / 2, and δw = -w_q e_q: optimal brain damage with the same Hessian's diagonal h."""
    s = h * w * w / 2
    q = int(s.argmin())
    return q, float(s[q]), np.where(np.arange(len(w)) == q, -w, 0)


def magnitude(w: np.ndarray, A: np.ndarray, h: np.ndarray) -> tuple[int, float, np.ndarray]:
    """q of the smallest |w|, what the diagonal predicts for it, and δw = -w_q e_q."""
    q = int(np.abs(w).argmin())
    return q, float(h[q] * w[q] ** 2 / 2), np.where(np.arange(len(w)) == q, -w, 0)


Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[int, float, np.ndarray]]
RULES: dict[str, Rule] = {"surgeon": surgeon, "damage": damage, "magnitude": magnitude}


def optimal_brain_surgeon(model: Layer, samples: Samples, *, alpha: float = 1e-4, most: float = math.inf,
                          rule: str | Rule = "surgeon", refresh: int = 1) -> Iterator[Step]:
    """Delete weight after weight of a trained network, biases included, until the next would cost more than `most`.

    The procedure of Hassibi & Stork 1993, section 2, for a network trained (step 1) on samples (x, target (N, C)). The
    caller may stop sooner: after each yield the model has that many weights, behind masks. Corrections are rounded to
    the grid (nn/grid.py).
    rule "damage" and "magnitude": the same with another choice of q and without corrections, to compare; a function
    like `surgeon` is a rule, too. refresh: the Hessian is computed anew after so many deletions; in between, deleted
    weights leave it by their Schur complement.
    Raises RangeError for a parameter with maps other than a mask, and for layers without per-sample gradients.
    """
    x, target = as_samples(samples, "x")
    choose = RULES[as_choice(rule, "rule", RULES)] if isinstance(rule, str) else rule
    refresh = as_integer(refresh, "refresh", 1)
    alpha, _ = as_number(alpha, "alpha", above=0), mean_squared_error(predict(model, x), target)
    output_gradients(model, x[:1])  # what does not fit is named before anything is changed
    parameters = model.parameters()
    masks = own_masks(parameters)
    w = np.concatenate([p.forward().ravel() for p in parameters])
    alive = np.concatenate([m.mask.ravel() for m in masks])
    ends = np.cumsum([p.data.size for p in parameters])[:-1]
    for i in range(int(alive.sum())):
        if i % refresh == 0:
            X = math.sqrt(2 / len(x)) * output_gradients(model, x)[:, alive]
            A, h = inverse_hessian(X, alpha, block=100), (X * X).sum(0) + alpha  # 2 the inverse Hessian
        q, predicted, change = choose(w[alive], A, h)  # 3 the smallest saliency
        if predicted > most:
            return  # 5 no more weights can go
        w[alive] = to_grid(w[alive] + change, GRID)  # 4 delete it, correct the others
        A, h, index = without(A, q), np.delete(h, q), int(np.flatnonzero(alive)[q])
        w[index], alive[index] = 0, False
        for p, m, data, mask in zip(parameters, masks, np.split(w, ends), np.split(alive, ends), strict=True):
            p.data[...], m.mask = data.reshape(p.shape), mask.reshape(p.shape)
        yield Step(int(alive.sum()), index, predicted, mean_squared_error(predict(model, x), target)[0])


def own_masks(parameters: Sequence[Parameter]) -> list[Masked]:
    """The masks of parameters that have no other map, made where there is none.   Raises RangeError."""
    if any(type(m) is not Masked for p in parameters for m in p.parametrizations):
        raise RangeError("a parameter has maps other than a mask; allowed: weights that are plain or masked. "
                         "Hint: parameter.bake() first.")
    for p in parameters:
        if not p.parametrizations:
            p.become(p.data, [Masked(np.ones(p.shape, bool))])
    return [p.parametrizations[-1] for p in parameters]  # type: ignore[misc]
