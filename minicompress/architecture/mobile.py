"""Lecture 14: small networks of each kind of block, and whether cheap blocks are worth their errors.

    network(block, width)     stem, two blocks, mean over all positions, classifier: only the block differs
    widest(block, …)          the width at which a block costs as much as another one
    compare(arms, …)          all trained alike but for the learning rate; their errors
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..counting import layer_macs
from ..errors import RangeError
from ..inputs import as_choice, as_function, as_generator, as_integer, as_number
from ..nn import GRID, Adam, BatchNorm, GlobalAvgPool, Layer, Linear, Sequential, cosine, error, train
from ..nn.evaluation import Samples
from ..nn.layers import Seed
from .blocks import convolution, fire, full, inverted_residual, separable, shuffle_unit, xception_module

Block = Callable[..., Layer]  # (n_in, n_out, *, rng, stride, dtype)

BLOCKS: dict[str, Block] = {"full": full, "separable": separable, "inverted residual": inverted_residual, "Fire": fire,
                            "ShuffleNet unit": shuffle_unit, "Xception module": xception_module}


def network(block: Block, width: int, *, rng: Seed, side: int = 8, classes: int = 10, grid: float = GRID,
            dtype: Any = np.float64) -> Sequential:
    """3 x 3 to `width` channels, block to 2 width at half the side, block, mean over positions, linear

    For images (N, 1, side, side); those of more than 8 pixels are halved by the stem too. grid: of batch norm's
    statistics. Fire modules and ShuffleNet units need a width that 4 divides.
    """
    block, width, rng = as_function(block, "block"), as_integer(width, "width", 1), as_generator(rng)
    model = Sequential([*convolution(1, width, 3, rng=rng, stride=1 if side <= 8 else 2, dtype=dtype),
                        block(width, 2 * width, rng=rng, stride=2, dtype=dtype),
                        block(2 * width, 2 * width, rng=rng, dtype=dtype),
                        GlobalAvgPool(), Linear(2 * width, classes, rng=rng, dtype=dtype)])
    for _, node in model.walk():
        if isinstance(node, BatchNorm):
            node.grid = grid
    return model


class Cost(NamedTuple):
    """Weights, scales and shifts included, and multiply-accumulates for one image."""

    weights: int
    macs: int


def cost(model: Layer, side: int = 8) -> Cost:
    """What a network for images (N, 1, side, side) costs, by the ledger."""
    dtype = model.parameters()[0].data.dtype
    return Cost(sum(p.forward().size for p in model.parameters()),
                sum(layer_macs(model, np.zeros((1, 1, side, side), dtype)).values()))


def widest(block: Block, budget: int, what: str, *, side: int = 8, step: int = 1) -> int:
    """The largest multiple of `step` at which `network` has no more than `budget` of `what`: "weights" or "macs"

    Raises RangeError where not even the first fits.
    """
    as_choice(what, "what", Cost._fields)
    width, budget = 0, int(as_number(budget, "budget"))
    while getattr(cost(network(block, width + step, rng=0, side=side), side), what) <= budget:
        width += step
    if not width:
        raise RangeError(f"no width fits {budget} {what}; allowed: more of them.")
    return width


class Arm(NamedTuple):
    """A network of one kind of block and a learning rate, which each kind needs for itself."""

    block: Block
    width: int
    lr: float = 0.01


def fit(arm: Arm, samples: Samples, seed: int, *, epochs: int = 30, batch: int = 50,
        grid: float = 2**-16) -> Sequential:
    """A new network of the arm, trained by Adam with a cosine schedule in float64."""
    model = network(arm.block, arm.width, rng=seed, side=np.shape(samples[0])[-1], grid=grid)
    for _ in train(model, Adam(model.parameters(), arm.lr, grid=grid), samples, epochs=epochs, rng=seed, batch=batch,
                   schedule=cosine, progress=False):
        pass
    return model


def compare(arms: Mapping[str, Arm], samples: Samples, test: Samples, seed: int, **options: Any) -> dict[str, float]:
    """Name of an arm → the fraction of the test images that its network gets wrong; options: those of `fit`"""
    return {name: error(fit(arm, samples, seed, **options), *test) for name, arm in arms.items()}
