"""Lecture 09: batch norm at no cost. Where does its arithmetic go when a network is finished?

    y = γ (W x + b - μ) / sqrt(σ² + ε) + β  =  (g W) x + g (b - μ) + β      g = γ / sqrt(σ² + ε)      all but W (O,)

With the running μ and σ², a batch norm behind a linear map is a linear map, so both become one: row o of W times g[o],
and a new bias. Integer inference and binary thresholds start from here.

Source: Jacob et al. 2018, section 3.2, eq. 14. Not here: folding during quantization-aware training, a batch norm
before its linear map (padding would see other zeros).
"""

from __future__ import annotations

import copy

import numpy as np

from ..errors import ShapeError, StateError
from ..nn import BatchNorm, Conv2d, Layer, Linear, Parameter, Sequential


def fold_batch_norm(model: Layer) -> Layer:
    """A copy of the model without batch norm, its evaluation outputs equal up to rounding; weights are baked.

    Each BatchNorm must stand right behind a Linear or Conv2d in the same Sequential, whose parameters nobody shares.
    Raises StateError, naming the layer, otherwise; ShapeError for one of another width.
    """
    model = copy.deepcopy(model)
    for _, node in list(model.walk()):
        if isinstance(node, Sequential):
            for before, norm in zip(node.layers[:-1], node.layers[1:], strict=True):
                if isinstance(norm, BatchNorm) and isinstance(before, (Linear, Conv2d)):
                    check_unshared(model, before, norm)
                    fold(before, norm)
                    node.layers.remove(norm)
    for path, node in model.walk():
        if isinstance(node, BatchNorm):
            raise StateError(f"{path} is a batch norm that does not follow a Linear or Conv2d in its Sequential; "
                             f"allowed: right behind one. Hint: fold the parts that can be folded.")
    return model


def fold(layer: Linear | Conv2d, norm: BatchNorm) -> None:
    """W ← g W,  b ← g (b - μ) + β,  in place      W (O, …)"""
    W, gamma, beta = layer.weight.forward(), norm.scale.forward(), norm.shift.forward()
    if gamma.shape != W.shape[:1]:
        raise ShapeError(f"a batch norm of {len(gamma)} channels follows {layer!r}; allowed: {len(W)} channels.")
    g = gamma / np.sqrt(norm.variance + W.dtype.type(norm.eps))
    b = 0 if layer.bias is None else layer.bias.forward()
    layer.weight.become(W * g.reshape((-1,) + (1,) * (W.ndim - 1)))
    layer.bias = Parameter(g * (b - norm.mean) + beta)


def check_unshared(model: Layer, layer: Linear | Conv2d, norm: BatchNorm) -> None:
    """Raise StateError where the layer, its parameters or the batch norm are in another place, too."""
    nodes = [(path, value) for path, value in model.leaves()]
    for part in (layer, norm, layer.weight, *([] if layer.bias is None else [layer.bias])):
        places = [path for path, value in nodes if value is part]
        if len(places) > 1:
            raise StateError(f"{', '.join(places)} are one; allowed: a layer of its own for each batch norm. "
                             f"Hint: copy.deepcopy the layer.")
