"""Skipped blocks on MNIST (Wang et al. 2018): a residual network in which each image chooses its blocks.

The recipe was chosen by the validation images, with seed 0. The figures are errors on the test images.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ... import data
from ...counting import layer_macs
from ...data import Dataset, Samples
from ...dynamic.skipping import SkipNet, all_on, gated_error, majority, priced, skip, skippable
from ...nn import (
    BatchNorm,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    error,
)
from ...table import percent
from ..row import Claim, Row, at_least, minutes, near, points
from ..training import fit


class Recipe(NamedTuple):
    """images: to train on. epochs: with all blocks in use, and then with gates. price: λ"""

    images: int
    channels: int
    blocks: int
    epochs: tuple[int, int]
    lr: tuple[float, float]
    price: float
    batch: int


MNIST = Recipe(20_000, 12, 6, (4, 8), (5e-3, 5e-3), 0.1, 50)


def skipnet(recipe: Recipe, side: int, classes: int, rng: np.random.Generator) -> SkipNet:
    """A stem that leaves a quarter of the side, the blocks, a linear map; in float32."""
    C, f32 = recipe.channels, np.float32
    stem = Sequential([Conv2d(1, C, 3, stride=2, padding=1, rng=rng, bias=False, dtype=f32), BatchNorm(C, dtype=f32),
                       ReLU(), MaxPool2d(2)])
    blocks = [skippable(C, rng=rng, dtype=f32) for _ in range(recipe.blocks)]
    head = Sequential([Flatten(), Linear(C * ((side + 1) // 4) ** 2, classes, rng=rng, dtype=f32)])
    return SkipNet(stem, blocks, head)


def compare(samples: Dataset, recipe: Recipe, seed: int) -> dict[str, float]:
    """Gates against all blocks in use, trained as long; what the choice is worth, by two controls."""
    few = Samples(*(part[: recipe.images] for part in samples.train))
    (x, labels), rng = samples.test, np.random.default_rng(seed)

    first, second = (dict[str, Any](epochs=epochs, lr=lr, batch=recipe.batch, seed=seed)
                     for epochs, lr in zip(recipe.epochs, recipe.lr, strict=True))

    def wrong(gates: np.ndarray) -> float:
        return float(np.mean(skip(gated, x, gates).outputs.argmax(1) != labels))

    gated = skipnet(recipe, x.shape[-1], len(samples.classes), rng)
    fit(all_on(gated), few, **first)
    plain = all_on(copy.deepcopy(gated))
    fit(plain, few, **second)
    fit(gated, few, loss=priced(recipe.price), **second)
    done, full = skip(gated, x), skip(gated, x, np.ones((len(x), recipe.blocks), bool))
    fixed = majority(skip(gated, samples.validation.x).gates)
    figures = {"all on": error(plain, x, labels), "error": gated_error(gated, x, labels),
               "skipped": 1 - done.in_blocks / full.in_blocks,
               "macs": done.macs / len(x) / sum(layer_macs(plain, x[:1]).values()),
               "open": wrong(full.gates), "shuffled": wrong(rng.permutation(done.gates)),
               "fixed": wrong(np.tile(fixed, (len(x), 1))), "fixed, skipped": 1 - fixed.mean(),
               "undecided": np.mean((done.gates.mean(0) > 0.05) & (done.gates.mean(0) < 0.95)) * recipe.blocks}
    return figures | {"shuffling": figures["shuffled"] - figures["error"]}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(images=True), MNIST, seed)


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the paper."""
    (dense, gated), (fast, slow) = recipe.epochs, recipe.lr
    return (f"A residual network on MNIST in float32: a convolution 3x3 of {recipe.channels} filters with stride 2 and "
            f"max pooling (7x7 pixels), {recipe.blocks} blocks x + g ReLU(norm(conv 3x3)), a linear map of what they "
            f"give. The gate g is open where a linear map of the block's averaged input is positive, with the "
            f"straight-through gradient of a sigmoid. {recipe.images:,} training images, Adam with cosine schedules, "
            f"batches of {recipe.batch}: {dense} epochs from {fast:g} with all blocks in use, then {gated} epochs from "
            f"{slow:g} with gates and a price of {recipe.price:g} times the mean gate; for comparison the same {gated} "
            f"epochs without gates. Controls on the gated network: the images' routes shuffled, every block fixed to "
            f"what it did for most validation images, all gates forced open. The paper has CIFAR, SVHN and ImageNet, "
            f"up to 110 layers, gates with convolutions or an LSTM, and reinforcement learning after the supervised "
            f"stage.")


SKIPNET = Row(
    "skipnet", "Wang, Yu, Dou, Darrell & Gonzalez 2018, SkipNet, sections 3 and 4", protocol(MNIST), run,
    [Claim("error, all blocks in use", "-", "all on"),
     Claim("error, gated", "as without gates", "error", criteria=[near("all on", 0.005)]),
     Claim("of the blocks' multiply-accumulates skipped", "30 to 90 %", "skipped", lambda s: percent(s, 1),
           [at_least(0.3, lambda s: percent(s, 0))]),
     Claim("multiply-accumulates, gates included, of the network's", "-", "macs", lambda s: percent(s, 1)),
     Claim("blocks that are open for 5 to 95 % of the images", "-", "undecided", lambda n: f"{n:.1f}"),
     Claim("error, gated, gates forced open", "-", "open"),
     Claim("error, routes shuffled between images", "-", "shuffled"),
     Claim("error, every block as for most images", "-", "fixed"),
     Claim("skipped then", "-", "fixed, skipped", lambda s: percent(s, 1)),
     Claim("gates depend on the image: shuffling costs", "yes", "shuffling", points, verdict=True, margin=0.005),
     Claim("time on one core", "-", "seconds", minutes)])
