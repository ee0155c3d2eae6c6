"""Lecture 09: weights on a uniform grid. How many bits does a weight need, and does training help?

    training   w = s (clip(round(x / s) + z, 0, top) - z),   dx = dw where x is inside the range, else 0     Uniform
    finished   w = s (q - z),   ds = Σ dw (q - z)                                                            Scaled

The derivative of rounding is zero almost everywhere. The straight-through rule takes it to be that of clipping: 1
inside, 0 outside (Bengio, Léonard & Courville 2013, arXiv:1308.3432; Krishnamoorthi 2018, section 2.4).
x are real numbers that collect small steps; the network only ever sees w. Quantization after training is `quantize`;
quantization-aware training is `quantize`, then training on with a new optimizer. Freezing keeps codes and scales.

Difference from Jacob et al. 2018, section 3.1: the range stays as it was calibrated while the weights are trained.

Not here: activations (integer.py), scales that are learned during training (an exercise).
"""

from __future__ import annotations

import numpy as np

from ..errors import DTypeError, RangeError, ShapeError, StateError
from ..inputs import as_array, as_integer
from ..nn.parameter import Frozen, Parameter, Parametrization
from ..pruning.masks import Scatter
from .quantizer import Quantizer, calibrated
from .sharing import Codebook


class Uniform(Parametrization):
    """w = s (clip(round(x / s) + z, 0, top) - z),   dx = dw [inside]      scale, zero: (1,) or (C,)   x, w (C, …)

    Freezes to Scaled; where most weights are zero, pruned or rounded, they go too: [Scaled, Scatter].
    Raises ShapeError, RangeError for a quantizer that does not fit.
    """

    scale: np.ndarray
    zero: np.ndarray
    top: int
    inside: np.ndarray = np.empty(0, bool)  # where the last forward did not clip

    def __init__(self, scale: np.ndarray, zero: np.ndarray, top: int) -> None:
        self.scale, self.zero, self.top = np.array(scale), np.array(zero), top
        self.validate()

    @property
    def quantizer(self) -> Quantizer:
        return Quantizer(self.scale, self.zero, self.top)

    def forward(self, data: np.ndarray) -> np.ndarray:
        nearest = self.quantizer.nearest(data)
        self.inside = (nearest >= 0) & (nearest <= self.top)
        return self.quantizer.decode(np.clip(nearest, 0, self.top), data.dtype)

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return dw * self.inside

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        codes, outside = self.quantizer.encode(data), []
        kept = codes != np.reshape(self.zero, (-1,) + (1,) * (data.ndim - 1))
        if keep is None and 2 * np.count_nonzero(kept) < kept.size:
            keep, outside = kept, [Scatter(kept)]
        full = np.ones(codes.shape, bool) if keep is None else keep
        counts = full.reshape(len(self.scale), -1).sum(1, dtype=np.uint32)
        zero = self.zero.astype(np.uint16)
        stored = Scaled(codes if keep is None else codes[keep], zero, counts)
        return self.scale.astype(data.dtype), [stored, *outside], None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape or len(self.scale) not in (1, shape[0]):
            raise ShapeError(f"{len(self.scale)} scales meet a weight of shape {shape}; allowed: one, or one for each "
                             f"entry of its first axis.")
        return shape

    def validate(self) -> None:
        as_array(self.scale, "scale", (None,)), as_integer(self.top, "top", 1, 2**16 - 1)
        if self.zero.shape != self.scale.shape or self.zero.dtype.kind not in "iu":
            raise ShapeError(f"zero points are {self.zero.dtype} {self.zero.shape} for scales {self.scale.shape}; "
                             f"allowed: integers, one for each scale.")
        if not ((self.scale > 0).all() and (self.zero >= 0).all() and (self.zero <= self.top).all()):
            raise RangeError(f"a quantizer has a scale ≤ 0 or a zero point outside of 0 .. {self.top}.")


class Scaled(Parametrization):
    """w = s (q - z),   ds = Σ dw (q - z)      s, zero, counts (C,)   codes q, w: any shape

    The first counts[0] codes, in their order in memory, belong to s[0], the next counts[1] to s[1], and so on: so the
    survivors of a mask need not say to which channel they belong.   Raises DTypeError, ShapeError.
    """

    codes: np.ndarray
    zero: np.ndarray
    counts: np.ndarray

    def __init__(self, codes: np.ndarray, zero: np.ndarray, counts: np.ndarray) -> None:
        self.codes, self.zero, self.counts = np.asarray(codes), np.asarray(zero), np.asarray(counts)
        self.validate()

    def steps(self, dtype: np.dtype) -> np.ndarray:
        """q - z as floats, in the shape of the codes."""
        return self.codes.astype(dtype) - self.spread(self.zero.astype(dtype))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """values (C,) for each code."""
        return np.repeat(values, self.counts).reshape(self.codes.shape)

    def forward(self, data: np.ndarray) -> np.ndarray:
        w: np.ndarray = self.steps(data.dtype) * self.spread(data)
        return w

    def backward(self, dw: np.ndarray) -> np.ndarray:
        channel = self.spread(np.arange(len(self.counts)))
        return np.bincount(channel.ravel(), (dw * self.steps(dw.dtype)).ravel(), len(self.counts))

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        if keep is None:
            return None, [self], None
        counts = np.bincount(self.spread(np.arange(len(self.counts)))[keep], minlength=len(self.counts))
        return None, [Scaled(self.codes[keep], self.zero, counts.astype(np.uint32))], None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.counts.shape:
            raise ShapeError(f"scales of shape {shape} meet {len(self.counts)} counts; allowed: one each.")
        return self.codes.shape

    def validate(self) -> None:
        for name, values in (("codes", self.codes), ("zero points", self.zero), ("counts", self.counts)):
            if values.dtype.kind != "u" or values.dtype.itemsize > 4:
                raise DTypeError(f"{name} are {values.dtype}; allowed: uint8 to uint32. Hint: astype('uint8').")
        total = int(self.counts.sum(dtype=np.uint64))
        if self.zero.shape != self.counts.shape or self.zero.ndim != 1 or total != self.codes.size:
            raise ShapeError(f"{self.zero.shape} zero points and {self.counts.shape} counts, in total {total}, meet "
                             f"{self.codes.size} codes; allowed: (C,) both, and as many codes as counted.")


def quantize(parameter: Parameter, bits: int, *, symmetric: bool = True, per_channel: bool = False,
             method: str = "min-max", keep: float = 0.99) -> None:
    """Let a parameter's weight have `bits` bits, on a grid calibrated on what it is now (see `calibrated`).

    The real numbers stay behind the grid, to be trained on with a new optimizer, or frozen. A mask that is there keeps
    its zeros. Signs that are there (`binarize`) stay, ± α on the grid; the other order is refused by `binarize`.
    Raises StateError where the weight is on a grid already, and what `calibrated` raises.
    """
    if any(isinstance(each, (Uniform, Scaled, Codebook)) for each in parameter.parametrizations):
        raise StateError("the weight is quantized already; allowed: once. Hint: parameter.bake() first.")
    grid = calibrated(parameter.forward(), bits, symmetric=symmetric, per_channel=per_channel, method=method, keep=keep)
    parameter.become(parameter.data, [*parameter.parametrizations, Uniform(*grid)])


def quantizer_of(parameter: Parameter) -> Quantizer | None:
    """The grid on which a quantized weight lies, also after freezing; None where there is none."""
    for each in parameter.parametrizations:
        if isinstance(each, Uniform):
            return each.quantizer
        if isinstance(each, Scaled):
            return Quantizer(parameter.data, each.zero, int(max(each.codes.max(initial=1), each.zero.max(initial=0))))
    return None
