"""Lecture 03: how curved is the loss along each weight? The diagonal of the Hessian, in one pass back.

    h_w = ∂²E/∂w²,  h_x = ∂²E/∂x²,  h_y = ∂²E/∂y²      elementwise: h_w (out, in) as W, h_x as x, h_y as y

    linear map     y = x Wᵀ + b     h_w = h_yᵀ (x ∘ x),   h_b = Σ_n h_y,   h_x = h_y (W ∘ W)
    any linear     y = J x          h_x = (J ∘ J)ᵀ h_y
    elementwise    y = f(x)         h_x = f'(x)² ∘ h_y + f''(x) ∘ dy       dy = ∂E/∂y

LeCun, Denker & Solla 1990, "Optimal Brain Damage", section 2.1; the sign of f'' as in LeCun, Bottou, Bengio & Haffner
1998, appendix C. Without the term in f'' it is the Gauss-Newton form: never negative, and no dy is needed.

Exact for a last linear map, and for the one before it where every output has a loss of its own (mean squared error).
Elsewhere it leaves out mixed derivatives ∂²E/∂yᵢ∂yⱼ: in front of a second hidden layer or of softmax, where the ways of
a Residual meet, and between the places that share one weight, as in a convolution.

A function over layers, which reads what they saved. A layer of yours needs a rule: @curvature.back.register.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn
from ..errors import RangeError
from ..inputs import as_array, as_integer
from ..nn.evaluation import Samples, as_samples
from ..nn.parameter import Parameter

Diagonal = dict[Parameter, np.ndarray]  # parameter → h_w, of its weight's shape
Derivatives = list[np.ndarray]  # what goes back: [h_y, dy], or [h_y] in the Gauss-Newton form


def mean_squared_error(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """h_y = 2 / N      y (N, C)"""
    return np.full_like(y, 2 / len(y))


def cross_entropy(z: np.ndarray, target: np.ndarray) -> np.ndarray:
    """h_z = p (1 - p) Σ_c t_nc / N,  p = softmax(z)      z (N, C)   target: labels (N,), or distributions t (N, C)"""
    p, mass = nn.softmax(z), target.sum(1, keepdims=True) if target.ndim == 2 else 1
    return p * (1 - p) * mass / z.dtype.type(len(z))


def squared_hinge(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """h_z = 2 / N inside the margin, where the gradient is not zero; else 0      z (N, C)   labels (N,)"""
    return (nn.squared_hinge(z, labels)[1] != 0) * z.dtype.type(2 / len(z))


LOSSES: dict[nn.Loss, Callable[[Any, Any], np.ndarray]] = {
    nn.mean_squared_error: mean_squared_error,
    nn.cross_entropy: cross_entropy,
    nn.squared_hinge: squared_hinge,
}


def curvature(model: nn.Layer, loss: nn.Loss, samples: Samples, *, second_derivative: bool = True,
              batch: int = 1000) -> Diagonal:
    """Parameter → h_w = ∂²E/∂w² for the loss E over the samples (x, target), in the order of model.parameters()

    w is the weight, parameter.forward(), also where it is pruned or shared. Computed in evaluation mode, batch by
    batch; no gradient is touched. second_derivative=False: the Gauss-Newton form, for ReLU networks the same.
    Raises RangeError for a layer or a loss without a rule, besides what as_array, the loss and the layers raise.
    """
    if loss not in LOSSES:
        raise RangeError(f"the curvature of the loss {getattr(loss, '__name__', loss)!r} is unknown; allowed: "
                         f"{', '.join(known.__name__ for known in LOSSES)}. Hint: curvature.LOSSES takes more.")
    x, target = as_samples(samples, "x")
    found: Diagonal = {}
    batch, before = as_integer(batch, "batch", 1), model.training
    model.train(False)
    try:
        for i in range(0, len(x), batch):
            y, t = as_array(model.forward(x[i : i + batch]), "the model's output"), target[i : i + batch]
            dy, hy, share = loss(y, t)[1], LOSSES[loss](y, t), y.dtype.type(len(y) / len(x))
            back(model, [hy * share, dy * share][: 1 + second_derivative], found, False)
    finally:
        model.train(before)
    return {p: found[p] if p in found else np.zeros(p.shape, p.data.dtype) for p in model.parameters()}


@functools.singledispatch
def back(layer: nn.Layer, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    """[h_x, dx] from [h_y, dy], after a forward pass in evaluation mode; adds each h_w to `found`.

    Without dy there is no dx. inward=False: nobody reads what is returned, so it may be anything.
    """
    raise RangeError(f"the curvature of {layer!r} is unknown; allowed: layers with a rule. "
                     f"Hint: @curvature.back.register adds one.")


def add(found: Diagonal, parameter: Parameter | None, h: np.ndarray) -> None:
    """The places that share a parameter add up."""
    if parameter is not None:
        found[parameter] = found[parameter] + h if parameter in found else h


@back.register
def _(layer: nn.Linear, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    (x, W), hy = layer.saved, ds[0]
    add(found, layer.weight, hy.T @ (x * x))
    add(found, layer.bias, hy.sum(0))
    return [(A.T @ d.T).T for A, d in zip((W * W, W), ds, strict=False)] if inward else []


@back.register(nn.Conv2d)
@back.register(nn.Gate)
@back.register(nn.BatchNorm)
def _(layer: nn.Layer, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    """(J ∘ J)ᵀ h_y is the layer's own backward pass, once the arrays that it saved are squared."""
    squared, plain = twin(layer), twin(layer)
    squared.saved = [part * part if isinstance(part, np.ndarray) else part for part in layer.saved]
    if inward:
        ds = [other.backward(d) for other, d in zip((squared, plain), ds, strict=False)]
    else:
        squared.learn(ds[0])
    for name in layer.fields():
        if isinstance(parameter := getattr(layer, name), Parameter):
            add(found, parameter, getattr(squared, name).grad)
    return ds


def twin(layer: nn.Layer) -> nn.Layer:
    """A copy of the layer whose gradients go to parameters of its own."""
    other = copy.copy(layer)
    for name in layer.fields():
        if isinstance(parameter := getattr(layer, name), Parameter):
            setattr(other, name, Parameter(parameter.forward()))
    return other


@back.register(nn.Flatten)
@back.register(nn.Dropout)
@back.register(nn.MaxPool2d)
@back.register(nn.ReLU)
def _(layer: nn.Layer, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    return [layer.backward(d) for d in ds]  # J has only zeros and ones, their own squares


@back.register(nn.AvgPool2d)
@back.register(nn.GlobalAvgPool)
def _(layer: nn.AvgPool2d | nn.GlobalAvgPool, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    ki, kj = layer.kernel if isinstance(layer, nn.AvgPool2d) else layer.saved[0][2:]
    return [layer.backward(d) * d.dtype.type(scale) for d, scale in zip(ds, (1 / (ki * kj), 1), strict=False)]


@back.register
def _(layer: nn.Tanh, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    (y,) = layer.saved
    slope = 1 - y * y
    return elementwise(ds, slope, -2 * y * slope)


@back.register
def _(layer: nn.Sigmoid, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    (y,) = layer.saved
    slope = y * (1 - y)
    return elementwise(ds, slope, slope * (1 - 2 * y))


def elementwise(ds: Derivatives, slope: np.ndarray, bend: np.ndarray) -> Derivatives:
    """h_x = f'² ∘ h_y + f'' ∘ dy,   dx = f' ∘ dy      slope f', bend f''"""
    hx = slope * slope * ds[0]
    return [hx + bend * ds[1], slope * ds[1]] if len(ds) > 1 else [hx]


@back.register
def _(layer: nn.Sequential, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    for i, part in reversed(list(enumerate(layer.layers))):
        ds = back(part, ds, found, inward or i > 0)
    return ds


@back.register
def _(layer: nn.Residual, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    shortcut = ds if layer.shortcut is None else back(layer.shortcut, ds, found)
    return [a + b for a, b in zip(back(layer.body, ds, found), shortcut, strict=True)]


@back.register
def _(layer: nn.Concat, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    parts = zip(*(np.split(d, np.cumsum(layer.saved[0])[:-1], 1) for d in ds), strict=True)
    ways = [back(branch, list(part), found) for branch, part in zip(layer.branches, parts, strict=True)]
    return [sum(way[1:], start=way[0]) for way in zip(*ways, strict=True)]


@back.register
def _(layer: nn.Switch, ds: Derivatives, found: Diagonal, inward: bool = True) -> Derivatives:
    return back(layer.chosen(), ds, found, inward)
