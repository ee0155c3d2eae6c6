"""Lecture 12: does a binary network learn, and is it regularized? The same perceptron, trained in several ways.

A Way says what is binary and how it is trained; `learn` trains it, from the same numbers and on the same images in the
same order as any other way with that seed. `noisy` spoils labels, because on clean digits every way does as well.

    after training   `signs_of` a float network: its signs, without any training for them; `rounded`: a stochastic
                     network tested with the signs of its weights instead of the weights themselves;
                     `counts_exactly`: packed products against integer ones
    in pictures      `walk`: two weights that are trained among the four corners of a square

Batch norm after every linear map, squared hinge loss, Adam (Courbariaux, Bengio & David 2015, section 3.1).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..inputs import as_array, as_fraction, as_generator, as_integer
from ..nn import (
    SGD,
    Adam,
    BatchNorm,
    Dropout,
    Layer,
    Linear,
    ReLU,
    Sequential,
    Sign,
    cosine,
    error,
    mean_squared_error,
    squared_hinge,
    train,
)
from ..nn.evaluation import Samples
from ..nn.layers import Seed
from .binary import Binary, binarize
from .packed import pack, product


class Way(NamedTuple):
    """A way of training: the first learning rate, what is binary, and the fraction of hidden units dropped."""

    lr: float
    binary: bool = False
    stochastic: bool = False
    scale: str | None = None
    signs: bool = False  # activations are binary, too
    dropout: float = 0.0


class Budget(NamedTuple):
    """What all ways have in common; sizes from the inputs to the classes."""

    sizes: Sequence[int]
    epochs: int
    batch: int = 50
    grid: float | None = None
    dtype: Any = np.float64


def perceptron(sizes: Sequence[int], *, rng: Seed, signs: bool = False, dropout: float = 0.0,
               dtype: Any = np.float64) -> Sequential:
    """Linear → BatchNorm → ReLU or Sign [→ Dropout] for each hidden layer, then Linear → BatchNorm      no biases"""
    rng, layers = as_generator(rng), list[Layer]()
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        if i:
            layers += [Sign() if signs else ReLU(), *([Dropout(dropout, rng=rng)] if dropout else [])]
        layers += [Linear(a, b, rng=rng, bias=False, dtype=dtype), BatchNorm(b, dtype=dtype)]
    return Sequential(layers)


def learn(way: Way, budget: Budget, samples: Samples, seed: int) -> Sequential:
    """The trained network of a way."""
    rng = as_generator(seed)
    model = perceptron(budget.sizes, rng=rng, signs=way.signs, dropout=way.dropout, dtype=budget.dtype)
    if way.binary:
        binarize(model.weights(), way.scale, rng=rng if way.stochastic else None)
    optimizer = Adam(model.parameters(), way.lr, grid=budget.grid)
    for _ in train(model, optimizer, samples, epochs=budget.epochs, rng=seed, batch=budget.batch, loss=squared_hinge,
                   schedule=cosine, progress=False):
        pass
    return model


def compare(ways: Mapping[str, Way], budget: Budget, samples: Samples, test: Samples, seed: int) -> dict[str, float]:
    """Way → its error on the test samples."""
    return {name: error(learn(way, budget, samples, seed), *test) for name, way in ways.items()}


def noisy(samples: Samples, n: int, share: float, *, rng: Seed) -> Samples:
    """The first n samples, of which round(share n) labels are drawn anew from all classes, some of them right again."""
    x, labels = samples[0][: as_integer(n, "n", 1, len(samples[0]))], samples[1][:n].copy()
    rng = as_generator(rng)
    chosen = rng.permutation(n)[: int(np.rint(as_fraction(share, "share") * n))]
    labels[chosen] = rng.integers(0, samples[1].max() + 1, len(chosen))
    return x, labels


def signs_of(model: Layer, scale: str = "channel") -> Layer:
    """A copy of a finished network whose weights are α sign w, for which it was never trained."""
    model = copy.deepcopy(model)
    for weight in model.weights():
        weight.become(weight.forward(), [Binary(scale)])
    return model


def rounded(model: Layer) -> Layer:
    """A copy of a stochastic network that takes the sign of each weight: the likelier of its two draws."""
    model = copy.deepcopy(model)
    for _, node in model.walk():
        if isinstance(node, Binary):
            node.rng = None
    return model


def counts_exactly(model: Sequential, x: np.ndarray) -> bool:
    """Whether xor and popcount give the ± 1 products of every linear layer behind signs, for the inputs x."""
    model, equal, behind_signs = copy.deepcopy(model), [], False
    model.train(False)
    for layer in model.layers:
        if isinstance(layer, Linear) and behind_signs:
            a, w = x > 0, layer.weight.forward() > 0
            products = np.where(a, 1, -1) @ np.where(w, 1, -1).T
            equal.append(np.array_equal(product(pack(a), pack(w), w.shape[1]), products))
        x, behind_signs = layer.forward(x), isinstance(layer, Sign)
    return bool(equal) and all(equal)


def walk(target: Sequence[float], start: Sequence[float], *, steps: int, lr: float, rng: Seed, batch: int = 8
         ) -> tuple[np.ndarray, np.ndarray]:
    """The real weights of y = w · x before each step, and the corners ± 1 that were used      (steps, n), (steps, n)

    The corner should answer as `target` does, on new x in [-1, 1]ⁿ at every step; plain gradient descent.
    """
    rng, t = as_generator(rng), as_array(target, "target", (None,))
    model = Linear(len(t), 1, rng=rng, bias=False)
    model.weight.become(as_array(start, "start", t.shape)[None], [Binary()])
    optimizer, places = SGD(model.parameters(), lr, momentum=0), []
    for _ in range(as_integer(steps, "steps", 1)):
        places.append((model.weight.data[0].copy(), model.weight.forward()[0]))
        x = rng.uniform(-1, 1, (batch, len(t)))
        _, dy = mean_squared_error(model.forward(x), (x @ t)[:, None])
        model.learn(dy)
        optimizer.step()
    points, corners = np.array(places).swapaxes(0, 1)
    return points, corners
