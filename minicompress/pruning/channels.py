"""Lecture 04: the channels of one layer, cut on either side. How a cut goes on through a network.

    Linear    unit o:   row W[o, :] and b[o]     feature c:  column W[:, c]; of a flattened channel H W columns
    Conv2d    filter o: W[o] and b[o]            channel c:  W[:, c]; with groups, c within its group
    BatchNorm γ, β, μ, σ² of channel c           Gate: g of channel c

A layer that makes new channels (Linear, Conv2d) ends a cut; one that treats every channel in its own way passes it on.
What is cut is baked first: rewrites come before parametrizations. In place, and without a check of the layers around;
containers and whole networks are in surgery.py.
"""

from __future__ import annotations

import functools

import numpy as np

from .. import nn
from ..errors import DTypeError, RangeError, ShapeError
from ..nn import Layer, Parameter

Cut = np.ndarray | None  # the channels that are kept, where a cut leaves a layer; None: it ends inside
Stateless = (nn.ReLU | nn.Sigmoid | nn.Tanh | nn.Sign | nn.Dropout | nn.MaxPool2d | nn.AvgPool2d | nn.GlobalAvgPool)


@functools.singledispatch
def keep_inputs(layer: Layer, kept: np.ndarray) -> Cut:
    """Let the layer read only the channels `kept` (C,), bool; returns which of its outputs are left, None for all.

    Raises DTypeError for a layer without a rule, ShapeError, RangeError.
    """
    raise no_rule(layer)


@functools.singledispatch
def keep_outputs(layer: Layer, kept: np.ndarray) -> Cut:
    """Let the layer give only the channels `kept` (O,), bool; returns which inputs are then left to read, None for all.

    Raises DTypeError for a layer without a rule, ShapeError, RangeError.
    """
    raise no_rule(layer)


@functools.singledispatch
def width(layer: Layer) -> int | None:
    """The number of channels that the layer gives, None for a layer that passes on as many as come."""
    return None


def no_rule(layer: Layer) -> DTypeError:
    return DTypeError(f"{layer!r} has no rule for a cut of its channels; allowed: layers with one. "
                      f"Hint: @keep_inputs.register, @keep_outputs.register.")


def as_kept(kept: np.ndarray, size: int, layer: Layer) -> np.ndarray:
    """`kept` as a bool array (size,) with at least one True.   Raises DTypeError, ShapeError, RangeError."""
    kept = np.asarray(kept)
    if kept.dtype != bool:
        raise DTypeError(f"kept has dtype {kept.dtype}; allowed: bool, one a unit. Hint: scores > threshold.")
    if kept.shape != (size,):
        raise ShapeError(f"kept has shape {kept.shape} for {layer!r}; allowed: ({size},).")
    if not kept.any():
        raise RangeError(f"{layer!r} would lose its last unit; allowed: at least one stays.")
    return kept


def spread(kept: np.ndarray, size: int, layer: Layer) -> np.ndarray:
    """`kept` for `size` features: a flattened channel is a block of H W features.   Raises ShapeError."""
    return as_kept(np.repeat(kept, max(1, size // max(1, len(kept)))), size, layer)


def shrink(parameter: Parameter | None, kept: np.ndarray, axis: int = 0) -> None:
    """The weight without what is not kept along the axis, as plain data."""
    if parameter is not None:
        parameter.become(np.compress(kept, parameter.forward(), axis))


# --- Layers that make new channels: the cut ends. ---


@keep_outputs.register
def _(layer: nn.Linear, kept: np.ndarray) -> Cut:
    kept = as_kept(kept, layer.weight.shape[0], layer)
    shrink(layer.weight, kept)
    shrink(layer.bias, kept)
    return None


@keep_inputs.register
def _(layer: nn.Linear, kept: np.ndarray) -> Cut:
    shrink(layer.weight, spread(kept, layer.weight.shape[1], layer), axis=1)
    return None


@keep_outputs.register
def _(layer: nn.Conv2d, kept: np.ndarray) -> Cut:
    O = layer.weight.shape[0]
    kept = as_kept(kept, O, layer)
    if layer.groups != "channels":
        by_group(kept, layer)
    shrink(layer.weight, kept)
    shrink(layer.bias, kept)
    return kept if layer.groups == "channels" else None


@keep_inputs.register
def _(layer: nn.Conv2d, kept: np.ndarray) -> Cut:
    if layer.groups == "channels":
        return keep_outputs(layer, kept)
    W, g = layer.weight.forward(), layer.group_count(layer.weight.shape[0])
    chosen = by_group(as_kept(kept, W.shape[1] * g, layer), layer)[:, None, :, None, None]
    grouped = W.reshape(g, len(W) // g, *W.shape[1:])
    layer.weight.become(np.take_along_axis(grouped, chosen, 2).reshape(len(W), -1, *W.shape[2:]))
    return None


def by_group(kept: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
    """The places within each group of what is kept (groups, n).   Raises ShapeError where groups differ in number."""
    groups = kept.reshape(layer.group_count(layer.weight.shape[0]), -1)
    counts = groups.sum(1)
    if counts.min() < counts.max():
        raise ShapeError(f"{layer!r} would keep {counts.tolist()} channels in its groups; allowed: as many in each. "
                         f"Hint: groups='channels' for a depthwise one.")
    return np.nonzero(groups)[1].reshape(len(groups), -1)


@width.register
def _(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.weight.shape[0]


# --- Layers that treat every channel in its own way: the cut goes on. ---


@keep_inputs.register
@keep_outputs.register
def _(layer: Stateless, kept: np.ndarray) -> Cut:
    return kept


@keep_inputs.register
def _(layer: nn.Flatten, kept: np.ndarray) -> Cut:
    return kept  # still by channels: what reads the features knows their number


@keep_inputs.register
@keep_outputs.register
def _(layer: nn.BatchNorm, kept: np.ndarray) -> Cut:
    kept = spread(kept, len(layer.mean), layer)
    shrink(layer.scale, kept)
    shrink(layer.shift, kept)
    layer.mean, layer.variance = layer.mean[kept], layer.variance[kept]
    return kept


@keep_inputs.register
@keep_outputs.register
def _(layer: nn.Gate, kept: np.ndarray) -> Cut:
    kept = spread(kept, layer.gate.shape[0], layer)
    shrink(layer.gate, kept)
    return kept


@width.register
def _(layer: nn.BatchNorm) -> int:
    return len(layer.mean)


@width.register
def _(layer: nn.Gate) -> int:
    return layer.gate.shape[0]
