"""Low rank on MNIST: the first layer of LeNet-300-100 as a product of rank 30, plain and weighted by the data.

The recipe was chosen by the validation images, with seeds 0 and 1. The figures are errors on the test images.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from ... import data
from ...architecture.low_rank import factorize, factors
from ...architecture.moments import Moments, input_moments
from ...architecture.rank import energy, spectrum
from ...counting import layer_macs
from ...data import Dataset
from ...nn import SGD, Layer, Linear, Sequential, cosine, error, train
from ...table import percent
from ...tour import lenet_300_100
from ..row import EVERY_SEED, Claim, Row, count, minutes, near, yes

FIRST = "layers.0"
EXACT = 1e-12


class Recipe(NamedTuple):
    """Stages as (epochs, learning rate); the same weight decay in all."""

    rank: int
    batch: int
    decay: float
    dense: tuple[int, float]
    tune: tuple[int, float]


MNIST = Recipe(30, 100, 1e-4, (12, 0.1), (6, 0.05))


def tail_difference(W: np.ndarray, rank: int) -> float:
    """| ‖W - U V‖ - (Σ_{i>r} s_i²)^½ | / ‖W‖, in float64: what Eckart and Young say is 0"""
    W = W.astype(np.float64)
    U, V = factors(W, rank, grid=0)
    tail = np.sqrt(np.sum(np.linalg.svd(W, compute_uv=False)[rank:] ** 2))
    return float(abs(np.linalg.norm(W - U @ V) - tail) / np.linalg.norm(W))


def thin(model: Sequential, rank: int, rng: np.random.Generator) -> Sequential:
    """The shape of the factored network with new random weights."""
    out, n_in = model.weights()[0].shape
    parts = [Linear(n_in, rank, rng=rng, bias=False, dtype=np.float32), Linear(rank, out, rng=rng, dtype=np.float32)]
    return Sequential([*parts, *copy.deepcopy(model).layers[1:]])


def compare(samples: Dataset, recipe: Recipe, seed: int) -> dict[str, float]:
    """The errors of the dense network, of both factorizations before and after tuning, and of their shape from scratch;
    what they cost. Batches come in the same order in each."""
    def fit(model: Layer, epochs: int, lr: float) -> None:
        optimizer = SGD(model.parameters(), lr, weight_decay=recipe.decay)
        for _ in train(model, optimizer, samples.train, epochs=epochs, rng=seed, batch=recipe.batch, schedule=cosine,
                       progress=False):
            pass

    def products(model: Layer) -> int:
        return sum(layer_macs(model, samples.train.x[:1]).values())

    x, rng = samples.train.x, np.random.default_rng(seed)
    dense = lenet_300_100(x.shape[1], len(samples.classes), rng, np.float32)
    scratch = thin(dense, recipe.rank, rng)
    fit(dense, *recipe.dense)
    fit(scratch, recipe.dense[0] + recipe.tune[0], recipe.dense[1])
    W, moments = dense.weights()[0].data, input_moments(dense, x)
    figures = {"dense": error(dense, *samples.test), "scratch": error(scratch, *samples.test),
               "difference": tail_difference(W, recipe.rank), "macs, dense": products(dense)}
    figures["exact"] = figures["difference"] <= EXACT
    kinds: dict[str, dict[str, Moments] | None] = {"plain": None, "weighted": moments}
    for name, weighted in kinds.items():
        model = copy.deepcopy(dense)
        factorize(model, {FIRST: recipe.rank}, weighted)
        figures[name] = error(model, *samples.test)
        K = weighted[FIRST].covariance if weighted else None
        figures[f"{name}, kept"] = energy(spectrum(W, K))[recipe.rank - 1]
        fit(model, *recipe.tune)
        figures[f"{name}, tuned"] = error(model, *samples.test)
    return figures | {"macs": products(model)}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(dtype=np.float32), MNIST, seed)


def protocol(recipe: Recipe) -> str:
    """The recipe in words, with what differs from the papers."""
    (dense, fast), (tune, slow) = recipe.dense, recipe.tune
    return (f"LeNet-300-100 on MNIST in float32: 55,000 training images, SGD with momentum 0.9, cosine schedules, "
            f"batches of {recipe.batch}, weight decay {recipe.decay:g}. Dense: {dense} epochs at {fast:g}. Its first "
            f"layer, 784 to 300, becomes two of rank {recipe.rank}: by its singular value decomposition (plain), or "
            f"so that the mean square error of its outputs for the training images is least, bias included "
            f"(weighted). Either is then fine-tuned for {tune} epochs at {slow:g}. From scratch: the same shape, "
            f"{dense + tune} epochs at {fast:g}. The truncation error is compared in float64, relative to the layer's "
            f"norm, and counts as exact up to {EXACT:g}. The theorem is of 1936; the network, the rank and the margins "
            f"are the course's.")


LOW_RANK = Row(
    "low-rank", "Eckart & Young 1936, The approximation of one matrix by another of lower rank",
    protocol(MNIST), run,
    [Claim("truncation error minus the tail of the spectrum", "0", "difference", lambda d: f"{d:.0e}"),
     Claim("the two are equal", "yes", "exact", yes, [EVERY_SEED]),
     Claim("error, dense", "-", "dense"),
     Claim("share of the weights' energy kept", "-", "plain, kept", percent),
     Claim("error, plain", "-", "plain", criteria=[near("dense", 0.005)]),
     Claim("error, plain, fine-tuned", "-", "plain, tuned", criteria=[near("dense", 0.001)]),
     Claim("share of the outputs' variance kept", "-", "weighted, kept", percent),
     Claim("error, weighted", "-", "weighted", criteria=[near("dense", 0.005)]),
     Claim("error, weighted, fine-tuned", "-", "weighted, tuned", criteria=[near("dense", 0.001)]),
     Claim("error, same shape from scratch", "-", "scratch"),
     Claim("multiplications, dense", "-", "macs, dense", count),
     Claim("multiplications, low rank", "-", "macs", count),
     Claim("time on one core", "-", "seconds", minutes)])
