"""Lecture 02: the mask, by which a pruned weight stays away.

    w = m ∘ x,   dx = m ∘ dw      m in {0, 1}, of the weight's shape

A mask is a parametrization, so a pruned weight is zero in every forward pass, whatever the optimizer does to x. A
finished network stores the survivors (m = 1) alone:

    w[m] = x,   w = 0 elsewhere,   dx = dw[m]      x (number of survivors,)

Not here: which weights to remove (magnitude.py), and any speed. Zeros are still multiplied.
"""

from __future__ import annotations

import warnings

import numpy as np

from ..errors import DTypeError, ShapeError
from ..nn import Parameter, Parametrization
from ..nn.parameter import Frozen


class Mask(Parametrization):
    """The base of Masked, for training, and Scatter, its finished form; the mask is an array of bool."""

    mask: np.ndarray

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = np.array(mask)
        self.validate()

    def validate(self) -> None:
        if self.mask.dtype != bool:
            raise DTypeError(f"a mask has dtype {self.mask.dtype}; allowed: bool. Hint: mask != 0.")


class Masked(Mask):
    """w = m ∘ x,   dx = m ∘ dw      x, w: the mask's shape"""

    def forward(self, data: np.ndarray) -> np.ndarray:
        return self.mask * data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.mask * dw

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        if keep is None:
            return None, [Scatter(self.mask)], self.mask
        return None, [Scatter(self.mask[keep])], self.mask & keep

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.mask.shape:
            raise ShapeError(f"a mask of shape {self.mask.shape} meets a weight of shape {shape}; allowed: the same.")
        return shape


class Scatter(Mask):
    """w[m] = x, zero elsewhere;   dx = dw[m]      x (number of survivors,)   w: the mask's shape"""

    def forward(self, data: np.ndarray) -> np.ndarray:
        w = np.zeros(self.mask.shape, data.dtype)
        w[self.mask] = data
        return w

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return dw[self.mask]

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        if keep is None:
            return None, [self], None
        inside = self.mask[keep]
        return None, [] if inside.all() else [Scatter(inside)], keep[self.mask]

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        survivors = int(np.count_nonzero(self.mask))
        if shape != (survivors,):
            raise ShapeError(f"a mask of {survivors} survivors meets numbers of shape {shape}; allowed: as many.")
        return self.mask.shape


def apply_mask(parameter: Parameter, mask: np.ndarray) -> None:
    """Let `mask` act on the weight, together with a mask that is there already.

    A first mask starts a new optimisation, so optimizers must be built anew; an all-true one changes nothing. A mask
    that is there is tightened in place, and a training under way goes on. Warns where a weight loses all its entries.
    """
    Masked(mask).check(parameter.shape)
    last = parameter.parametrizations[-1] if parameter.parametrizations else None
    if isinstance(last, Masked):
        mask = last.mask = last.mask & mask
    elif not mask.all():
        parameter.become(parameter.data, [*parameter.parametrizations, Masked(mask)])
    if not mask.any():
        warnings.warn(f"a weight of shape {mask.shape} lost all its entries: nothing passes this layer any more. "
                      f"Hint: min_keep.", stacklevel=3)
