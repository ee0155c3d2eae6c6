"""Lecture 06: a lottery ticket taken apart. Which weights are kept, where do they start, what are the others?

    w = m ∘ x + (1 - m) ∘ v      m: the mask   x: trained, from a chosen start   v: fixed

A ticket (tickets.py) keeps what ends large, starts it where it started before, and has v = 0. Zhou et al. vary the
three choices one at a time; each function below sees one layer's weights before and after training, i and f:

    mask criterion   (i, f) → scores; the largest of each layer are kept     CRITERIA   section 2
    mask-0 action    (i, f) → v, the pruned weights                          PRUNED     section 4
    mask-1 action    (i, f, m, rng) → the start of the kept weights          KEPT       section 3

Source: Zhou, Lan, Liu & Yosinski, "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask", NeurIPS 2019;
where the text leaves something open, their code. Not here: the experiments (trials.py), masks on untrained networks
(supermask.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import ShapeError
from ..inputs import as_generator
from ..nn import Parametrization
from ..nn.grid import few_bits
from ..nn.layers import Seed
from ..nn.parameter import Frozen
from .tickets import Criterion, Keep, large_final, rewind

Values = Callable[[np.ndarray, np.ndarray], np.ndarray]


def magnitude_increase(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    """|f| - |i|"""
    return np.abs(final) - np.abs(initial)


def ranks(x: np.ndarray) -> np.ndarray:
    """size - 1 for the largest entry … 0 for the smallest      any shape; of equal ones the lower index ranks higher"""
    result = np.empty(x.size, np.int64)
    result[np.argsort(-x.ravel(), kind="stable")] = np.arange(x.size)[::-1]
    return result.reshape(x.shape)


def both(one: Criterion, other: Criterion) -> Criterion:
    """The lower of two ranks: what is kept is above both thresholds, which cut off equal shares (as in their code)."""
    return lambda i, f: np.minimum(ranks(one(i, f)), ranks(other(i, f)))


def by_sign(criterion: Criterion, same: bool) -> Criterion:
    """The criterion, but weights whose sign is the `same` (or not) as before training come ahead of all others."""
    def scores(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
        ahead = (np.sign(initial) == np.sign(final)) == same
        return ranks(criterion(initial, final)) + initial.size * ahead
    return scores


def at_random(rng: Seed) -> Criterion:
    """A criterion that looks at nothing."""
    generator = as_generator(rng)
    return lambda initial, final: generator.random(initial.shape)


CRITERIA: dict[str, Criterion] = {
    "large final": large_final,
    "small final": lambda i, f: -np.abs(f),
    "large init": lambda i, f: np.abs(i),
    "small init": lambda i, f: -np.abs(i),
    "magnitude increase": magnitude_increase,
    "movement": lambda i, f: np.abs(f - i),
}
CRITERIA |= {
    "large init and final": both(CRITERIA["large init"], large_final),
    "small init and final": both(CRITERIA["small init"], CRITERIA["small final"]),
    "large final, same sign": by_sign(large_final, True),
    "large final, other sign": by_sign(large_final, False),
    "magnitude increase, same sign": by_sign(magnitude_increase, True),
    "magnitude increase, other sign": by_sign(magnitude_increase, False),
}


def grown(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    """i where training moved the weight away from zero, or not at all; 0 where it moved towards zero (variant 1)"""
    return np.where(np.abs(final) >= np.abs(initial), initial, initial.dtype.type(0))


PRUNED: dict[str, Values] = {
    "zero": lambda i, f: np.zeros_like(i),
    "init": lambda i, f: i,
    "init where grown": grown,
    "init where shrunk": lambda i, f: i - grown(i, f),
}


def signed_constant(initial: np.ndarray) -> np.ndarray:
    """c sign(i),  c: the standard deviation of i, in few bits"""
    return np.sign(initial) * initial.dtype.type(few_bits(initial.std(dtype=np.float64)))


def reinit(initial: np.ndarray, final: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All of i, kept or not, in a random order: a new draw from the same distribution."""
    return rng.permutation(initial.ravel()).reshape(initial.shape)


def reshuffle(initial: np.ndarray, final: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The kept entries of i in a random order."""
    start = initial.copy()
    start[mask] = rng.permutation(initial[mask])
    return start


def constant(initial: np.ndarray, final: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The signed constants in a random order."""
    return reinit(signed_constant(initial), final, mask, rng)


def keep_sign(action: Keep) -> Keep:
    """sign(i) |start|"""
    return lambda i, f, mask, rng: np.sign(i) * np.abs(action(i, f, mask, rng))


KEPT: dict[str, Keep] = {
    "rewind": rewind,
    "re-init": reinit,
    "reshuffle": reshuffle,
    "constant": constant,
    "re-init, same sign": keep_sign(reinit),
    "reshuffle, same sign": keep_sign(reshuffle),
    "constant, same sign": keep_sign(constant),
}


class Held(Parametrization):
    """w = m ∘ x + (1 - m) ∘ v,   dx = m ∘ dw      m, x, v, w: one shape   freezes to w itself

    Raises ShapeError where the shapes differ.
    """

    mask: np.ndarray
    values: np.ndarray

    def __init__(self, mask: np.ndarray, values: np.ndarray) -> None:
        self.mask, self.values = np.array(mask, bool), np.array(values)
        self.check(self.values.shape)

    def forward(self, data: np.ndarray) -> np.ndarray:
        return np.where(self.mask, data, self.values)

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.mask * dw

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        w = self.forward(data)
        return (w if keep is None else w[keep]), [], None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape == self.mask.shape == self.values.shape:
            raise ShapeError(f"a mask of shape {self.mask.shape} and values of shape {self.values.shape} meet a weight "
                             f"of shape {shape}; allowed: the same.")
        return shape
