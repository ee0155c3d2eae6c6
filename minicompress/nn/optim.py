"""Optimizers. All parameters lie side by side in one vector, which is updated block by block, in place, while a block
stays in the cache. Each `parameter.data` and `parameter.grad` becomes a view into such a vector.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..errors import DTypeError, ShapeError, StateError
from ..inputs import as_number
from .grid import GRID, to_grid
from .node import Node
from .parameter import Parameter


class Optimizer(Node):
    """x ← update(x, g)      x: the data of all parameters as one vector   g: their gradients, rounded to `grid`

    grid: 2⁻²⁰ makes training end with the same bits on every machine (grid.py); 0 turns it off. float32 data train
    without it unless it is given, because their own rounding already differs. Only the newest optimizer of a parameter
    may step; one that lost a parameter to surgery, `become` or another optimizer raises StateError.
    """

    lr: float
    weight_decay: float
    t: int
    slots: list[np.ndarray]

    block: int = 1 << 15
    slot_count: int = 0  # vectors that an optimizer remembers from step to step

    def __init__(self, parameters: Iterable[Parameter], lr: float, *, weight_decay: float = 0.0,
                 grid: float | None = None) -> None:
        self.parameters = list(dict.fromkeys(parameters))
        self.lr, self.t = as_number(lr, "lr", 0), 0
        self.weight_decay = as_number(weight_decay, "weight_decay", 0)
        if not self.parameters:
            raise ShapeError("an optimizer got no parameters; allowed: at least one. Hint: model.parameters().")
        if len({p.data.dtype for p in self.parameters}) > 1:
            raise DTypeError("an optimizer got parameters of different dtypes; allowed: one dtype.")
        data = np.concatenate([p.data.ravel() for p in self.parameters])
        self.grid = as_number(grid, "grid", 0) if grid is not None else GRID if data.dtype == np.float64 else 0.0
        self.vector, grad = data, np.zeros_like(data)
        self.slots = [np.zeros_like(data) for _ in range(self.slot_count)]
        stop = 0
        for p in self.parameters:
            start, stop = stop, stop + p.data.size
            p.data, p.grad = (v[start:stop].reshape(p.data.shape) for v in (data, grad))
            p.fresh = True
        scratch = np.empty(min(self.block, data.size), data.dtype)
        self.blocks = [[*(v[i : i + self.block] for v in (data, grad, *self.slots)), scratch[: data.size - i]]
                       for i in range(0, data.size, self.block)]

    def step(self) -> None:
        """Move all data once along the gradients that came in since the last step.   Raises StateError if stale."""
        if any(p.data.base is not self.vector for p in self.parameters):
            raise StateError("a parameter of this optimizer was replaced, copied, or given to another optimizer. "
                             "Hint: build a new optimizer after every change of the parameters or their maps.")
        if all(p.fresh for p in self.parameters):
            raise StateError("a step without a gradient; allowed: loss, model.backward(…), then step.")
        for p in self.parameters:
            if p.fresh:
                p.grad[...] = 0
        self.t += 1
        self.prepare()
        for x, g, *others in self.blocks:
            if self.grid:
                g[...] = to_grid(g, self.grid)
            if self.weight_decay:
                g += self.weight_decay * x
            self.update(x, g, *others)
        if self.t % 100 == 0:  # denormal numbers make the processor slow: forget them before they arise
            for slot in self.slots:
                slot[np.abs(slot) < 1e-30] = 0
        for p in self.parameters:
            p.clear()

    def settings(self) -> dict[str, float]:
        """What was chosen, not learned: name → number."""
        passing = {"t", "power1", "power2"}
        return {k: v for k, v in vars(self).items() if isinstance(v, (int, float)) and k not in passing}

    def prepare(self) -> None:
        """What is computed once a step, before the blocks."""

    def update(self, x: np.ndarray, g: np.ndarray, *slots_and_scratch: np.ndarray) -> None:
        """Move one block of x in place."""
        raise NotImplementedError


class SGD(Optimizer):
    """v ← μ v + g,   x ← x - lr v,   or with Nesterov's momentum  x ← x - lr (g + μ v)

    Momentum as in Sutskever et al. 2013, eq. 1-4, with lr outside of v; weight decay adds λ x to g. With
    Nesterov's, x is the point where they take the gradient, one momentum step ahead of theirs.
    """

    momentum: float
    slot_count: int = 1

    def __init__(self, parameters: Iterable[Parameter], lr: float, *, momentum: float = 0.9, nesterov: bool = False,
                 weight_decay: float = 0.0, grid: float | None = None) -> None:
        self.momentum, self.nesterov = as_number(momentum, "momentum", 0, below=1), nesterov
        super().__init__(parameters, lr, weight_decay=weight_decay, grid=grid)

    def update(self, x: np.ndarray, g: np.ndarray, *slots_and_scratch: np.ndarray) -> None:
        v, scratch = slots_and_scratch
        v *= self.momentum
        v += g
        if self.nesterov:
            np.multiply(v, self.momentum, out=scratch)
            scratch += g
            scratch *= self.lr
        else:
            np.multiply(v, self.lr, out=scratch)
        x -= scratch


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²,   x ← x - lr m̂ / (sqrt(v̂) + ε)

    m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) (Kingma & Ba 2015, algorithm 1). m and v are kept without their factors 1 - β;
    together with the corrections the four constants become one step size and one epsilon. Powers are running products,
    which round alike everywhere.
    """

    beta1: float
    beta2: float
    eps: float
    power1: float
    power2: float
    slot_count: int = 2

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1e-3, *, beta1: float = 0.9, beta2: float = 0.999,
                 eps: float = 1e-8, weight_decay: float = 0.0, grid: float | None = None) -> None:
        self.beta1, self.beta2 = as_number(beta1, "beta1", 0, below=1), as_number(beta2, "beta2", 0, below=1)
        self.eps, self.power1, self.power2 = as_number(eps, "eps", above=0), 1.0, 1.0
        super().__init__(parameters, lr, weight_decay=weight_decay, grid=grid)

    def prepare(self) -> None:
        self.power1 *= self.beta1
        self.power2 *= self.beta2

    def update(self, x: np.ndarray, g: np.ndarray, *slots_and_scratch: np.ndarray) -> None:
        m, v, scratch = slots_and_scratch
        scale = math.sqrt((1 - self.power2) / (1 - self.beta2))  # sqrt(v̂) = sqrt(v) / scale
        m *= self.beta1
        m += g
        v *= self.beta2
        v += np.multiply(g, g, out=scratch)
        np.sqrt(v, out=scratch)
        scratch += self.eps * scale
        np.divide(m, scratch, out=scratch)
        scratch *= self.lr * scale * (1 - self.beta1) / (1 - self.power1)
        x -= scratch


def constant(progress: float) -> float:
    """The learning rate's factor at `progress` in [0, 1): 1 throughout."""
    return 1.0


def linear(progress: float) -> float:
    """1 - progress."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """(1 + cos π progress) / 2, on the grid (Loshchilov & Hutter 2017, eq. 5, without restarts)."""
    return float(to_grid(np.array((1 + math.cos(math.pi * progress)) / 2), GRID))
