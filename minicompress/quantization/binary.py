"""Lecture 12: binary weights. Can a network be trained whose weights are +α or -α, one bit each?

    w = α sign x,   sign 0 = +1      x: real weights, which are kept and trained   w, x: one shape
    dx = dw                          straight through: the gradient at the corner w moves the point x
    x ← clip(x, -H, H)               after every step: beyond H a weight could not come back in time

A step of training is far too small to turn +α into -α. The real weights add the steps up, and a sign flips once they
have crossed zero. α is H itself, or the best α for each layer or output channel; or signs are drawn at random,
with the mean x.

Sources: Courbariaux, Bengio & David, "BinaryConnect", NIPS 2015, section 2 and their code (H and its use); Rastegari,
Ordonez, Redmon & Farhadi, "XNOR-Net", ECCV 2016, section 3.1 (α). Binary activations are `nn.Sign` (Hubara et al.
2016). Not here: products with packed bits (packed.py); scaled activations; ternary weights, an exercise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..errors import DTypeError, RangeError, ShapeError, StateError
from ..inputs import as_choice, as_generator, as_number
from ..nn import Parameter, Parametrization
from ..nn.grid import few_bits
from ..nn.layers import Seed
from ..nn.parameter import Frozen
from .sharing import Codebook
from .uniform import Scaled, Uniform

BITS = 8  # of α and H: sums of ± α over signs or few levels are then exact, in any order
SCALES = ["layer", "channel"]


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """σ(x) = clip((x + 1) / 2, 0, 1)      (BinaryConnect, eq. 3)"""
    return np.clip((x + 1) / 2, 0, 1)


def best_scale(w: np.ndarray, scale: str = "layer") -> np.ndarray:
    """α = mean |w|, the minimum of Σ (w - α b)² over α and over signs b = sign w (XNOR-Net, eq. 4-6)      w (O, …)

    α (1,) for the whole layer, (O,) for each output channel, the first axis.
    """
    return np.abs(w).reshape(1 if as_choice(scale, "scale", SCALES) == "layer" else len(w), -1).mean(1)


def glorot_limit(shape: tuple[int, ...]) -> float:
    """H = sqrt(1.5 / (in + out)), half of Glorot's limit, in few bits      shape (O, C) or (O, C, k, k) (their code)"""
    return float(few_bits(math.sqrt(1.5 / (math.prod(shape[1:]) + shape[0] * math.prod(shape[2:]))), BITS))


class Binary(Parametrization):
    """w = α sign x,   dx = dw,   x in [-H, H]      x, w (O, …)   H: limit

    scale None: α = H. "layer", "channel": α = mean |x| in few bits, which no gradient passes (that would add terms
    of the order 1 / n). rng: stochastic, w = ± H drawn once a step with P(+H) = σ(x / H), so that E w = x (eq. 2); in
    evaluation w = x, which of three ways is the paper's choice (section 2.6).

    Must stand first in a chain: after a mask it would turn the zeros into +α.   Raises RangeError, ShapeError.
    """

    scale: str | None
    limit: float
    rng: np.random.Generator | None
    drawn: np.ndarray | None = None  # where this step's draw is +H

    def __init__(self, scale: str | None = None, *, limit: float = 1.0, rng: Seed | None = None) -> None:
        self.scale, self.limit = scale, as_number(limit, "limit", above=0)
        self.rng = None if rng is None else as_generator(rng)
        if scale is not None:
            as_choice(scale, "scale", SCALES)
        if scale is not None and rng is not None:
            raise RangeError(f"a stochastic binary weight got scale {scale!r}; allowed: None. Its mean must be x.")

    def alpha(self, x: np.ndarray) -> np.ndarray:
        """α in the dtype of x      (1,) or (O,)"""
        alpha = np.array([self.limit]) if self.scale is None else few_bits(best_scale(x, self.scale), BITS)
        return alpha.astype(x.dtype)

    def forward(self, data: np.ndarray) -> np.ndarray:
        if self.rng is None:
            alpha = self.alpha(data).reshape((-1,) + (1,) * (data.ndim - 1))
            return np.copysign(alpha, data + 0)  # + 0 makes -0.0 to 0.0, whose sign is +
        if not self.training:
            return data
        if self.drawn is None:
            self.drawn = self.rng.random(data.shape, data.dtype) < hard_sigmoid(data / self.limit)
        return np.where(self.drawn, data.dtype.type(self.limit), data.dtype.type(-self.limit))

    def project(self, data: np.ndarray) -> np.ndarray:
        return np.clip(data, -self.limit, self.limit)

    def renew(self) -> None:
        self.drawn = None

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        if self.rng is not None:
            return (data if keep is None else data[keep]), [], None
        alpha = self.alpha(data)
        _, chain, _ = Signed(data >= 0, np.full(len(alpha), data.size // len(alpha))).freeze(alpha, keep)
        return alpha, chain, None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 2 and self.scale == "channel":
            raise ShapeError(f"one scale a channel meets a weight of shape {shape}; allowed: (O, …), two axes or more.")
        return shape


class Signed(Parametrization):
    """w = ± αⱼ,   dαⱼ = Σ ± dw      α (J,), each for the next counts[j] of the bits, in C order   w: the bits' shape

    The finished form of Binary: one bit a weight. Raises DTypeError, ShapeError where bits and counts do not fit.
    """

    bits: np.ndarray
    counts: np.ndarray

    def __init__(self, bits: np.ndarray, counts: np.ndarray) -> None:
        self.bits, self.counts = np.array(bits), np.array(counts).astype(np.uint32)
        self.validate()

    def groups(self) -> np.ndarray:
        """The j of every bit."""
        return np.repeat(np.arange(len(self.counts)), self.counts).reshape(self.bits.shape)

    def forward(self, data: np.ndarray) -> np.ndarray:
        w = np.repeat(data, self.counts).reshape(self.bits.shape)
        return np.where(self.bits, w, -w)

    def backward(self, dw: np.ndarray) -> np.ndarray:
        signed = np.where(self.bits, dw, -dw)
        return np.bincount(self.groups().ravel(), signed.ravel(), len(self.counts))

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        if keep is None:
            return None, [self], None
        return None, [Signed(self.bits[keep], np.bincount(self.groups()[keep], minlength=len(self.counts)))], None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.counts.shape:
            raise ShapeError(f"{len(self.counts)} groups of signs meet scales of shape {shape}; allowed: one each.")
        return self.bits.shape

    def validate(self) -> None:
        if self.bits.dtype != bool or self.counts.dtype != np.uint32:
            raise DTypeError(f"signs are {self.bits.dtype}, their counts {self.counts.dtype}; allowed: bool, uint32.")
        if self.counts.ndim != 1 or int(self.counts.sum(dtype=np.uint64)) != self.bits.size:
            raise ShapeError(f"{self.bits.size} signs meet counts of shape {self.counts.shape} with the sum "
                             f"{self.counts.sum()}; allowed: (J,), as many.")


def binarize(weights: Iterable[Parameter], scale: str | None = None, *, rng: Seed | None = None) -> None:
    """Give each weight a Binary with Glorot's H, its numbers shrunk so that the largest is H. Masks stay outside.

    Clipping at H with weights ± H is the paper's scaling of learning rates: in units of H, Adam's step lr becomes
    lr / H (section 2.5). Optimizers must be built anew; every draw is from the one generator `rng`.
    Raises, nothing changed, StateError for weights with levels already, RangeError, ShapeError.
    """
    rng = None if rng is None else as_generator(rng)
    new = []
    for weight in weights:
        if any(isinstance(each, (Binary, Signed, Uniform, Scaled, Codebook)) for each in weight.parametrizations):
            raise StateError("a weight has signs, a grid or a codebook already; allowed: one of them. "
                             "Hint: parameter.bake() first.")
        limit = glorot_limit(weight.shape)
        largest = np.abs(weight.data).max(initial=0)
        x = weight.data * weight.data.dtype.type(limit / largest if largest else 1)
        new.append((weight, x, Binary(scale, limit=limit, rng=rng)))
        new[-1][-1].check(x.shape)
    for weight, x, binary in new:
        weight.become(x, [binary, *weight.parametrizations])
