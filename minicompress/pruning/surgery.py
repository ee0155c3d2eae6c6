"""Lecture 04: removing units for real. Which layers must shrink together, and who says no?

A unit is a row here and a column there (channels.py). The result is an ordinary, smaller network. It computes what the
large one computes whose units are closed where the next layer reads them. Not before batch norm: its β would come
through. Nor by zero weights alone, unless the activation maps 0 to 0, and the bias is zero too.

A rewrite comes before parametrizations: what is cut is baked, so a mask becomes zeros that may train again. Optimizers
must be built anew.

Not here: one channel of a sum that others add to, such as a residual block's whose shortcut is the identity.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import numpy as np

from .. import nn
from ..errors import DTypeError, MiniCompressError, ShapeError, StateError
from ..inputs import as_choice
from ..nn import Layer, Parameter
from .channels import Cut, keep_inputs, keep_outputs, width


def remove_units(model: Layer, layer: Layer | str, kept: np.ndarray) -> None:
    """Keep only the units `kept` (O,), bool, of one layer of the model, there and wherever they are read.

    layer: itself or its path, such as "layers.0"; a Residual with a layer as shortcut counts as one, too.
    Raises, with nothing changed, ShapeError (a mask of another length, the network's outputs, a sum), RangeError (no
    unit left, no such layer), DTypeError (a mask that is not bool, a layer without a rule), StateError (tied weights).
    """
    paths = {path: node for path, node in model.walk() if isinstance(node, Layer)}
    found = [path for path, node in paths.items() if node is layer]
    path = found[0] if found else as_choice(layer, "layer", paths)
    operate(model, lambda m: ended(cut(m, dict(m.walk())[path], kept)), kept)  # type: ignore[arg-type]


def remove_inputs(model: Layer, kept: np.ndarray) -> None:
    """Keep only the input features (or channels) `kept`: from now on the model reads x[:, kept].   Raises as above."""
    operate(model, lambda m: ended(keep_inputs(m, kept)), kept)


def removable(model: Layer) -> list[str]:
    """The paths of all Linear and Conv2d layers of several units of which some can be removed."""
    paths = []
    for path, node in model.walk():
        if isinstance(node, (nn.Linear, nn.Conv2d)):
            O = node.weight.shape[0]
            groups = node.group_count(O) if isinstance(node, nn.Conv2d) else 1
            try:
                remove_units(copy.deepcopy(model), path, np.arange(O) % (O // groups) > 0)
            except MiniCompressError:
                continue
            paths.append(path)
    return paths


def operate(model: Layer, act: Callable[[Layer], None], kept: np.ndarray) -> None:
    """Act on a copy first, which raises what there is to raise, then on the model; not where all units are kept."""
    twin = copy.deepcopy(model)
    act(twin)
    shapes = [[(id(p), p.shape) for _, p in m.leaves() if isinstance(p, Parameter)] for m in (model, twin)]
    changed = [before[0] for before, after in zip(*shapes, strict=True) if before[1] != after[1]]
    if len(set(changed)) < len(changed):
        raise StateError("a parameter that would shrink is in several places; allowed: in one. "
                         "Hint: give each layer a Parameter of its own.")
    if np.all(kept):
        return
    act(model)
    for _, node in model.walk():
        if isinstance(node, Layer):
            node.saved, node.pending = None, False  # of sizes that are gone


def ended(rest: Cut) -> None:
    """Raise ShapeError where a cut reaches the end of the network."""
    if rest is not None:
        raise ShapeError("no layer behind reads these channels, they are outputs of the network; allowed: hidden "
                         "units.")


def cut(node: Layer, target: Layer, kept: np.ndarray) -> Cut:
    """Cut the outputs of `target`, which is `node` or inside it, and follow the cut to the end of `node`."""
    if node is not target:
        return cut_inside(node, target, kept)
    if keep_outputs(node, kept) is not None:
        raise ShapeError(f"{node!r} passes channels on, it does not make them; allowed: layers that make them, such "
                         f"as Linear. Hint: remove them in the layer before.")
    return np.asarray(kept)


def agreed(cuts: list[Cut]) -> Cut:
    """What branches on the same channels leave to be cut.   Raises ShapeError where they differ."""
    lists = [None if c is None else c.tolist() for c in cuts]
    if any(other != lists[0] for other in lists):
        raise ShapeError("a sum or a switch ties these channels to others; allowed: units inside of one branch. "
                         "Hint: a Residual with a layer as shortcut can be cut as a whole, given itself as `layer`.")
    return cuts[0]


@functools.singledispatch
def cut_inside(container: Layer, target: Layer, kept: np.ndarray) -> Cut:
    """As `cut`, for a target inside of a container."""
    raise DTypeError(f"{container!r} has no rule for a cut inside of it; allowed: containers with one. "
                     f"Hint: @cut_inside.register.")


def holds(node: Layer, target: Layer) -> bool:
    return any(inner is target for _, inner in node.walk())


# --- Sequential: from one layer to the next. ---


@keep_inputs.register
def _(layer: nn.Sequential, kept: np.ndarray) -> Cut:
    return follow(layer.layers, kept, keep_inputs)


@keep_outputs.register
def _(layer: nn.Sequential, kept: np.ndarray) -> Cut:
    return follow(layer.layers[::-1], kept, keep_outputs)


def follow(layers: list[Layer], rest: Cut, keep: Callable[[Layer, np.ndarray], Cut]) -> Cut:
    """The cut from layer to layer, until it ends."""
    for layer in layers:
        rest = None if rest is None else keep(layer, rest)
    return rest


@cut_inside.register
def _(container: nn.Sequential, target: Layer, kept: np.ndarray) -> Cut:
    place = next(i for i, layer in enumerate(container.layers) if holds(layer, target))
    return follow(container.layers[place + 1 :], cut(container.layers[place], target, kept), keep_inputs)


@width.register
def _(layer: nn.Sequential) -> int | None:
    return next((w for w in map(width, reversed(layer.layers)) if w is not None), None)


# --- Residual and Switch: branches on the same channels must agree. ---


def ways(layer: nn.Residual | nn.Switch) -> list[Layer]:
    """The branches; a missing shortcut is an empty Sequential."""
    if isinstance(layer, nn.Switch):
        return layer.layers
    return [layer.body, layer.shortcut or nn.Sequential([])]


@keep_inputs.register
def _(layer: nn.Residual | nn.Switch, kept: np.ndarray) -> Cut:
    return agreed([keep_inputs(way, kept) for way in ways(layer)])


@keep_outputs.register
def _(layer: nn.Residual | nn.Switch, kept: np.ndarray) -> Cut:
    return agreed([keep_outputs(way, kept) for way in ways(layer)])


@cut_inside.register
def _(container: nn.Residual | nn.Switch, target: Layer, kept: np.ndarray) -> Cut:
    cuts = [cut(way, target, kept) if holds(way, target) else None for way in ways(container)]
    return agreed(cuts)


@width.register
def _(layer: nn.Residual | nn.Switch) -> int | None:
    return next((w for w in map(width, ways(layer)) if w is not None), None)


# --- Concat: each branch has its part of the channels. ---


@keep_inputs.register
def _(layer: nn.Concat, kept: np.ndarray) -> Cut:
    return joined(layer, [keep_inputs(branch, kept) for branch in layer.branches])


@cut_inside.register
def _(container: nn.Concat, target: Layer, kept: np.ndarray) -> Cut:
    return joined(container, [cut(b, target, kept) if holds(b, target) else None for b in container.branches])


def joined(layer: nn.Concat, cuts: list[Cut]) -> Cut:
    """The cuts of the branches side by side.   Raises ShapeError where a branch does not know its width."""
    if all(c is None for c in cuts):
        return None
    flat = any(isinstance(node, nn.Flatten) for _, node in layer.walk())
    if flat or any(c is None and width(branch) is None for c, branch in zip(cuts, layer.branches, strict=True)):
        raise ShapeError("a Concat has a branch whose width is that of its input, or flat; allowed: branches that end "
                         "in layers of their own.")
    return np.concatenate([np.ones(width(b) or 0, bool) if c is None else c
                           for c, b in zip(cuts, layer.branches, strict=True)])
