"""Lecture 02: dead units. What leads into a unit that leads nowhere?

Pruning may take all outgoing weights of a unit. Its incoming weights and its bias are then without effect (Han et al.
2015, "Learning both Weights and Connections for Efficient Neural Networks", section 3.5), and one mask more says so.
Not here: making the layers smaller, which removes such units for real (lecture 04).
"""

from __future__ import annotations

import itertools

import numpy as np

from ..nn import Conv2d, Layer, Linear, Sequential
from .masks import apply_mask


def prune_dead_units(model: Layer) -> int:
    """Zero what leads into units that lead nowhere, their biases included, and return how many such units there are.

    Works from the last layer back, so that units silenced on the way are found too; the outputs stay equal. Looks at a
    Sequential only, where each layer reads what the one before it writes; a container inside it may read and write in
    other ways, so that what leads into it stays.
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
