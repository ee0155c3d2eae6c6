"""B-LeNet on MNIST (Teerapittayanon, McDanel & Kung 2016): LeNet with one branch, where most samples leave.

The recipe was chosen by the validation images, with seed 0. The figures are errors on the test images.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import data
from ...counting import layer_macs
from ...data import Dataset
from ...dynamic.exits import exit_errors, joint
from ...dynamic.routing import entropy, exit_macs, route
from ...dynamic.thresholds import common, curve, uncertainties, within_budget
from ...nn import (
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    MultiExit,
    ReLU,
    Sequential,
    error,
    predict,
)
from ...table import percent
from ..row import Claim, Row, at_least, at_most, minutes, near, times
from ..training import fit


class Recipe(NamedTuple):
    """The budget: mean multiply-accumulates, as a fraction of LeNet's."""

    epochs: int
    lr: float
    batch: int
    budget: float


MNIST = Recipe(6, 2e-3, 100, 0.27)
THIRD = 1 / 3


def b_lenet(side: int, classes: int, rng: np.random.Generator) -> MultiExit:
    """LeNet with three convolutions, and a branch after the first, in float32; the layers are those of their code."""
    def conv(n_in: int, n_out: int, kernel: int, padding: int) -> list[Layer]:
        return [Conv2d(n_in, n_out, kernel, padding=padding, rng=rng, dtype=np.float32), MaxPool2d(2), ReLU()]

    def linear(n_in: int, n_out: int) -> Layer:
        return Linear(n_in, n_out, rng=rng, dtype=np.float32)

    first = (side + 2) // 2
    third = ((first + 2) // 2 + 2) // 2
    rest = [*conv(5, 10, 5, 3), *conv(10, 20, 5, 3), Flatten(), linear(20 * third**2, 84)]
    branch = [*conv(5, 10, 3, 1), Flatten(), linear(10 * (first // 2) ** 2, classes)]
    return MultiExit([Sequential(conv(1, 5, 5, 3)), Sequential(rest)], [Sequential(branch), linear(84, classes)])


def lenet(model: MultiExit) -> Sequential:
    """The same network without its branch; layers are shared."""
    return Sequential([*model.stages, model.exits[-1]])


def seconds(call: Callable[[], Any], repeats: int = 5) -> float:
    """The median processor time of a call."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def speed_up(plain: Layer, model: MultiExit, thresholds: np.ndarray, x: np.ndarray, batch: int) -> float:
    """Seconds of the plain network over those of the routed one."""
    slow = seconds(lambda: predict(plain, x, batch))
    return slow / seconds(lambda: route(model, x, thresholds, batch=batch))


def compare(samples: Dataset, recipe: Recipe, seed: int) -> dict[str, float]:
    """LeNet and B-LeNet, trained alike from the same start; the threshold from the validation images."""
    side, classes = samples.train.x.shape[-1], len(samples.classes)
    how: dict[str, Any] = {"epochs": recipe.epochs, "lr": recipe.lr, "batch": recipe.batch, "seed": seed}
    plain = lenet(b_lenet(side, classes, np.random.default_rng(seed)))
    fit(plain, samples.train, **how)
    model = b_lenet(side, classes, np.random.default_rng(seed))
    fit(model, samples.train, loss=joint(), **how)
    (x, labels), (x_test, test_labels) = samples.validation, samples.test
    outputs, full = predict(model, x), sum(layer_macs(plain, x[:1]).values())
    points = curve(outputs, labels, exit_macs(model, x[:1]), common(uncertainties(outputs, entropy), 1000))
    chosen = within_budget(points, recipe.budget * full)
    routed = route(model, x_test, chosen.thresholds)
    first, last = exit_errors(model, x_test, test_labels)
    return {"full": error(plain, x_test, test_labels), "first": first, "last": last,
            "error": float(np.mean(routed.outputs.argmax(1) != test_labels)),
            "early": float(np.mean(routed.exits == 0)), "macs": routed.macs / len(x_test) / full,
            "threshold": float(chosen.thresholds[0]),
            "faster": speed_up(plain, model, chosen.thresholds, x_test, 1000),
            "faster, one by one": speed_up(plain, model, chosen.thresholds, x_test[:500], 1)}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(images=True), MNIST, seed)


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the paper."""
    return (f"B-LeNet on MNIST in float32: convolutions of 5, 10 and 20 filters of 5x5 (padding 3), each with max "
            f"pooling and ReLU, 84 and 10 units; after the first pooling a branch of 10 filters of 3x3, pooling, ReLU "
            f"and 10 units. 55,000 training images, {recipe.epochs} epochs of Adam from {recipe.lr:g} to 0 (cosine), "
            f"batches of {recipe.batch}, both losses with weight 1. LeNet is the same network without the branch, from "
            f"the same start, trained alike. Samples leave at the branch if the entropy is at most a threshold, chosen "
            f"on the validation images to spend {100 * recipe.budget:g} % of LeNet's multiply-accumulates. The paper "
            f"starts B-LeNet from the trained LeNet, trains it for another 100 epochs, pools incomplete windows too, "
            f"chooses the threshold by results on the test images, and times images one by one.")


BRANCHYNET = Row(
    "branchynet", "Teerapittayanon, McDanel & Kung 2016, BranchyNet, section IV and table I", protocol(MNIST), run,
    [Claim("error, LeNet", "0.80 %", "full"),
     Claim("error, B-LeNet, all leave at the branch", "-", "first"),
     Claim("error, B-LeNet, all leave at the end", "-", "last"),
     Claim("error, B-LeNet, routed", "0.75 %", "error", criteria=[near("full", 0.001)]),
     Claim("leave at the branch", "94.3 %", "early", lambda s: percent(s, 1),
           [at_least(0.85, lambda s: percent(s, 0))]),
     Claim("multiply-accumulates, of LeNet's", "-", "macs", lambda s: percent(s, 1),
           [at_most(THIRD, lambda s: percent(s, 1))]),
     Claim("threshold of the entropy", "0.025", "threshold", lambda t: f"{t:.3f}"),
     Claim("faster than LeNet, batches of 1,000", "-", "faster", times),
     Claim("faster than LeNet, one by one", "5.4x", "faster, one by one", times),
     Claim("time on one core", "-", "seconds", minutes)])
