"""MSDNet on MNIST (Huang et al. 2018): many exits, and a budget of multiply-accumulates that is kept on new images.

The recipe was chosen by the validation images, with seed 0. The figures are errors on the test images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ... import data
from ...data import Dataset, Samples
from ...dynamic.exits import exit_errors, joint
from ...dynamic.msdnet import msdnet
from ...dynamic.routing import doubt, exit_macs, route
from ...dynamic.thresholds import cheapest, curve, graded, uncertainties, within_budget
from ...nn import predict
from ...table import percent
from ..row import Claim, Row, at_most, count, minutes, near
from ..training import fit


class Recipe(NamedTuple):
    """images: to train on. width: channels of the first layer at each scale. growth: channels that f and g add."""

    images: int
    scales: int
    exits: int
    width: int
    growth: int
    epochs: int
    lr: float
    batch: int


MNIST = Recipe(20_000, 3, 4, 6, 4, 10, 5e-3, 50)


def compare(samples: Dataset, recipe: Recipe, seed: int) -> dict[str, float]:
    """The errors of the exits, and of routing with the mean cost of each; thresholds from the validation images."""
    few = Samples(*(part[: recipe.images] for part in samples.train))
    model = msdnet(1, len(samples.classes), scales=recipe.scales, exits=recipe.exits, width=recipe.width,
                   growth=recipe.growth, rng=seed, dtype=np.float32)
    fit(model, few, epochs=recipe.epochs, lr=recipe.lr, batch=recipe.batch, seed=seed, loss=joint())
    (x, labels), (x_test, test_labels), L = samples.validation, samples.test, recipe.exits
    outputs, costs = predict(model, x), exit_macs(model, x[:1])
    points = curve(outputs, labels, costs, graded(uncertainties(outputs, doubt), 2000), doubt)
    figures = {f"exit {k + 1}": e for k, e in enumerate(exit_errors(model, x_test, test_labels))}
    figures |= {f"macs {k + 1}": n for k, n in enumerate(costs)}

    def spend(thresholds: np.ndarray) -> tuple[float, float]:
        routed = route(model, x_test, thresholds, measure=doubt)
        return float(np.mean(routed.outputs.argmax(1) != test_labels)), routed.macs / len(x_test)

    off = []
    for k, budget in enumerate(costs[1:-1], start=2):
        figures[f"routed {k}"], spent = spend(within_budget(points, budget).thresholds)
        off.append(abs(spent / budget - 1))
    best = cheapest(points, float(np.mean(outputs[-1].argmax(1) != labels)))
    figures["no loss"], spent = spend(best.thresholds)
    off += [abs(spend(within_budget(points, b).thresholds)[1] / b - 1) for b in (costs[:-1] + costs[1:]) / 2]
    return figures | {"no loss, macs": spent / costs[L - 1], "off": max(off)}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(images=True), MNIST, seed)


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the paper."""
    return (f"An MSDNet on MNIST in float32: {recipe.scales} scales (14x14, 7x7, 4x4 pixels), {recipe.width} channels "
            f"each at first, {recipe.growth} more by every convolution of a layer, an exit after each of "
            f"{recipe.exits} layers (global average pooling of the coarsest scale, a linear map). "
            f"{recipe.images:,} training images, {recipe.epochs} epochs of Adam from {recipe.lr:g} to 0 (cosine), "
            f"batches of {recipe.batch}, all exits with weight 1. A sample leaves at the first exit where 1 - max p is "
            f"at most a threshold. Thresholds come from the validation images: they let shares in proportion to q^k "
            f"leave at exit k, and q is chosen to spend a budget. Budgets are the costs of the exits between the first "
            f"and the last, and the means of neighbouring costs; the deviation is the largest over all of them. The "
            f"paper has CIFAR and ImageNet, up to 11 exits, bottlenecks, and deeper networks.")


EXITS = range(1, MNIST.exits + 1)
MSDNET = Row(
    "msdnet", "Huang, Chen, Li, Wu, van der Maaten & Weinberger 2018, Multi-Scale Dense Networks, sections 4 and 5",
    protocol(MNIST), run,
    [*(Claim(f"error, all leave at exit {k}", "-", f"exit {k}") for k in EXITS),
     *(Claim(f"error, routed at the cost of exit {k}", "below exit", f"routed {k}", criteria=[near(f"exit {k}", 0)])
       for k in EXITS[1:-1]),
     *(Claim(f"budget missed by at most, {of}", "-", "off", percent, [at_most(0.03, lambda s: percent(s, 0))], average)
       for of, average in (("mean of the seeds", np.mean), ("worst seed", np.max))),
     Claim("error, cheapest thresholds without loss", "-", "no loss"),
     Claim("multiply-accumulates then, of the last exit's", "-", "no loss, macs", lambda s: percent(s, 1)),
     *(Claim(f"multiply-accumulates, exit {k}", "-", f"macs {k}", count) for k in EXITS),
     Claim("time on one core", "-", "seconds", minutes)])
