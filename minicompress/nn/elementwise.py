"""Layers that treat every number alike, in arrays of any shape: activations and Dropout."""

from __future__ import annotations

import numpy as np

from ..inputs import as_generator, as_number
from .layers import Layer, Seed


class ReLU(Layer):
    """y = max(x, 0),   dx = dy [y > 0]      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = np.maximum(x, 0)
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (y > 0)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)),   dx = dy y (1 - y)      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = 0.5 + 0.5 * np.tanh(0.5 * x)  # the same function, without overflow
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (y * (1 - y))


class Tanh(Layer):
    """y = tanh(x),   dx = dy (1 - y²)      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = np.tanh(x)
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (1 - y * y)


class Sign(Layer):
    """y = +1 where x ≥ 0, else -1;   dx = dy [|x| ≤ 1]      any shape   saved: x

    The derivative is zero almost everywhere; the straight-through rule replaces it by that of the hard tanh
    (Hubara et al. 2016, "Binarized Neural Networks", eq. 4).
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x)
        return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (x,) = self.recall()
        return dy * (np.abs(x) <= 1)


class Dropout(Layer):
    """y = x ∘ m / (1 - p),  m ~ Bernoulli(1 - p) in training;   y = x in evaluation      any shape   saved: m / (1 - p)

    Each layer draws from its own generator (Srivastava et al. 2014, section 10, the scaling at training time).
    Raises RangeError unless 0 ≤ p < 1.
    """

    p: float
    rng: np.random.Generator

    def __init__(self, p: float, *, rng: Seed) -> None:
        self.p, self.rng = as_number(p, "p", 0, below=1), as_generator(rng)

    def forward(self, x: np.ndarray) -> np.ndarray:
        if not self.training:
            self.save(x.dtype.type(1))
            return x
        chance = self.rng.random(x.shape[::-1]).T  # drawn in memory order: the batch is innermost
        factor = (chance >= self.p) * x.dtype.type(1 / (1 - self.p))
        self.save(factor)
        return x * factor

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (factor,) = self.recall()
        return dy * factor

    def validate(self) -> None:
        as_number(self.p, "p", 0, below=1)
