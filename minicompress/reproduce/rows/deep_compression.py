"""LeNet-300-100 and LeNet-5 on MNIST: pruned (Han et al. 2015), then shared and coded (Deep Compression, 2016).

One run answers both papers, because the second begins where the first ends. LeNet-300-100 has the tour's recipe, and
LeNet-5's was tuned on the validation images with seeds 0 and 1. The figures are errors on the test images.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ... import data, storage
from ...data import Samples
from ...ledger import count as count_weights
from ...ledger import file_bytes, finished
from ...nn import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential, error, predict
from ...pruning.magnitude import prune
from ...quantization.deep_compression import prune_and_share
from ...tour import MNIST, Recipe, lenet_300_100, train_stage
from ..row import EVERY_SEED, Claim, Criterion, Row, at_least, at_most, count, minutes, near, percent, times, yes

CONVOLUTIONAL = Recipe(64, (6, 1e-3), (0.25, 0.1, 0.06), (5, 1e-3), 3e-5, 5, (2, 3e-4))


def lenet_5(rng: np.random.Generator) -> Sequential:
    """LeNet-5 as in Caffe and Han et al.: 20 and 50 filters of 5x5, without ReLU, and 500 units; 431,080 parameters."""
    dtype = np.float32
    return Sequential([Conv2d(1, 20, 5, rng=rng, dtype=dtype), MaxPool2d(2),
                       Conv2d(20, 50, 5, rng=rng, dtype=dtype), MaxPool2d(2), Flatten(),
                       Linear(800, 500, rng=rng, dtype=dtype), ReLU(), Linear(500, 10, rng=rng, dtype=dtype)])


def compress(model: Layer, samples: data.Dataset, recipe: Recipe, rng: np.random.Generator) -> dict[str, float]:
    """Train, prune and share the model by a recipe; its test errors, weights and bytes on the way."""
    fit = functools.partial(train_stage, model, samples, recipe, rng=rng, progress=False)
    fit("dense")
    dense = finished(model, "single")
    half = copy.deepcopy(model)
    prune(half.weights(), 0.5)
    for stage in prune_and_share(model, fit, densities=recipe.densities, bits=recipe.bits):
        if stage == "dead units":
            pruned = finished(model, "single")
    final = finished(model, "half")
    weights, _, left = count_weights(pruned.parameters())
    sizes = file_bytes(dense), file_bytes(final)
    return {"dense": error(dense, *samples.test), "half": error(half, *samples.test),
            "pruned": error(pruned, *samples.test), "weights": left, "fewer": weights / left,
            "compressed": error(final, *samples.test), "bytes": sizes[1], "ratio": sizes[0] / sizes[1],
            "reloaded": reloaded(final, samples.test)}


def reloaded(model: Layer, samples: Samples) -> bool:
    """Whether the model's file gives the same outputs as the model, bit for bit."""
    again = storage.from_bytes(storage.to_bytes(model))
    return np.array_equal(predict(again, samples.x), predict(model, samples.x))


def run_lenet_300_100(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    samples, rng = data.mnist(), np.random.default_rng(seed)
    return compress(lenet_300_100(784, 10, rng, np.float32), samples, MNIST, rng)


def run_lenet_5(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    samples, rng = data.mnist(images=True), np.random.default_rng(seed)
    return compress(lenet_5(rng), samples, CONVOLUTIONAL, rng)


def protocol(recipe: Recipe, network: str) -> str:
    """The recipe in words, with what differs from the papers."""
    densities = ", ".join(f"{100 * density:g}" for density in recipe.densities)
    (dense, fast), (rounds, slow), (centroids, least) = recipe.dense, recipe.prune, recipe.centroids
    return (f"{network} on MNIST in float32: 55,000 training images, Adam with cosine schedules, batches of "
            f"{recipe.batch}. Dense: {dense} epochs at {fast:g}. Pruned by magnitude, the layers in one ranking, to "
            f"{densities} % of the weights, with {rounds} epochs at {slow:g} and an L1 penalty of {recipe.l1:g} after "
            f"each; units that lead nowhere removed. Shared: {recipe.bits} bits a layer, {centroids} epochs at "
            f"{least:g} for the centroids. All numbers in half precision; sizes are those of whole files. The papers "
            f"give each layer its own threshold and retrain with an L2 penalty.")


LINES: list[tuple[str, str, Callable[[float], str]]] = [
    ("2015: error, dense", "dense", percent),
    ("2015: error, half of the weights, not retrained", "half", percent),
    ("2015: error, pruned", "pruned", percent),
    ("2015: weights left", "weights", count),
    ("2015: fewer weights", "fewer", times),
    ("2016: error, in the file", "compressed", percent),
    ("2016: bytes on disk", "bytes", count),
    ("2016: smaller than the dense file", "ratio", times),
    ("same outputs after a reload, bit for bit", "reloaded", yes),
    ("time on one core", "seconds", minutes),
]


def claims(published: Mapping[str, str], criteria: Mapping[str, Sequence[Criterion]]) -> list[Claim]:
    """The lines of both networks, with what was published and what is asked, by figure."""
    return [Claim(what, published.get(figure, "-"), figure, form, criteria.get(figure, ()))
            for what, figure, form in LINES]


PAPER = "Han, Pool, Tran & Dally 2015, table 1 and figure 5; Han, Mao & Dally 2016 (Deep Compression), table 1"

LENET_300_100 = Row(
    "lenet-300-100", PAPER, protocol(MNIST, "LeNet-300-100"), run_lenet_300_100,
    claims({"dense": "1.64 %", "half": "as dense (AlexNet)", "pruned": "1.59 %", "weights": "22K", "fewer": "12x",
            "compressed": "1.58 %", "bytes": "27 KB", "ratio": "40x"},
           {"half": [near("dense", 0.002)],
            "pruned": [at_most(0.0175, percent), near("dense", 0.0015)],
            "weights": [at_most(22_200, count)],
            "compressed": [at_most(0.018, percent), near("dense", 0.0015)],
            "ratio": [at_least(40, times)],
            "reloaded": [EVERY_SEED],
            "seconds": [at_most(8 * 60, minutes)]}))

LENET_5 = Row(
    "lenet-5", PAPER, protocol(CONVOLUTIONAL, "LeNet-5 (20 and 50 filters, 500 units)"), run_lenet_5,
    claims({"dense": "0.80 %", "half": "as dense (AlexNet)", "pruned": "0.77 %", "weights": "36K", "fewer": "12x",
            "compressed": "0.74 %", "bytes": "44 KB", "ratio": "39x"},
           {"pruned": [at_most(0.01, percent)],
            "fewer": [at_least(12, times)],
            "compressed": [at_most(0.01, percent)],
            "ratio": [at_least(39, times)],
            "reloaded": [EVERY_SEED],
            "seconds": [at_most(25 * 60, minutes)]}))
