"""Lecture 16: training all widths at once. How does one set of weights learn to be several networks?

    E = Σᵢ loss(fᵢ(x), target)      fᵢ: the network at width i; all of them read the same trained numbers

The gradients of all widths add up before each step (Yu, Yang, Xu, Yang & Huang 2019, "Slimmable Neural Networks",
algorithm 1). To the training loop a width is what an exit is: one of several outputs, with a loss of its own.

    model = Slimmable(slim(network, widths))
    train(model, optimizer, samples, loss=joint(), …)          all widths in every step
    export(model.body, i)                                      the network at width i, alone

Yu & Huang 2019, "Universally Slimmable Networks and Improved Training Techniques", train the narrowest, the widest and
some others drawn anew for every batch (the sandwich rule: `sandwich`), and let the widest teach the others (in-place
distillation: `in_place`, with any loss between two outputs). Their running statistics are made after training.

Not here: how widths share weights (slicing.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_function, as_generator, as_integer
from ..nn import Layer, Loss, cross_entropy
from ..nn.layers import Seed
from .slicing import count_of, selector_of


class Slimmable(Layer):
    """y = (f₁(x), …, f_L(x))      the body at each of its widths, narrow to wide; of a MultiExit all exits in turn

    sandwich: in training only the narrowest, the widest and so many of the others, drawn by rng for every batch; in
    evaluation always all. They run from wide to narrow, as in the authors' code, and the selector is then put back.
    saved: for each width that ran its number and what every layer of the body has saved, and the number of exits
    """

    body: Layer
    sandwich: int | None
    rng: np.random.Generator | None

    def __init__(self, body: Layer, *, sandwich: int | None = None, rng: Seed | None = None) -> None:
        self.body, self.sandwich = body, sandwich
        self.rng = None if sandwich is None else as_generator(rng)
        self.validate()

    def drawn(self) -> list[int]:
        """The widths that run now."""
        L = count_of(self.body)
        if self.sandwich is None or self.rng is None or not self.training:
            return list(range(L))
        return [0, *sorted(self.rng.permutation(np.arange(1, L - 1))[: self.sandwich].tolist()), L - 1]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ...]:  # type: ignore[override]
        selector, layers, memory, outputs = selector_of(self.body), self.inner(), [], []
        before = selector.index
        try:
            for i in reversed(self.drawn()):
                selector.index = i
                y = self.body.forward(x)
                outputs.append(y if isinstance(y, tuple) else (y,))
                memory.append((i, [layer.saved for layer in layers]))
                for layer in layers:
                    layer.pending = False  # its backward pass has what it needs
        finally:
            selector.index = before
        self.save(memory, len(outputs[0]) if isinstance(y, tuple) else 0)
        return tuple(z for exits in reversed(outputs) for z in exits)

    def backward(self, dy: tuple[np.ndarray, ...]) -> np.ndarray:  # type: ignore[override]
        first, *others = self.back(dy, self.body.backward)
        return sum(others, start=first)

    def learn(self, dy: tuple[np.ndarray, ...]) -> None:  # type: ignore[override]
        self.back(dy, self.body.learn)

    def back(self, dy: tuple[np.ndarray, ...], act: Callable[[Any], Any]) -> list[Any]:
        """What the body's backward or learn gives at each width that ran, with what its layers had saved there."""
        memory, exits = self.recall()
        each = exits or 1
        if len(dy) != each * len(memory):
            raise ShapeError(f"{len(dy)} gradients came for {each * len(memory)} outputs; allowed: one each.")
        selector, layers, results = selector_of(self.body), self.inner(), []
        before = selector.index
        try:
            for k, (i, saved) in zip(reversed(range(len(memory))), memory, strict=True):
                selector.index = i
                for layer, values in zip(layers, saved, strict=True):
                    layer.saved = values
                results.append(act(dy[k * each : (k + 1) * each] if exits else dy[k]))
        finally:
            selector.index = before
        return results

    def inner(self) -> list[Layer]:
        """All layers of the body."""
        return [node for _, node in self.body.walk() if isinstance(node, Layer)]

    def validate(self) -> None:
        selector_of(self.body)
        if self.sandwich is not None:
            if count_of(self.body) < 2:
                raise RangeError("a sandwich of one width; allowed: two widths or more. Hint: sandwich=None.")
            as_integer(self.sandwich, "sandwich", 0, count_of(self.body) - 2)


def in_place(teach: Loss, loss: Loss = cross_entropy) -> Loss:
    """E = loss(z_L, target) + Σ_{i<L} teach(zᵢ, z_L)      outputs (z₁, …, z_L); z_L is no variable of `teach`

    teach: a loss whose target are logits, such as distillation.losses.soft(1.0). Of several exits at several widths
    only the last one of the widest network reads the target; all others are its students.   Raises DTypeError.
    """
    as_function(teach, "teach"), as_function(loss, "loss")

    def total(outputs: tuple[np.ndarray, ...], target: Any) -> tuple[float, tuple[np.ndarray, ...]]:
        *students, teacher = outputs
        pairs = [*(teach(z, teacher) for z in students), loss(teacher, target)]
        values, gradients = zip(*pairs, strict=True)
        return float(sum(values)), gradients

    names = [getattr(each, "__name__", type(each).__name__) for each in (teach, loss)]
    total.__name__ = f"in place, {', '.join(names)}"  # by which checkpoints know it
    return total
