"""Lecture 02: magnitude pruning. Which weights may go, and how do they stay gone?

    w = m ∘ x,   dx = m ∘ dw      m in {0, 1}, of the weight's shape: the mask

A weight's importance is |w|; the least important ones get mask 0 (Han et al. 2015, "Learning both Weights and
Connections for Efficient Neural Networks", section 3). The mask is a parametrization, so a pruned weight is zero in
every forward pass, whatever the optimizer does. A finished network stores the survivors (m = 1) alone:

    w[m] = x,   w = 0 elsewhere,   dx = dw[m]      x (number of survivors,)

Not here: whole neurons and filters (structured pruning), and any speed. Zeros are still multiplied.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..errors import DTypeError, RangeError, ShapeError
from ..inputs import as_choice, as_fraction, as_integer
from ..nn import Conv2d, Layer, Linear, Parameter, Parametrization, Sequential
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


def keep_largest(scores: np.ndarray, count: int) -> np.ndarray:
    """m = 1 for the `count` largest scores      scores, m: any shape; of equal ones the lower index is kept"""
    count = as_integer(count, "count", 0, scores.size)
    mask = np.zeros(scores.size, bool)
    mask[np.argsort(-scores.ravel(), kind="stable")[:count]] = True
    return mask.reshape(scores.shape)


def kept_count(size: int, sparsity: float) -> int:
    """How many of `size` weights a sparsity in [0, 1] leaves: size - round(sparsity · size)."""
    return size - int(np.rint(as_fraction(sparsity, "sparsity") * size))


def magnitudes(parameter: Parameter) -> np.ndarray:
    """|w|, and -1 where w is pruned already, so that it goes first and never comes back."""
    w = np.abs(parameter.forward())
    for p in parameter.parametrizations:
        if isinstance(p, Mask) and p.mask.shape == w.shape:
            w = np.where(p.mask, w, w.dtype.type(-1))
    return w


def prune(parameters: Iterable[Parameter], sparsity: float | Sequence[float], *, scope: str = "global",
          score: Callable[[Parameter], np.ndarray] = magnitudes, min_keep: int = 0) -> None:
    """Remove the fraction `sparsity` of all weights, those of the lowest score; what is pruned already counts.

    scope "global": one ranking over all parameters. "layerwise": a ranking for each, whose sparsities may be a list.
    min_keep: so many weights stay in every parameter. Counts are exact, ties included. Optimizers must be built anew.
    Raises RangeError for a sparsity outside [0, 1]; warns, naming the shape, where a parameter loses all weights.
    """
    parameters = list(parameters)
    as_choice(scope, "scope", ["global", "layerwise"])
    scores = [score(p) for p in parameters]
    if scope == "layerwise":
        shares = list(sparsity) if isinstance(sparsity, Sequence) else [sparsity] * len(scores)
        if len(shares) != len(scores):
            raise ShapeError(f"there are {len(shares)} sparsities for {len(scores)} parameters; allowed: one each.")
        masks = [keep_largest(s, kept_count(s.size, share)) for s, share in zip(scores, shares, strict=True)]
    elif isinstance(sparsity, Sequence):
        raise RangeError("one sparsity for each parameter needs scope='layerwise'.")
    else:
        joined = np.concatenate([s.ravel() for s in scores])
        mask = keep_largest(joined, kept_count(joined.size, sparsity))
        parts = np.split(mask, np.cumsum([s.size for s in scores])[:-1])
        masks = [part.reshape(s.shape) for part, s in zip(parts, scores, strict=True)]
    for parameter, mask, s in zip(parameters, masks, scores, strict=True):
        if min_keep:
            mask |= keep_largest(s, min(min_keep, s.size))
        apply_mask(parameter, mask)


def apply_mask(parameter: Parameter, mask: np.ndarray) -> None:
    """Let `mask` act on the weight, together with a mask that is there already; an all-true mask changes nothing."""
    if not mask.any():
        warnings.warn(f"a weight of shape {mask.shape} lost all its entries: nothing passes this layer any more. "
                      f"Hint: min_keep.", stacklevel=3)
    chain = list(parameter.parametrizations)
    if chain and isinstance(chain[-1], Masked):
        mask = mask & chain.pop().mask  # type: ignore[attr-defined]
    parameter.become(parameter.data, chain if mask.all() else [*chain, Masked(mask)])


def geometric(final: float, rounds: int) -> list[float]:
    """dᵢ = final^(i / rounds),  i = 1 … rounds: densities that shrink by the same factor down to final."""
    as_integer(rounds, "rounds", 1)
    return [as_fraction(final, "final") ** (i / rounds) for i in range(1, rounds + 1)]


def cubic(final: float, rounds: int) -> list[float]:
    """dᵢ = final + (1 - final) (1 - i / rounds)³: gradual pruning (Zhu & Gupta 2017, eq. 1), as densities."""
    as_integer(rounds, "rounds", 1)
    return [as_fraction(final, "final") + (1 - final) * (1 - i / rounds) ** 3 for i in range(1, rounds + 1)]


def prune_iteratively(parameters: Iterable[Parameter], densities: Iterable[float], retrain: Callable[[], object], *,
                      scope: str = "global") -> Iterator[float]:
    """Prune to each density in turn and retrain (Han et al. 2015, figure 2); yields the density after each round."""
    parameters = list(parameters)
    for density in densities:
        prune(parameters, 1 - as_fraction(density, "density"), scope=scope)
        retrain()
        yield density


def prune_dead_units(model: Layer) -> int:
    """Zero what leads into units that lead nowhere, their biases included, and return how many such units there are.

    A unit none of whose outgoing weights survived can change no output, so neither can its incoming weights and bias
    (Han et al. 2015, section 3.5). Works from the last layer back, so that units silenced on the way are found too; the
    outputs stay equal. Looks at a Sequential only, where each layer reads what the one before it writes; a container
    inside it may read and write in other ways, so that what leads into it stays.
    """
    layers = [layer for layer in model.layers if has_weights(layer)] if isinstance(model, Sequential) else []
    dead = 0
    for layer, following in reversed(list(itertools.pairwise(layers))):
        if not isinstance(layer, (Linear, Conv2d)) or not isinstance(following, (Linear, Conv2d)):
            continue
        w, onward = layer.weight.forward(), following.weight.forward()
        used = np.asarray(onward.reshape(len(onward), len(w), -1).any((0, 2)))
        dead += int(np.count_nonzero(~used))
        if not used.all():
            rows = used.reshape(-1, *(1,) * (w.ndim - 1))
            apply_mask(layer.weight, np.broadcast_to(rows, w.shape).copy())
            if layer.bias is not None:
                apply_mask(layer.bias, used)
    return dead


def has_weights(layer: Layer) -> bool:
    """Whether a layer, or one inside it, is a linear map or a convolution."""
    return any(isinstance(node, (Linear, Conv2d)) for _, node in layer.walk())
