"""Lecture 04: how important is a unit? One score for each, the higher the more important.

    from the weights   norm |w|₁ or |w|₂ of the incoming or the outgoing weights, |γ| of batch norm, ½ Σ h w² (OBD)
    from the data      how often a is not zero (1 - APoZ), mean a, and |a dE/da|: what closing it would change

a (N, C) or (N, C, H, W) are outputs of the units, da = dE/da those of the loss. `observe` gets both from a network.

Not here: how units depend on each other. Each score is about one unit while all others stay.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_choice, as_integer
from ..nn import BatchNorm, Gate, Layer, Loss, Sequential, cross_entropy
from ..nn.evaluation import as_samples
from .channels import Stateless

PASSING = Stateless | BatchNorm | Gate


def incoming_norm(W: np.ndarray, order: int = 1) -> np.ndarray:
    """s_o = Σ |W[o, …]|, or its Euclidean norm with order 2      W (O, …)   s (O,)   (Li et al. 2017, section 3.1)"""
    return norm(as_array(W, "W", (None, ...)).reshape(len(W), -1), order)


def outgoing_norm(W: np.ndarray, units: int, order: int = 1) -> np.ndarray:
    """s_c = Σ |W[:, c, …]|      W (O, C, …) of the next layer; a Linear behind Flatten has H W columns a unit

    Raises ShapeError where the columns are not a multiple of the units.
    """
    W = as_array(W, "W", (None, None, ...))
    if W.shape[1] % as_integer(units, "units", 1):
        raise ShapeError(f"W has shape {W.shape} for {units} units; allowed: a multiple of them in axis 1.")
    return norm(W.reshape(len(W), units, -1).swapaxes(0, 1).reshape(units, -1), order)


def norm(rows: np.ndarray, order: int) -> np.ndarray:
    """The L1 or L2 norm of each row."""
    squares: np.ndarray = np.abs(rows).sum(1) if as_integer(order, "order", 1, 2) == 1 else np.square(rows).sum(1)
    return squares if order == 1 else np.sqrt(squares)


def batch_norm_scale(gamma: np.ndarray) -> np.ndarray:
    """s_c = |γ_c|      γ (C,), trained with an L1 penalty (Liu et al. 2017, network slimming, section 3)"""
    return np.abs(as_array(gamma, "gamma", (None,)))


def summed_saliency(W: np.ndarray, h: np.ndarray) -> np.ndarray:
    """s_o = ½ Σ h w² over the weights of a unit      W, h (O, …): OBD's saliencies (lecture 03) summed"""
    W = as_array(W, "W", (None, ...))
    return (as_array(h, "h", W.shape) * W * W / 2).reshape(len(W), -1).sum(1)


def by_unit(a: np.ndarray) -> np.ndarray:
    """(C, N H W): all outputs of each unit.   Raises ShapeError."""
    a = as_array(a, "a", (None, None, ...))
    return a.swapaxes(0, 1).reshape(a.shape[1], -1)


def apoz(a: np.ndarray) -> np.ndarray:
    """The average percentage of zeros of each unit, as a fraction (Hu et al. 2016): high is *un*important."""
    return np.mean(by_unit(a) == 0, axis=1)


def frequency(a: np.ndarray) -> np.ndarray:
    """1 - APoZ: how often a unit's output is not zero."""
    return np.mean(by_unit(a) != 0, axis=1)


def mean_activation(a: np.ndarray) -> np.ndarray:
    """s_c = mean of a (Molchanov et al. 2017, section 2.2)"""
    return np.mean(by_unit(a), axis=1)


def taylor(a: np.ndarray, da: np.ndarray) -> np.ndarray:
    """s_c = mean_n |mean_hw a dE/da|: what a = 0 changes, to first order (Molchanov et al. 2017, section 2.2)

    a, da (N, C) or (N, C, H, W)
    """
    a = as_array(a, "a", (None, None, ...))
    products = a * as_array(da, "da", a.shape)
    return np.abs(products.reshape(*a.shape[:2], -1).mean(2)).mean(0)


def gate_taylor(g: np.ndarray, dg: np.ndarray) -> np.ndarray:
    """s_c = |g_c dg_c|: the same through a Gate, whose gradient is the sum of a dE/da over samples and places

    Effects of opposite sign cancel between samples here, in `taylor` they do not.
    """
    g = as_array(g, "g", (None,))
    return np.abs(g * as_array(dg, "dg", g.shape))


def comparable(scores: np.ndarray) -> np.ndarray:
    """s / |s|₂ over a layer, for one ranking of all layers (Molchanov et al. 2017, section 2.2); zeros stay"""
    scores = as_array(scores, "scores", (None,))
    length = np.sqrt(np.square(scores).sum())
    return scores / length if length else scores


class Activity(NamedTuple):
    """What a layer gave for N samples, and the gradient of each sample's own loss with respect to it."""

    a: np.ndarray
    da: np.ndarray


class Probe(Layer):
    """y = x, and remembers dy.   saved: x"""

    gradient: np.ndarray | None = None

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.recall()
        self.gradient = dy
        return dy


def observe(model: Layer, layer: str, samples: Any, loss: Loss = cross_entropy) -> Activity:
    """What the layer at a path, such as "layers.0", gave, and the loss's gradients there, in evaluation mode.

    In a Sequential: as the next layer with weights reads it, behind batch norm, activation and pooling. Works on a copy
    of the model, all samples at once: a thousand are enough for a ranking. Raises RangeError for a path that is none or
    not in a list (a Sequential's, a Concat's), besides what the layers raise.
    """
    paths = [path for path, node in model.walk() if isinstance(node, Layer) and path.split(".")[-1].isdigit()]
    *way, name, number = as_choice(layer, "layer", paths).split(".")
    x, target = as_samples(samples, "x")
    twin, probe, place = copy.deepcopy(model), Probe(), int(number)
    parent = dict(twin.walk())[".".join(way)]
    siblings: list[Layer] = getattr(parent, name)
    if isinstance(parent, Sequential):
        place = next((i for i in range(place, len(siblings) - 1) if not isinstance(siblings[i + 1], PASSING)),
                     len(siblings) - 1)
    siblings[place] = Sequential([siblings[place], probe])
    twin.train(False)
    _, dy = loss(twin.forward(x), target)
    twin.backward(dy)
    if probe.gradient is None:
        raise RangeError(f"the layer {layer!r} did not run; allowed: one in force, not a Switch's other one.")
    return Activity(probe.saved[0], probe.gradient * x.dtype.type(len(x)))
