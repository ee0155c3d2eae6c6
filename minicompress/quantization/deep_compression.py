"""Lecture 11: Deep Compression. How small can a file become that still holds the same network?

    prune         remove the smallest weights in rounds, retrain after each       fewer weights
    share         k-means in each layer, then train the centroids                 fewer bits a weight
    code          Huffman codes for the codes and for the gaps between survivors  frequent things short

Source: Han, Mao & Dally 2016, "Deep Compression", figure 1. Difference: one ranking of weights for all layers, not a
threshold for each. Not here: training, which is the caller's (tour.py and the notebook add an L1 penalty while pruning,
and round to half precision at the end); coding, which is the .mcz file's ordinary way (storage/codecs.py), because the
chain [Codebook, Scatter] in memory already is the layout on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..inputs import as_integer
from ..nn import Layer
from ..pruning.dead_units import prune_dead_units
from ..pruning.magnitude import prune_iteratively
from .sharing import share


def prune_and_share(model: Layer, retrain: Callable[[str], object], *, densities: Iterable[float], bits: int = 3,
                    init: str = "linear") -> Iterator[str]:
    """The lossy stages, in place; yields "prune" after each density, "dead units", "share" and "train centroids".

    densities fall; bits: 2^bits shared numbers a layer; init: where k-means starts (clustering.py).
    retrain(stage) trains the model for "prune" and "train centroids", biases included, with a new optimizer.
    """
    clusters = 2 ** as_integer(bits, "bits", 1, 16)
    for _ in prune_iteratively(model.weights(), densities, lambda: retrain("prune")):
        yield "prune"
    prune_dead_units(model)
    yield "dead units"
    for weight in model.weights():
        share(weight, clusters, init)
    yield "share"
    retrain("train centroids")
    yield "train centroids"
