"""A slimmable perceptron on MNIST (Yu et al. 2019): four widths in one set of weights, and what batch norm has to do.

The recipe was chosen by the validation images, with seed 0. The figures are errors on the test images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import data
from ...data import Dataset
from ...dynamic.exits import exit_errors, joint
from ...dynamic.slicing import SHARED, SWITCHABLE, export, slim
from ...dynamic.slimmable import Slimmable
from ...ledger import file_bytes
from ...nn import (
    BatchNorm,
    Layer,
    Linear,
    ReLU,
    Sequential,
    error,
)
from ...pruning.structured import recalibrate
from ..row import Claim, Row, at_least, count, minutes, near, points
from ..training import fit


class Recipe(NamedTuple):
    """hidden: units of each of the two hidden layers at width 1."""

    hidden: int
    epochs: int
    lr: float
    batch: int


MNIST = Recipe(256, 6, 2e-3, 100)
WIDTHS = {0.25: "1/4", 0.5: "1/2", 0.75: "3/4", 1.0: "1"}


def perceptron(n_in: int, hidden: int, classes: int, rng: np.random.Generator) -> Sequential:
    """Two hidden layers with batch norm, in float32."""
    def block(n: int) -> list[Layer]:
        linear = Linear(n, hidden, rng=rng, bias=False, dtype=np.float32)
        return [linear, BatchNorm(hidden, grid=0, dtype=np.float32), ReLU()]

    return Sequential([*block(n_in), *block(hidden), Linear(hidden, classes, rng=rng, dtype=np.float32)])


def compare(samples: Dataset, recipe: Recipe, seed: int) -> dict[str, float]:
    """Both kinds of batch norm from the same start, the shared one also recalibrated, and each width by itself."""
    n_in, classes = samples.train.x.shape[1], len(samples.classes)
    how: dict[str, Any] = {"epochs": recipe.epochs, "lr": recipe.lr, "batch": recipe.batch, "seed": seed}
    figures: dict[str, float] = {}

    def start(width: float) -> Sequential:
        return perceptron(n_in, round(width * recipe.hidden), classes, np.random.default_rng(seed))

    for norms in (SWITCHABLE, SHARED):
        model = Slimmable(slim(start(1), WIDTHS, norms=norms))
        fit(model, samples.train, loss=joint(), **how)
        errors = exit_errors(model, *samples.test)
        figures |= {f"{norms}, {name}": float(e) for name, e in zip(WIDTHS.values(), errors, strict=True)}
        figures[f"bytes, {norms}"] = file_bytes(model.body)
    for i, name in enumerate(WIDTHS.values()):
        small = export(model.body, i)
        recalibrate(small, samples.train.x)
        figures[f"recalibrated, {name}"] = error(small, *samples.test)
    own = []
    for width, name in WIDTHS.items():
        small = start(width)
        fit(small, samples.train, **how)
        figures[f"own, {name}"] = error(small, *samples.test)
        own.append(file_bytes(small))
    collapse = max(figures[f"shared, {name}"] - figures[f"own, {name}"] for name in WIDTHS.values())
    return figures | {"bytes, own": sum(own), "collapse": collapse}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(), MNIST, seed)


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the paper."""
    return (f"A perceptron 784-{recipe.hidden}-{recipe.hidden}-10 with batch norm behind both hidden layers, on MNIST "
            f"in float32: 55,000 training images, {recipe.epochs} epochs of Adam from {recipe.lr:g} to 0 (cosine), "
            f"batches of {recipe.batch}. Slimmable: widths {', '.join(WIDTHS.values())}, all of them in every step, "
            f"wide to narrow, their losses summed; batch norm switchable or shared, from the same start. Recalibrated: "
            f"the network with shared batch norm, each width alone with running statistics from the training images. "
            f"Own: a network of each width by itself, trained alike. The paper has no experiment on MNIST; on ImageNet "
            f"it trains MobileNet, ShuffleNet and ResNet.")


def claims() -> list[Claim]:
    """Each width in four ways, then the largest harm, and the files."""
    names = list(WIDTHS.values())
    lines = [Claim(f"error at {name}, its own network", "-", f"own, {name}") for name in names]
    lines += [Claim(f"error at {name}, switchable batch norm", "as its own", f"switchable, {name}",
                    criteria=[near(f"own, {name}", 0.007)]) for name in names]
    lines += [Claim(f"error at {name}, shared batch norm", "fails", f"shared, {name}") for name in names]
    lines += [Claim(f"error at {name}, shared, recalibrated", "-", f"recalibrated, {name}") for name in names]
    return [*lines,
            Claim("shared over own network, largest, in points", "fails", "collapse", points,
                  [at_least(0.05, points)]),
            Claim("bytes, switchable", "-", "bytes, switchable", count),
            Claim("bytes, shared", "-", "bytes, shared", count),
            Claim("bytes, four networks", "-", "bytes, own", count),
            Claim("time on one core", "-", "seconds", minutes)]


SLIMMABLE = Row("slimmable", "Yu, Yang, Xu, Yang & Huang 2019, Slimmable Neural Networks, sections 3 and 4",
                protocol(MNIST), run, claims())
