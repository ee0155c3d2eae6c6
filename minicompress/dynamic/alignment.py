"""Lecture 16: which channels a narrow network leaves out. Do all layers still meet the channels that they expect?

    x, whole  →  first layers: cut outputs  →  narrow: cut inputs and outputs  →  last layers: cut inputs  →  y, whole

Channels are followed from layer to layer: they are whole, or narrow, the first ones of so many. A Linear or Conv2d
makes narrow ones, or, where it is the last, whole ones; what has no weights, batch norm and depthwise filters hand on
what they get. A sum needs the same kind on both sides. Of every exit the last layer makes whole channels.

Not here: layers that keep or reorder channels (Concat, shuffles, dense connections), for which the first channels at
one width are not the first at another.
"""

from __future__ import annotations

import functools

from ..errors import ShapeError
from ..nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool2d,
    MultiExit,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Sign,
    Tanh,
)

Cuts = dict[int, tuple[Layer, bool, bool]]  # id → the layer, whether its outputs and whether its inputs are cut


def cuts_of(model: Layer) -> Cuts:
    """For every Linear, Conv2d and BatchNorm of a model what is cut.   Raises ShapeError where channels do not meet."""
    cuts: Cuts = {}
    if not has_maps(model):
        raise ShapeError("the network has no Linear or Conv2d layer; allowed: at least one.")
    follow(model, False, True, cuts)
    return cuts


def has_maps(layer: Layer) -> bool:
    """Whether there is a layer inside that mixes channels."""
    return any(isinstance(node, (Linear, Conv2d)) for _, node in layer.walk())


def no_rule(layer: Layer, why: str) -> ShapeError:
    return ShapeError(f"{layer!r} has no rule for narrow widths{why}; allowed: Linear, BatchNorm, Conv2d without "
                      f"groups or depthwise, layers of nn without weights, in Sequential, Residual, MultiExit.")


def note(layer: Layer, outputs: bool, inputs: bool, cuts: Cuts) -> None:
    """Keep what is cut; a layer in two places must have the same in both."""
    if cuts.setdefault(id(layer), (layer, outputs, inputs)) != (layer, outputs, inputs):
        raise no_rule(layer, " in two places, of which one is an end")


@functools.singledispatch
def follow(layer: Layer, narrow: bool, last: bool, cuts: Cuts) -> bool:
    """Whether the channels behind the layer are narrow.   last: they are the model's outputs.   Raises ShapeError."""
    if not isinstance(layer, (ReLU, Sigmoid, Tanh, Sign, Dropout, MaxPool2d, AvgPool2d, GlobalAvgPool, Flatten)):
        raise no_rule(layer, "")
    return narrow


@follow.register(Linear)
@follow.register(Conv2d)
def _(layer: Linear | Conv2d, narrow: bool, last: bool, cuts: Cuts) -> bool:
    depthwise = isinstance(layer, Conv2d) and layer.groups == "channels"
    if isinstance(layer, Conv2d) and not depthwise and layer.groups != 1:
        raise no_rule(layer, "")
    if depthwise and last and narrow:
        raise no_rule(layer, " as the last layer")
    outputs = narrow if depthwise else not last
    note(layer, outputs, narrow and not depthwise, cuts)
    return outputs


@follow.register
def _(layer: BatchNorm, narrow: bool, last: bool, cuts: Cuts) -> bool:
    note(layer, narrow, narrow, cuts)
    return narrow


@follow.register
def _(layer: Sequential, narrow: bool, last: bool, cuts: Cuts) -> bool:
    mixing = [i for i, part in enumerate(layer.layers) if has_maps(part)]
    for i, part in enumerate(layer.layers):
        narrow = follow(part, narrow, last and i >= max(mixing, default=0), cuts)
    return narrow


@follow.register
def _(layer: Residual, narrow: bool, last: bool, cuts: Cuts) -> bool:
    body = follow(layer.body, narrow, last, cuts)
    way = narrow if layer.shortcut is None else follow(layer.shortcut, narrow, last, cuts)
    if body != way:
        raise no_rule(layer, " where its sum meets whole channels")
    return body


@follow.register
def _(layer: MultiExit, narrow: bool, last: bool, cuts: Cuts) -> bool:
    for stage, leave in zip(layer.stages, layer.exits, strict=True):
        narrow = follow(stage, narrow, False, cuts)
        follow(leave, narrow, has_maps(leave), cuts)  # an exit without weights shows what is inside, at its width
    return narrow
