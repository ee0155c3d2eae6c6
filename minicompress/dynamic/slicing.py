"""Lecture 16: narrow networks inside a wide one. How do networks of several widths share one set of weights?

    w = x[:o, :c],   dx = dw in that corner, zero elsewhere      x (O, C, …): the trained numbers   w (o, c, …)

The first channels of every layer are a network of their own. A slice is a parametrization, and all slices of a network
read one Selector, so that writing one number changes the width:

    model = slim(network, [0.25, 0.5, 0.75, 1])      a copy that has four widths
    selector_of(model).index = 1                     from now on it runs at width 0.5
    export(model, 1)                                 a plain network of that size

Batch norm is switchable, one for each width, or shared (Yu, Yang, Xu, Yang & Huang 2019, "Slimmable Neural Networks",
section 3). Prune or share weights before `slim`, or on an export: the slice comes last, and later changes of a weight
are refused; `binarize` goes in front. Not here: which layers are cut (alignment.py), training (slimmable.py), widths
that differ from layer to layer, channels that are chosen rather than the first.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable

import numpy as np

from ..errors import RangeError, ShapeError, StateError
from ..inputs import as_array, as_choice, as_integer
from ..nn import BatchNorm, Conv2d, Layer, Linear, Parameter, Parametrization, Selector, Switch
from .alignment import cuts_of

SWITCHABLE, SHARED = "switchable", "shared"


class Sliced(Parametrization):
    """w = x[:n₁, :n₂, …],   dx = dw there, zero elsewhere      x: shapes[-1]   w: (n₁, n₂, …) = shapes[selector.index]

    A finished network keeps it, and all numbers. Raises RangeError where the selector points past the last shape,
    DTypeError where it is no integer.
    """

    shapes: list[tuple]
    selector: Selector
    varies = "before slim, or on export(model, index)"

    def __init__(self, shapes: Iterable[tuple], selector: Selector) -> None:
        self.shapes, self.selector = [tuple(shape) for shape in shapes], selector
        self.validate()

    def corner(self) -> tuple[slice, ...]:
        """The part of the numbers that is in force."""
        index = as_integer(self.selector.index, "a slice's selector", 0, len(self.shapes) - 1)
        return tuple(slice(n) for n in self.shapes[index])

    def forward(self, data: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(data[self.corner()])  # as an exported weight lies in memory: equal bits

    def backward(self, dw: np.ndarray) -> np.ndarray:
        dx = np.zeros(self.shapes[-1], dw.dtype)
        dx[self.corner()] = dw
        return dx

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.shapes[-1]:
            raise ShapeError(f"a slice of {self.shapes[-1]} meets numbers of shape {shape}; allowed: the same.")
        return tuple(part.stop for part in self.corner())

    def validate(self) -> None:
        sizes = [[as_integer(n, "a size", 1) for n in shape] for shape in self.shapes]
        if not sizes or any(len(s) != len(sizes[-1]) or np.any(np.greater(s, sizes[-1])) for s in sizes):
            raise ShapeError(f"a slice has the shapes {self.shapes}; allowed: none larger than the last.")
        self.corner()


def slim(model: Layer, widths: Iterable[float], *, norms: str = SWITCHABLE) -> Layer:
    """A copy of the model that runs at several widths, now at the last one, 1, where it computes what the model does.

    At width w each Linear and Conv2d gives the first w O of its outputs and reads the first w C inputs. But those that
    read the model's inputs read all, and the last ones, in a MultiExit those of each exit, give all outputs. Batch norm
    and depthwise filters follow their channels (alignment.py).
    norms: "switchable", a BatchNorm for each width, or "shared", the first channels of one.

    Raises RangeError for widths that do not ascend to 1 or make no whole number of channels, ShapeError for layers
    without a rule and sums that would not meet, StateError for a model that is slimmable already, DTypeError.
    """
    w, selector = as_widths(widths), Selector()
    as_choice(norms, "norms", [SWITCHABLE, SHARED])
    for parameter in model.parameters():
        parameter.check_fixed()
    model = copy.deepcopy(model)
    selector.index = len(w) - 1
    replaced: dict[int, Layer] = {}
    for layer, outputs, inputs in cuts_of(model).values():
        if isinstance(layer, (Linear, Conv2d)):
            cut(layer.weight, (outputs, inputs), w, selector)
            if layer.bias is not None:
                cut(layer.bias, (outputs,), w, selector)
        elif isinstance(layer, BatchNorm) and norms == SHARED:
            cut(layer.scale, (outputs,), w, selector)
            cut(layer.shift, (outputs,), w, selector)
        elif isinstance(layer, BatchNorm):
            sizes = [part(len(layer.mean), width) if outputs else len(layer.mean) for width in w]
            replaced[id(layer)] = Switch([narrowed(layer, n) for n in sizes], selector)
    return exchange(model, replaced)


def export(model: Layer, index: int) -> Layer:
    """A copy at width number `index` as a plain network: weights cut to size, of each Switch the layer in force.

    Its outputs are equal, bit for bit, to those of the model at that width.   Raises StateError, RangeError.
    """
    model = copy.deepcopy(model)
    selector = selector_of(model)
    selector.index = as_integer(index, "index, the number of a width from 0,", 0, count_of(model) - 1)
    switches = [node for _, node in model.walk() if isinstance(node, Switch) and node.selector is selector]
    model = exchange(model, {id(switch): switch.chosen() for switch in switches})
    cut_out = [parameter for parameter in model.parameters() if parameter.varying()]
    model.exchange({id(parameter): Parameter(parameter.forward()) for parameter in cut_out})
    for _, node in model.walk():
        if isinstance(node, Layer):
            node.saved, node.pending = None, False
        if isinstance(node, BatchNorm):
            node.mean, node.variance = (a[: node.scale.shape[0]].copy() for a in (node.mean, node.variance))
    return model


def selector_of(model: Layer) -> Selector:
    """The number by which a slimmable network is switched.   Raises StateError for a network without, or with two."""
    found = list({id(node.selector): node.selector for _, node in model.walk() if isinstance(node, Sliced)}.values())
    if len(found) != 1:
        raise StateError(f"the network has {len(found)} selectors of its width; allowed: one. Hint: slim(model, …).")
    return found[0]


def count_of(model: Layer) -> int:
    """The number of widths of a slimmable network."""
    return min(len(node.shapes) for _, node in model.walk() if isinstance(node, Sliced))


def as_widths(widths: Iterable[float]) -> list[float]:
    """Widths as a list that ascends to 1.   Raises RangeError, ShapeError, DTypeError."""
    w = as_array(list(widths) if isinstance(widths, Iterable) else widths, "widths", (None,)).tolist()
    if sorted(set(w)) != w or w[0] <= 0 or w[-1] != 1:
        raise RangeError(f"the widths are {w}; allowed: ascending, above 0, the last one 1.")
    return w


def part(size: int, width: float) -> int:
    """width · size, which must be whole.   Raises RangeError."""
    n = round(width * size)
    if n < 1 or abs(n - width * size) > 1e-6:
        raise RangeError(f"width {width:g} makes {width * size:g} of {size} channels; allowed: whole numbers.")
    return n


def cut(parameter: Parameter, axes: tuple[bool, ...], widths: list[float], selector: Selector) -> None:
    """Let the weight be sliced along the axes that are marked.   Raises StateError where it is sliced already."""
    if parameter.varying():
        raise StateError("a weight is in two layers; allowed: in one.")
    marks = itertools.zip_longest(parameter.shape, axes, fillvalue=False)
    sizes = [[part(n, w) if marked else n for w in widths] for n, marked in marks]
    if any(axes):
        sliced = Sliced(zip(*sizes, strict=True), selector)
        parameter.become(parameter.data, [*parameter.parametrizations, sliced])


def narrowed(norm: BatchNorm, channels: int) -> BatchNorm:
    """The batch norm of the first channels."""
    norm = copy.deepcopy(norm)
    for parameter in (norm.scale, norm.shift):
        parameter.become(parameter.forward()[:channels])
    norm.mean, norm.variance = norm.mean[:channels].copy(), norm.variance[:channels].copy()
    return norm


def exchange(model: Layer, new: dict[int, Layer]) -> Layer:
    """The model with new[id(layer)] in place of each layer that has one, itself included."""
    model.exchange(new)
    return new.get(id(model), model)
