"""Lecture 04: group lasso. Training that removes whole rows and columns by itself.

    E + λ Σ_g |w_g|₂       w_g: the weights of a group, such as a unit's outgoing ones, a column of the next layer

The norm has a kink at zero, so an optimal w_g can be exactly zero; gradients alone would only come near. After the
optimizer's step, which sees E, follows the proximal step of the penalty, with the learning rate of that moment:

    w_g ← w_g max(0, 1 - lr λ / |w_g|₂)

(Yuan & Lin 2006 for group lasso; Wen, Wu, Wang, Chen & Li 2016, "Learning Structured Sparsity in Deep Neural Networks",
section 3 for filters and channels, section 4.1 for the units of a multilayer perceptron). With momentum μ gradients
act 1 / (1 - μ) times and the threshold once, so the penalty weighs (1 - μ) λ; with Adam λ has no such meaning.

Not here: removing what became zero (surgery.py), and λ of its own for each group.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ShapeError, StateError
from ..inputs import as_choice, as_number
from ..nn import Optimizer, Parameter, Parametrization, to_grid
from ..nn.parameter import Frozen

AXES = {"rows": 0, "columns": 1}  # incoming and outgoing weights of units; filters and input channels


def group_norms(w: np.ndarray, groups: str, grid: float = 0.0) -> np.ndarray:
    """|w_g|₂ of each row or column      w (O, C, …)   norms (O,) for "rows", (C,) for "columns"

    Sums round differently from machine to machine, so they go through the grid before they change weights.
    """
    each = w.reshape(*w.shape[:2], -1)
    squares = np.einsum(each, [0, 1, 2], each, [0, 1, 2], [AXES[as_choice(groups, "groups", AXES)]])
    return to_grid(np.sqrt(squares), grid)


def proximal_step(w: np.ndarray, threshold: float, groups: str, grid: float = 0.0) -> np.ndarray:
    """w_g max(0, 1 - threshold / |w_g|₂) for each row or column g      w (O, C, …)"""
    norms = group_norms(w, groups, grid)
    factors = np.zeros_like(norms)
    left = norms > as_number(threshold, "threshold", 0)
    factors[left] = 1 - w.dtype.type(threshold) / norms[left]
    return w * np.expand_dims(factors, [i for i in range(w.ndim) if i != AXES[groups]])


class GroupLasso(Parametrization):
    """w = x, and after each step of the optimizer a proximal step for every kind of group in turn."""

    strength: float
    groups: list[str]
    optimizer: Optimizer | None = None  # whose learning rate and grid are those of the step

    def __init__(self, strength: float, groups: Iterable[str]) -> None:
        self.strength, self.groups = as_number(strength, "strength", 0), list(groups)
        self.validate()

    def project(self, data: np.ndarray) -> np.ndarray:
        if self.optimizer is None or data.base is not self.optimizer.vector:
            raise StateError("a group lasso follows one optimizer, and its parameter now has another. Hint: "
                             "group_lasso(optimizer, …) for the new one, or parameter.bake() to go on without.")
        for groups in self.groups:
            data = proximal_step(data, self.optimizer.lr * self.strength, groups, self.optimizer.grid)
        return data

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        return None, [], keep  # nothing of it is left in a finished model

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 2:
            raise ShapeError(f"a weight of shape {shape} has no rows and columns; allowed: (O, C, …).")
        return shape

    def validate(self) -> None:
        as_number(self.strength, "strength", 0)
        for name in self.groups:
            as_choice(name, "groups", AXES)


def group_lasso(optimizer: Optimizer, parameters: Iterable[Parameter], strength: float,
                groups: str | Iterable[str] = "columns") -> None:
    """Let a proximal step follow every step of the optimizer, until the parameters are frozen, baked or cut.

    groups: "rows" (incoming weights, filters), "columns" (outgoing weights, input channels), or both.
    Raises StateError where a parameter is not the optimizer's or has parametrizations that are not a group lasso.
    """
    parameters, lasso = list(parameters), GroupLasso(strength, [groups] if isinstance(groups, str) else groups)
    lasso.optimizer = optimizer
    for p in parameters:
        if not any(p is own for own in optimizer.parameters):
            raise StateError("a parameter is not one of the optimizer's. Hint: build the optimizer first.")
        if not all(isinstance(old, GroupLasso) for old in p.parametrizations):
            raise StateError("a parameter with a mask or another map cannot have a group lasso, which must own the "
                             "data. Hint: parameter.bake().")
        lasso.check(p.shape)
    for p in parameters:
        p.parametrizations[:] = [lasso]  # the data stay where the optimizer has them
