"""Lecture 06: supermasks. How good is a network that is never trained, only masked?

    w = w₀ ∘ m · n / Σm      w₀: untrained weights   m in {0, 1}, n of them   n / Σm: only with dynamic rescaling

The mask comes from a training of other copies (a heuristic of deconstruct.py) or is learned itself, through scores s:

    m ~ Bernoulli(σ(s)),   ds = σ'(s) ∘ dm      the straight-through rule: the draw counts as its probability σ(s)

w₀ are the initial values or signed constants, all of one size in a layer. Biases stay at zero.

Source: Zhou, Lan, Liu & Yosinski 2019, section 5, and their code. Not here: scores ranked instead of drawn
(edge-popup: Ramanujan et al. 2020), an exercise of the lecture; masks that are found without any training.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from ..errors import ShapeError
from ..inputs import as_generator
from ..nn import Layer, Parametrization
from ..nn.grid import few_bits
from ..nn.layers import Seed
from ..nn.parameter import Frozen
from ..pruning.masks import Scatter
from .deconstruct import signed_constant
from .tickets import Criterion, Keep, check_plain, rewind
from .trials import Trial, choose, ticket


def constants(initial: np.ndarray, *_: object) -> np.ndarray:
    """c sign(i), as a mask-1 action."""
    return signed_constant(initial)


WEIGHTS: dict[str, Keep] = {"init": rewind, "signed constant": constants}


class Supermask(Parametrization):
    """w = w₀ ∘ m [· n / Σm],   m ~ Bernoulli(σ(s)),   ds = σ'(s) ∘ dm      s, w₀, m, w: one shape

    In training a mask is drawn once a step. In evaluation, and in what it freezes to, m = [s ≥ 0], the likelier value
    of each; the paper evaluates masks as drawn, for which there is `drawn`. rescale: with the factor n / Σm, of which
    the gradient knows.   Raises ShapeError where scores and weights differ in shape.
    """

    weights: np.ndarray
    rescale: bool
    rng: np.random.Generator
    mask: np.ndarray | None = None
    slope: np.ndarray = np.empty(0)  # σ'(s) at the last forward

    def __init__(self, weights: np.ndarray, *, rng: Seed, rescale: bool = False) -> None:
        self.weights, self.rescale, self.rng = np.array(weights), rescale, as_generator(rng)

    def forward(self, data: np.ndarray) -> np.ndarray:
        if self.mask is None or not self.training:
            p = expit(data)
            self.mask = self.rng.random(p.shape, p.dtype) < p if self.training else data >= 0
            self.slope = p * (1 - p)
        return self.weights * (self.mask * self.scale(self.mask))

    def backward(self, dw: np.ndarray) -> np.ndarray:
        mask = np.ones(dw.shape, bool) if self.mask is None else self.mask
        dm = self.weights * dw
        if self.rescale:  # m is in the factor, too: kept weights compete
            dm -= (mask * dm).sum() / max(int(np.count_nonzero(mask)), 1)
        return self.slope * dm * self.scale(mask)

    def scale(self, mask: np.ndarray) -> np.floating:
        """n / Σm in few bits with dynamic rescaling, else 1."""
        factor = mask.size / max(int(np.count_nonzero(mask)), 1) if self.rescale else 1.0
        return self.weights.dtype.type(few_bits(factor))

    def renew(self) -> None:
        self.mask = None

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        mask = data >= 0
        w = self.weights * (mask * self.scale(mask))
        return (w[mask], [Scatter(mask)], None) if keep is None else (w[keep], [], None)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.weights.shape:
            raise ShapeError(f"scores of shape {shape} meet weights of shape {self.weights.shape}; allowed: the same.")
        return shape


def hide(model: Layer, *, rng: Seed, constant: bool = False, rescale: bool = False) -> Layer:
    """A copy of the untrained model, of whose weights masks decide: what is trained, in `weights()`, are scores, all 0.

    constant: signed constants instead of the initial weights. Every mask draws from the one generator `rng`.
    Raises StateError for weights that are not plain, such as those of a network that is hidden already.
    """
    check_plain(model)
    model, rng = copy.deepcopy(model), as_generator(rng)
    for weight in model.weights():
        w = weight.forward()
        weights = signed_constant(w) if constant else w
        weight.become(np.zeros_like(w), [Supermask(weights, rng=rng, rescale=rescale)])
    return model


def drawn(model: Layer, rng: Seed) -> Layer:
    """A copy whose masks are drawn once and stay: a plain network, as the paper evaluates it."""
    model, rng = copy.deepcopy(model), as_generator(rng)
    model.train()
    for weight in model.weights():
        for map_ in weight.parametrizations:
            if isinstance(map_, Supermask):
                map_.rng = rng
        weight.bake()
    return model


def masked_only(trial: Trial, criterion: Criterion, densities: Sequence[float], weights: Keep = rewind) -> Layer:
    """The untrained network under a heuristic mask: a ticket that is not trained again."""
    return ticket(trial, choose(trial, criterion, densities), weights)
