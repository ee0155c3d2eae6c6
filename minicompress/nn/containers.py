"""Containers: layers made of layers. A network is a loop over its layers, and a reversed loop."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ShapeError
from ..inputs import as_integer
from .layers import Layer
from .parameter import Node


class Sequential(Layer):
    """y = fₗ(… f₂(f₁(x)))      one layer after the other; an empty one is the identity

    learn(dy): as backward, but the first layer computes no dx.
    """

    layers: list[Layer]

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = list(layers)

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def learn(self, dy: np.ndarray) -> None:
        for layer in reversed(self.layers[1:]):
            dy = layer.backward(dy)
        for layer in self.layers[:1]:
            layer.learn(dy)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


class Residual(Layer):
    """y = f(x) + g(x)      g: the shortcut, the identity unless given (He et al. 2016, eq. 1 and 2)

    Raises ShapeError where the two differ in shape.
    """

    body: Layer
    shortcut: Layer | None

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        self.body, self.shortcut = body, shortcut

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = self.body.forward(x)
        way = x if self.shortcut is None else self.shortcut.forward(x)
        if y.shape != way.shape:
            raise ShapeError(f"the body of a residual block gives {y.shape} and its shortcut {way.shape}; allowed: "
                             f"equal shapes. Hint: a 1 x 1 convolution as shortcut.")
        return y + way

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return self.body.backward(dy) + (dy if self.shortcut is None else self.shortcut.backward(dy))


def join(parts: list[np.ndarray], layer: Layer) -> np.ndarray:
    """The parts of a layer's output side by side along the channels (axis 1).   Raises ShapeError."""
    if len({part.shape[:1] + part.shape[2:] for part in parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise ShapeError(f"the branches of a {type(layer).__name__} give {shapes}; allowed: equal shapes but for the "
                         f"channels.")
    return np.concatenate([part.T for part in parts], axis=-2).T  # transposed: the batch stays innermost


class Concat(Layer):
    """y = [f₁(x), …, fₗ(x)]      side by side along the channels (axis 1)   saved: the number of channels of each

    Raises ShapeError where the branches differ in another axis.
    """

    branches: list[Layer]

    def __init__(self, branches: Iterable[Layer]) -> None:
        self.branches = list(branches)
        self.validate()

    def forward(self, x: np.ndarray) -> np.ndarray:
        parts = [branch.forward(x) for branch in self.branches]
        y = join(parts, self)
        self.save([part.shape[1] for part in parts])
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (channels,) = self.recall()
        parts = np.split(dy, np.cumsum(channels)[:-1], axis=1)
        first, *others = [branch.backward(part) for branch, part in zip(self.branches, parts, strict=True)]
        return sum(others, start=first)

    def validate(self) -> None:
        if not self.branches:
            raise ShapeError("a Concat has no branches; allowed: at least one.")


class MultiExit(Layer):
    """y = (e₁(h₁), …, eₗ(hₗ)),  hᵢ = sᵢ(hᵢ₋₁),  h₀ = x      stages s, exits e; a tuple out, a tuple of gradients in

    The gradients of all exits add up on their way through the stages. An exit may be the identity, Sequential([]),
    which shows the inside of a network to a loss.
    """

    stages: list[Layer]
    exits: list[Layer]

    def __init__(self, stages: Iterable[Layer], exits: Iterable[Layer]) -> None:
        self.stages, self.exits = list(stages), list(exits)
        self.validate()

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ...]:  # type: ignore[override]
        outputs = []
        for stage, leave in zip(self.stages, self.exits, strict=True):
            x = stage.forward(x)
            outputs.append(leave.forward(x))
        return tuple(outputs)

    def backward(self, dy: tuple[np.ndarray, ...]) -> np.ndarray:  # type: ignore[override]
        if len(dy) != len(self.stages):
            raise ShapeError(f"{len(dy)} gradients came for {len(self.stages)} exits; allowed: one each.")
        dx: np.ndarray | None = None
        for stage, leave, d in zip(reversed(self.stages), reversed(self.exits), reversed(dy), strict=True):
            dh = leave.backward(d)
            dx = stage.backward(dh if dx is None else dh + dx)
        if dx is None:
            raise ShapeError("a MultiExit has no stages.")
        return dx

    def validate(self) -> None:
        if len(self.stages) != len(self.exits) or not self.stages:
            raise ShapeError(f"a MultiExit has {len(self.stages)} stages and {len(self.exits)} exits; allowed: as "
                             f"many, at least one.")


class Selector(Node):
    """One number that many parts of a network read: which of several settings is in force."""

    index: int

    def __init__(self, index: int = 0) -> None:
        self.index = as_integer(index, "index", 0)

    def validate(self) -> None:
        as_integer(self.index, "index", 0)


class Switch(Layer):
    """y = fᵢ(x),  i = selector.index      one of several layers, for what must differ from setting to setting

    Raises RangeError where the selector points past the last layer, DTypeError where it is no integer.
    """

    layers: list[Layer]
    selector: Selector

    def __init__(self, layers: Iterable[Layer], selector: Selector) -> None:
        self.layers, self.selector = list(layers), selector
        self.validate()

    def chosen(self) -> Layer:
        """The layer in force."""
        self.validate()
        return self.layers[self.selector.index]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.chosen().forward(x)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return self.chosen().backward(dy)

    def validate(self) -> None:
        as_integer(self.selector.index, "a Switch's selector", 0, len(self.layers) - 1)
