"""Lecture 15: skipped blocks. An exit cuts off the end of a network; may a sample leave out the middle instead?

    y_n = x_n + g_n f(x_n),   g_n = [a(x_n) > 0]      f: a residual block   a: its gate, of a few weights, which sees x

(Wang et al. 2018, "SkipNet", section 3.) A step has no derivative: on the way back it is taken for σ(a), the
straight-through rule, as in the supervised stage of the paper. What a block costs enters the loss as a price:

    E = loss(z, target) + λ mean(g)      the mean over samples and blocks

    model = SkipNet(stem, [skippable(16, rng=rng) for _ in range(4)], head)
    train(all_on(model), …)                                      first without gates, all blocks in use
    train(model, …, loss=priced(0.1), measure=gated_error)
    skip(model, x)                                               outputs, gates, and what was spent

Not here: the paper's reinforcement learning after that, its recurrent gates, blocks that change the shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..architecture.blocks import convolution
from ..counting import counted, within
from ..errors import DTypeError, ShapeError
from ..inputs import as_array, as_integer, as_labels, as_number, check_finite
from ..nn import (
    GRID,
    GlobalAvgPool,
    Layer,
    Linear,
    Loss,
    Parameter,
    Residual,
    Sequential,
    cross_entropy,
    predict,
)
from ..nn.layers import Seed
from .routing import take

Pair = tuple[np.ndarray, np.ndarray]


class Skippable(Layer):
    """(y, g) = (x + g f(x), g),   g = [a(x) > 0]      x, y (N, …)   a (N, 1): the output of the gate   g (N,), 0 or 1

    In training f sees all samples, in evaluation only those with g = 1: the others cost no more than the gate.
    backward takes (dy, dg):   da = σ'(a) (dg + Σ dy f(x)),   dx = dy + df(g dy) + da(da).   saved: g, f(x), σ'(a)
    """

    body: Layer
    gate: Layer

    def __init__(self, body: Layer, gate: Layer) -> None:
        self.body, self.gate = body, gate

    def forward(self, x: np.ndarray) -> Pair:  # type: ignore[override]
        a = self.gate.forward(x)
        if a.shape != (len(x), 1):
            raise ShapeError(f"the gate of a block gives {a.shape} for {len(x)} samples; allowed: ({len(x)}, 1).")
        a = a[:, 0]
        g = (a > 0).astype(x.dtype)
        if not self.training:
            return self.run(x, g), g
        f, s = self.added(x), 0.5 + 0.5 * np.tanh(0.5 * a)
        self.save(g, f, s * (1 - s))
        return x + (f.T * g).T, g

    def run(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        """x + g f(x) for given gates g (N,); f is computed for the samples with g > 0 alone."""
        y, chosen = x.copy(order="K"), g > 0
        if chosen.any():
            y[chosen] += self.added(take(x, chosen))
        return y

    def added(self, x: np.ndarray) -> np.ndarray:
        """f(x).   Raises ShapeError where it is of another shape."""
        f = self.body.forward(x)
        if f.shape != x.shape:
            raise ShapeError(f"the body of a skippable block gives {f.shape} for {x.shape}; allowed: equal shapes.")
        return f

    def backward(self, dy: Pair) -> np.ndarray:  # type: ignore[override]
        g, f, slope = self.recall()
        d, dg = dy
        da = slope * (dg + (d * f).sum(tuple(range(1, d.ndim))))
        return d + self.body.backward((d.T * g).T) + self.gate.backward(da[:, None])


class SkipNet(Layer):
    """(z, G) = (head(x_B), [g₁ … g_B]),   x₀ = stem(x),   (x_b, g_b) = block_b(x_b₋₁)      z (N, classes)   G (N, B)"""

    stem: Layer
    blocks: list[Skippable]
    head: Layer

    def __init__(self, stem: Layer, blocks: Iterable[Skippable], head: Layer) -> None:
        self.stem, self.blocks, self.head = stem, list(blocks), head
        self.validate()

    def forward(self, x: np.ndarray, gates: np.ndarray | None = None) -> Pair:  # type: ignore[override]
        """gates (N, B): to be obeyed in place of the network's own, in evaluation."""
        x, found = self.stem.forward(x), []
        for b, block in enumerate(self.blocks):
            x, g = block.forward(x) if gates is None else (block.run(x, gates[:, b]), gates[:, b])
            found.append(g)
        return self.head.forward(x), np.stack(found, 1)

    def backward(self, dy: Pair) -> np.ndarray:  # type: ignore[override]
        dz, dG = dy
        d = self.head.backward(dz)
        for block, dg in zip(reversed(self.blocks), reversed(dG.T), strict=True):
            d = block.backward((d, dg))
        return self.stem.backward(d)

    def validate(self) -> None:
        if not self.blocks:
            raise ShapeError("a SkipNet has no blocks; allowed: at least one.")
        if odd := [block for block in self.blocks if not isinstance(block, Skippable)]:
            raise DTypeError(f"a block of a SkipNet is {odd[0]!r}; allowed: Skippable. Hint: Skippable(body, gate).")


def skippable(channels: int, *, rng: Seed, dtype: Any = np.float64, grid: float = GRID) -> Skippable:
    """f = ReLU(norm(conv 3x3)),   a = w · mean(x) + 1,  w = 0 at first: the gate starts open, for all samples alike"""
    C = as_integer(channels, "channels", 1)
    body = Sequential(convolution(C, C, 3, rng=rng, grid=grid, dtype=dtype))
    decide = Linear(C, 1, rng=0, dtype=dtype)
    decide.weight, decide.bias = Parameter(np.zeros((1, C), dtype)), Parameter(np.ones(1, dtype))
    return Skippable(body, Sequential([GlobalAvgPool(), decide]))


def with_gates(model: Layer) -> SkipNet:
    """The model, if it has gates.   Raises DTypeError."""
    if not isinstance(model, SkipNet):
        raise DTypeError(f"the model is a {type(model).__name__}; allowed: a SkipNet.")
    return model


def all_on(model: SkipNet) -> Sequential:
    """The same layers without gates, every block in use: a plain residual network."""
    with_gates(model)
    return Sequential([model.stem, *(Residual(block.body) for block in model.blocks), model.head])


def priced(price: float, loss: Loss = cross_entropy) -> Loss:
    """E = loss(z, target) + λ mean(G),   dz = dloss,  dG = λ / (N B)      outputs (z, G)   Raises RangeError."""
    price = as_number(price, "price", 0)

    def total(outputs: Pair, target: Any) -> tuple[float, Pair]:
        z, G = outputs
        value, dz = loss(z, target)
        return value + price * float(G.mean()), (dz, np.full(G.shape, price / G.size, G.dtype))

    total.__name__ = f"price {price:g}, {getattr(loss, '__name__', type(loss).__name__)}"  # checkpoints know it by this
    return total


def gated_error(model: SkipNet, x: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of wrong answers with the gates in charge.   Raises NonFiniteError, LabelError."""
    z, _ = predict(with_gates(model), x)
    return float(np.mean(z.argmax(1) != as_labels(labels, *z.shape)))


class Skipped(NamedTuple):
    """Logits (N, classes); gates (N, B), True where a block ran; multiply-accumulates executed for all samples: in
    the blocks, and in all."""

    outputs: np.ndarray
    gates: np.ndarray
    in_blocks: int
    macs: int


def skip(model: SkipNet, x: np.ndarray, gates: np.ndarray | None = None, *, batch: int = 1000) -> Skipped:
    """Run the network in evaluation mode, and count what it executes.

    gates (N, B): decisions to obey instead of the network's own, which are then not computed; open where > 0.
    Raises ShapeError, NonFiniteError for outputs that are NaN or infinite, and what as_array and the layers raise.
    """
    x, batch = as_array(x, "x", (None, ...)), as_integer(batch, "batch", 1)
    blocks = len(with_gates(model).blocks)
    given = None if gates is None else as_array(gates, "gates", (len(x), blocks))
    before = model.training
    model.train(False)
    try:
        with np.errstate(all="ignore"):  # what overflows is found below
            parts = [skip_batch(model, x[i : i + batch], None if given is None else given[i : i + batch])
                     for i in range(0, len(x), batch)]
    finally:
        model.train(before)
    outputs, found, in_blocks, total = zip(*parts, strict=True)
    z = np.concatenate(outputs)
    check_finite(z, "the model's output")
    return Skipped(z, np.concatenate(found) > 0, sum(in_blocks), sum(total))


def skip_batch(model: SkipNet, x: np.ndarray, gates: np.ndarray | None) -> Skipped:
    """`skip` for one batch."""
    (z, G), ran = counted(model)(x, gates)
    in_blocks = sum(within(ran, f"blocks.{b}.body") for b in range(len(model.blocks)))
    return Skipped(z, G, in_blocks, sum(ran.values()))


def majority(gates: np.ndarray) -> np.ndarray:
    """(B,): what each block does for most samples      gates (N, B)"""
    return as_array(gates, "gates", (None, None)).mean(0) > 0.5
