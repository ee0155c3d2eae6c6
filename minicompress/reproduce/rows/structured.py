"""Structured sparsity on MNIST: group lasso takes pixels and units out of a perceptron (Wen et al. 2016, section 4.1).

The recipe was chosen by the validation images, with seeds 0 and 1. The figures are errors on the test images.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from ... import data
from ...counting import layer_macs
from ...data import Dataset, Samples
from ...nn import SGD, Layer, Linear, ReLU, Sequential, cosine, error, predict, train
from ...pruning.group_lasso import group_lasso, group_norms
from ...pruning.surgery import remove_inputs, remove_units
from ...table import percent
from ..row import EVERY_SEED, Claim, Row, at_least, at_most, count, minutes, yes


class Recipe(NamedTuple):
    """Stages as (epochs, learning rate, weight decay, or strength of the group lasso)."""

    batch: int
    dense: tuple[int, float, float]
    lasso: tuple[int, float, float]
    tune: tuple[int, float, float]


MNIST = Recipe(100, (15, 0.1, 3e-4), (25, 0.1, 3e-3), (20, 0.05, 1e-4))
HIDDEN = 500, 300


def perceptron(n_in: int, classes: int, rng: np.random.Generator) -> Sequential:
    """in-500-300-out, in float32."""
    one, two = HIDDEN
    return Sequential([Linear(n_in, one, rng=rng, dtype=np.float32), ReLU(),
                       Linear(one, two, rng=rng, dtype=np.float32), ReLU(),
                       Linear(two, classes, rng=rng, dtype=np.float32)])


def fit(model: Layer, samples: Samples, epochs: int, optimizer: SGD, batch: int, rng: np.random.Generator) -> None:
    """Train with a cosine schedule."""
    for _ in train(model, optimizer, samples, epochs=epochs, rng=rng, batch=batch, schedule=cosine, progress=False):
        pass


def shrink(model: Sequential) -> np.ndarray:
    """Remove the pixels and units whose outgoing weights are all zero; returns which pixels are left."""
    pixels, first, second = [group_norms(weight.data, "columns") > 0 for weight in model.weights()]
    remove_inputs(model, pixels)
    remove_units(model, "layers.0", first)
    remove_units(model, "layers.2", second)
    for weight in model.weights():
        weight.bake()  # no group lasso from here on, also where nothing was removed
    return pixels


def products(model: Layer, x: np.ndarray) -> int:
    """Multiply-accumulates for one sample."""
    return sum(layer_macs(model, x[:1]).values())


def difference(one: Layer, x: np.ndarray, other: Layer, y: np.ndarray) -> float:
    """The largest difference between the outputs for x and for y, in float64, over the largest output."""
    models = copy.deepcopy(one), copy.deepcopy(other)
    for parameter in (p for model in models for p in model.parameters()):
        parameter.become(parameter.forward().astype(np.float64))
    a, b = (predict(model, z.astype(np.float64)) for model, z in zip(models, (x, y), strict=True))
    return float(np.abs(a - b).max() / np.abs(a).max())


def sparsify(samples: Dataset, recipe: Recipe, rng: np.random.Generator) -> dict[str, float]:
    """Train, sparsify, shrink, train on; the errors on the way, what is left, and what it costs."""
    (x, labels), (x_test, test_labels) = samples.train, samples.test
    model = perceptron(x.shape[1], len(samples.classes), rng)
    epochs, lr, decay = recipe.dense
    fit(model, samples.train, epochs, SGD(model.parameters(), lr, weight_decay=decay), recipe.batch, rng)
    figures, dense = {"dense": error(model, *samples.test)}, products(model, x)
    epochs, lr, strength = recipe.lasso
    optimizer = SGD(model.parameters(), lr)
    group_lasso(optimizer, model.weights(), strength, "columns")
    fit(model, samples.train, epochs, optimizer, recipe.batch, rng)
    figures["lasso"] = error(model, *samples.test)
    sparse = copy.deepcopy(model)
    pixels = shrink(model)
    x, x_small = x[:, pixels], x_test[:, pixels]
    figures["difference"] = difference(sparse, x_test, model, x_small)
    epochs, lr, decay = recipe.tune
    fit(model, Samples(x, labels), epochs, SGD(model.parameters(), lr, weight_decay=decay), recipe.batch, rng)
    inputs, first, second = [weight.shape[1] for weight in model.weights()]
    return figures | {"error": error(model, x_small, test_labels), "inputs": inputs, "first": first, "second": second,
                      "gone": 1 - products(model, x) / dense, "equal": figures["difference"] <= 1e-12}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return sparsify(data.mnist(), MNIST, np.random.default_rng(seed))


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the paper."""
    (dense, fast, decay), (lasso, rate, strength), (tune, slow, less) = recipe.dense, recipe.lasso, recipe.tune
    return (f"A perceptron 784-500-300-10 on MNIST in float32: 55,000 training images, SGD with momentum 0.9, cosine "
            f"schedules, batches of {recipe.batch}. Dense: {dense} epochs at {fast:g} with a weight decay of "
            f"{decay:g}. Then {lasso} epochs at {rate:g} with a group lasso of {strength:g} on the outgoing weights of "
            f"every pixel and unit, a proximal step after each step. What then has no outgoing weights is removed for "
            f"real, and the small network trains {tune} epochs at {slow:g} with a weight decay of {less:g}. The "
            f"largest difference of outputs is over the test images, in float64, between the sparse network and the "
            f"small one, relative to the largest output. The paper's share of the FLOPs follows from its widths.")


STRUCTURED = Row(
    "structured", "Wen, Wu, Wang, Chen & Li 2016, Learning Structured Sparsity in Deep Neural Networks, section 4.1",
    protocol(MNIST), run,
    [Claim("error, dense", "1.43 %", "dense"),
     Claim("error, sparse, before it is shrunk and tuned", "-", "lasso"),
     Claim("error, small", "1.34 %", "error", percent, [at_most(0.016, percent)]),
     Claim("pixels read, of 784", "469", "inputs", count),
     Claim("units left of 500", "294", "first", count),
     Claim("units left of 300", "166", "second", count),
     Claim("FLOPs gone", "65 %", "gone", lambda share: percent(share, 1), [at_least(0.6, lambda s: percent(s, 0))]),
     Claim("largest difference of outputs", "-", "difference", lambda d: f"{d:.0e}"),
     Claim("the small network equals the masked one", "-", "equal", yes, [EVERY_SEED]),
     Claim("time on one core", "-", "seconds", minutes)])
