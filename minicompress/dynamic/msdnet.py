"""Lecture 15: MSDNet. Early exits see fine, raw features, and pull later ones towards themselves: what helps?

    scale 1, fine      h₁ ──────► [h₁, f₁(h₁)] ──────────────► …
                       │           │
    scale 2            ▼           ▼
                       h₂ ──────► [h₂, f₂(h₂), g₂(h₁)] ──────► …
                       │           │
    scale 3, coarse    ▼           ▼
                       h₃ ──────► [h₃, f₃(h₃), g₃(h₂)] ──────► …  ──► every exit reads the coarsest scale

Coarse features from the first layer on make early exits good; dense connections replace nothing that was computed, so
what one exit needs does not get in the way of the next (Huang et al. 2018, "Multi-Scale Dense Networks for Resource
Efficient Image Classification", sections 3 and 4). f is a convolution, g one with stride 2.

A scale reads what the finer one has just got. So all that runs before an exit leads to it: this is the order of the
paper's lazy evaluation, along diagonals. The result is a MultiExit whose stages hand on one array a scale; `joint`,
`route`, `graded` know what to do with it.

Not here: bottleneck convolutions, dropping the fine scales in late layers, larger growth at coarse scales.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..architecture.blocks import convolution
from ..errors import ShapeError
from ..inputs import as_generator, as_integer
from ..nn import GRID, GlobalAvgPool, Layer, Linear, MultiExit, Sequential
from ..nn.containers import join
from ..nn.layers import Seed


class Scales(tuple[Any, ...]):
    """One array a scale, fine to coarse; a sum goes scale by scale, as MultiExit adds the gradients of its exits."""

    def __add__(self, other: Any) -> Scales:
        return Scales(a + b for a, b in zip(self, other, strict=True))


class Pyramid(Layer):
    """(h₁, …, h_S),   h₁ = g₁(x),  hₛ = gₛ(hₛ₋₁)      the first layer: from an image to features at every scale"""

    down: list[Layer]

    def __init__(self, down: Iterable[Layer]) -> None:
        self.down = list(down)
        self.validate()

    def forward(self, x: np.ndarray) -> Scales:  # type: ignore[override]
        h = [x]
        for layer in self.down:
            h.append(layer.forward(h[-1]))
        return Scales(h[1:])

    def after_first(self, dy: Sequence[np.ndarray]) -> np.ndarray:
        """The gradient of h₁."""
        *finer, d = dy
        for layer, own in zip(reversed(self.down[1:]), reversed(finer), strict=True):
            d = own + layer.backward(d)
        return d

    def backward(self, dy: Sequence[np.ndarray]) -> np.ndarray:  # type: ignore[override]
        return self.down[0].backward(self.after_first(dy))

    def learn(self, dy: Sequence[np.ndarray]) -> None:  # type: ignore[override]
        self.down[0].learn(self.after_first(dy))

    def validate(self) -> None:
        if not self.down:
            raise ShapeError("a Pyramid has no layers; allowed: one a scale.")


class Grow(Layer):
    """hₛ ← [hₛ, fₛ(hₛ), gₛ(hₛ₋₁)],  s = 1 … S      scale 1 has no g; hₛ₋₁ is the grown one

    h: one array (N, Cₛ, Hₛ, Wₛ) a scale. What was there comes first and stays as it is.   saved: channels of the parts
    Raises ShapeError for another number of scales, or parts whose sides differ.
    """

    same: list[Layer]
    down: list[Layer]

    def __init__(self, same: Iterable[Layer], down: Iterable[Layer]) -> None:
        self.same, self.down = list(same), list(down)
        self.validate()

    def forward(self, x: Sequence[np.ndarray]) -> Scales:  # type: ignore[override]
        if not isinstance(x, tuple) or len(x) != len(self.same):
            raise ShapeError(f"a Grow of {len(self.same)} scales got {len(x)} {type(x).__name__} entries; allowed: a "
                             f"tuple of one array a scale.")
        grown: list[np.ndarray] = []
        channels = []
        for s, (h, f) in enumerate(zip(x, self.same, strict=True)):
            parts = [h, f.forward(h)] + [g.forward(grown[-1]) for g in self.down[max(s - 1, 0) : s]]
            channels.append([part.shape[1] for part in parts])
            grown.append(join(parts, self))
        self.save(channels)
        return Scales(grown)

    def backward(self, dy: Sequence[Any]) -> Scales:  # type: ignore[override]
        (channels,) = self.recall()
        d, dx = list(dy), []
        for s in reversed(range(len(d))):
            old, new, *finer = np.split(d[s], np.cumsum(channels[s])[:-1], axis=1)
            for part in finer:
                d[s - 1] = d[s - 1] + self.down[s - 1].backward(part)
            dx.append(old + self.same[s].backward(new))
        return Scales(reversed(dx))

    def validate(self) -> None:
        if len(self.down) != len(self.same) - 1:
            raise ShapeError(f"a Grow has {len(self.same)} layers at its scales and {len(self.down)} between them; "
                             f"allowed: one less between than scales.")


class Coarsest(Layer):
    """y = exit(h_S)      an exit reads the coarsest scale alone"""

    exit: Layer

    def __init__(self, exit: Layer) -> None:
        self.exit = exit

    def forward(self, x: Sequence[np.ndarray]) -> np.ndarray:  # type: ignore[override]
        self.save(len(x))
        return self.exit.forward(x[-1])

    def backward(self, dy: np.ndarray) -> Scales:  # type: ignore[override]
        (scales,) = self.recall()
        return Scales([0.0] * (scales - 1) + [self.exit.backward(dy)])


def msdnet(n_in: int, classes: int, *, scales: int, exits: int, width: int, growth: int, rng: Seed,
           dtype: Any = np.float64, grid: float = GRID) -> MultiExit:
    """An MSDNet with an exit after each layer: global average pooling of the coarsest scale, and a linear map.

    width: channels of the first layer at every scale; its finest has stride 2. growth: channels that f, and g, add at
    every scale. The first stage is the first layer and one that grows. Raises RangeError for sizes below 1.
    """
    S, L, rng = as_integer(scales, "scales", 1), as_integer(exits, "exits", 1), as_generator(rng)
    k, C = as_integer(growth, "growth", 1), as_integer(width, "width", 1)

    def conv(n_in: int, n_out: int, stride: int = 1) -> Sequential:
        return Sequential(convolution(n_in, n_out, 3, stride=stride, rng=rng, grid=grid, dtype=dtype))

    stages: list[Layer] = []
    leave: list[Layer] = []
    channels = [C] * S
    for i in range(L):
        before = channels
        channels = [c + (k if s == 0 else 2 * k) for s, c in enumerate(before)]
        grow = Grow([conv(c, k) for c in before], [conv(c, k, 2) for c in channels[:-1]])
        first = [Pyramid([conv(n_in, C, 2), *(conv(C, C, 2) for _ in range(S - 1))])] * (i == 0)
        stages.append(Sequential([*first, grow]))
        leave.append(Coarsest(Sequential([GlobalAvgPool(), Linear(channels[-1], classes, rng=rng, dtype=dtype)])))
    return MultiExit(stages, leave)
