"""Parameter and Parametrization: the one idea on which everything else stands.

The weight that a layer multiplies with and the numbers that are trained need not be the same. A Parameter holds the
trained numbers, `data`; its parametrizations, small maps applied from left to right, turn them into the weight:

    layer             y = forward(x)       dx    = backward(dy)     an array in, an array out
    parametrization   w = forward(data)    ddata = backward(dw)     stored numbers in, weights out
    parameter         w = forward()                backward(dw)     holds data and its maps; gradients end here

A layer asks for `weight.forward()` on the way in, calls `weight.backward(dw)` on the way out, and knows no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError, StateError
from ..inputs import as_array, check_finite
from .node import Node


class Parametrization(Node):
    """A map from stored numbers to weights, with its own gradient. The defaults make the identity.

    varies: not empty where the weight's shape changes from one forward pass to the next; a hint what to do first, or
    instead. Such a map stays, and last: a map behind it would fit one of the shapes, a weight that is baked be one of
    several.
    """

    varies: str = ""

    def forward(self, data: np.ndarray) -> np.ndarray:
        """Stored numbers to weights."""
        return data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        """Gradient towards the stored numbers; where forward has no derivative this is the straight-through rule."""
        return dw

    def project(self, data: np.ndarray) -> np.ndarray:
        """The data put back into the range that the map allows; only the first map does so, after each step."""
        return data

    def renew(self) -> None:
        """A step is over: a random map draws anew at its next forward, and not before."""

    def reset(self) -> None:
        self.renew()  # or the next step would use what an evaluation drew, which a checkpoint does not hold

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        """What a finished model stores in place of this map.

        data: what the map reads. keep: which of its weights are needed, a boolean array of their shape; None: all.
        Returns (numbers, parametrizations, wanted). numbers None: the map stays, and what stands inside it is frozen
        in turn, of which only `wanted` is needed. Otherwise the numbers replace the map and all that is inside it.
        """
        return (None, [self], None) if keep is None else (self.forward(data)[keep], [], None)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the weights for data of the given shape.   Raises ShapeError where they do not fit."""
        return shape


Frozen = tuple[np.ndarray | None, list[Parametrization], np.ndarray | None]


class Parameter(Node):
    """w = pₖ(… p₁(data))      data: any shape, the trained numbers   w: the weight of a layer

    grad: the gradient of the loss with respect to data, the sum of all backward passes since the last step.
    """

    data: np.ndarray
    parametrizations: list[Parametrization]
    grad: np.ndarray = np.empty(0)
    fresh: bool = True  # nothing accumulated yet: the first gradient may overwrite

    def __init__(self, data: Any, parametrizations: Iterable[Parametrization] = ()) -> None:
        self.parametrizations = []
        self.become(data, parametrizations)

    def become(self, data: Any, parametrizations: Iterable[Parametrization] = ()) -> None:
        """Start anew from a copy of `data`, and maps. An optimizer built before is stale from here on, and says so.

        Raises, nothing changed, ShapeError where maps do not fit; StateError where a map of varying shape would go, or
        not be the last."""
        data, parametrizations = as_array(data, "data").copy(), list(parametrizations)
        if not any(each is parametrization for each in self.varying() for parametrization in parametrizations):
            self.check_fixed()
        chained_shape(data.shape, parametrizations)
        self.data, self.parametrizations = data, parametrizations
        self.grad, self.fresh = np.zeros_like(data), True

    def varying(self) -> list[Parametrization]:
        """The maps that make weights of several shapes."""
        return [each for each in self.parametrizations if each.varies]

    def check_fixed(self) -> None:
        """Raise StateError where the weight's shape varies: before a change that would keep one of the shapes only."""
        for each in self.varying():
            raise StateError(f"a weight ends in {type(each).__name__}, and its shape varies; allowed: weights of one "
                             f"shape. Hint: {each.varies}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        return chained_shape(self.data.shape, self.parametrizations)

    def forward(self) -> np.ndarray:
        """The weight; without parametrizations it is `data` itself, not a copy."""
        w = self.data
        for parametrization in self.parametrizations:
            w = parametrization.forward(w)
        return w

    def backward(self, dw: np.ndarray) -> None:
        """Add the gradient dw of the weight, pulled back through the maps, to `grad`."""
        for parametrization in reversed(self.parametrizations):
            dw = parametrization.backward(dw)
        self.accumulate(dw)

    def backward_matmul(self, a: np.ndarray, b: np.ndarray) -> None:
        """backward(a @ b); the first gradient of a plain parameter is computed right where it belongs."""
        if self.parametrizations or not self.fresh:
            self.backward(a @ b)
        else:
            np.matmul(a, b, out=self.grad)
            self.fresh = False

    def accumulate(self, ddata: np.ndarray) -> None:
        """grad += ddata.   Raises ShapeError where the shapes differ, before NumPy repeats one to fit the other."""
        if ddata.shape != self.grad.shape:
            raise ShapeError(f"a gradient of shape {ddata.shape} came for data of shape {self.grad.shape}; allowed: "
                             f"equal shapes. Hint: look at the backward of the layer or parametrization.")
        if self.fresh:
            self.grad[...] = ddata
        else:
            self.grad += ddata
        self.fresh = False

    def clear(self) -> None:
        """A step is over: the next gradient starts from zero, data return to the range that their map allows."""
        self.fresh = True
        for parametrization in self.parametrizations:
            parametrization.renew()
        if self.parametrizations:
            self.data[...] = self.parametrizations[0].project(self.data)

    def bake(self) -> None:
        """Make the weight itself the data, without any map: what a rewrite of layers starts from."""
        self.become(self.forward())

    def freeze(self) -> None:
        """Keep only what the finished weight needs, from the outside in: a mask takes the survivors out, then what
        stands inside it is frozen for the survivors only. The weight stays equal."""
        inputs = [self.data]
        for parametrization in self.parametrizations:
            inputs.append(parametrization.forward(inputs[-1]))
        chain: list[Parametrization] = []
        numbers: np.ndarray | None = None
        keep: np.ndarray | None = None
        for parametrization, x in zip(reversed(self.parametrizations), reversed(inputs[:-1]), strict=True):
            numbers, stored, keep = parametrization.freeze(x, keep)
            chain = stored + chain
            if numbers is not None:
                break
        else:
            numbers = self.data if keep is None else self.data[keep]
        self.become(numbers, chain)

    def validate(self) -> None:
        if self.data.dtype not in (np.float32, np.float64):
            raise DTypeError(f"the data of a parameter are {self.data.dtype}; allowed: float32, float64.")
        check_finite(self.data, "data")
        chained_shape(self.data.shape, self.parametrizations)
        self.data = np.require(self.data, requirements="O")  # copied where it belongs to an optimizer, now stale
        self.grad, self.fresh = np.zeros(self.data.shape, self.data.dtype), True


def chained_shape(shape: tuple[int, ...], parametrizations: list[Parametrization]) -> tuple[int, ...]:
    """The shape of the weight that a chain makes of data of the given shape.   Raises ShapeError, StateError."""
    for parametrization in parametrizations[:-1]:
        if parametrization.varies:
            raise StateError(f"a map would stand behind {type(parametrization).__name__}, which makes weights of "
                             f"several shapes; allowed: in front of it. Hint: {parametrization.varies}.")
    for parametrization in parametrizations:
        shape = parametrization.check(shape)
    return shape
