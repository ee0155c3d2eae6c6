"""Lecture 10: weight sharing. May many weights be one number?

A layer keeps a codebook of K numbers x, and for each weight a small code that says which of them it uses:

    w = x[codes]                           x (K,)   codes and w: the shape of the weight
    dxₖ = Σ dwᵢ over i with codesᵢ = k     the sum, not the mean: x[k] acts in all these places at once

The numbers start as the centroids of the trained weights (`kmeans`); then they are trained, while the codes stay.

Source: Han, Mao and Dally, "Deep Compression", ICLR 2016, section 3.

Not here: codes that change while the codebook is trained, codebooks of vectors. How many numbers for which layer:
allocation.py.
"""

import copy
import warnings
from collections.abc import Callable, Iterable

import numpy as np

from ..errors import DTypeError, ShapeError, StateError
from ..inputs import as_integer
from ..nn.parameter import Frozen, Parameter, Parametrization
from .clustering import inertia, initial_centroids, kmeans

__all__ = ["Codebook", "compression_rate", "inertia", "initial_centroids", "kmeans", "share", "share_together",
           "shared_bits", "tie"]


def shared_bits(n: int, k: int, bits: int = 32) -> int:
    """n ⌈log₂k⌉ + k b      n codes, and k numbers of b = `bits` bits"""
    n, k, bits = as_integer(n, "n", 0), as_integer(k, "k", 1), as_integer(bits, "bits", 1)
    return n * (k - 1).bit_length() + k * bits


def compression_rate(n: int, k: int, bits: int = 32) -> float:
    """r = n b / (n ⌈log₂k⌉ + k b)      n weights of b = `bits` bits share k numbers.

    Source: equation (1). In figure 3, n = 16, k = 4, b = 32 and r = 3.2.
    """
    return as_integer(n, "n", 1) * bits / shared_bits(n, k, bits)


class Codebook(Parametrization):
    """w = x[codes]      dxₖ = Σ dw where codes = k      x (K,)   codes and w: the shape of the weights

    Freezing merges equal numbers. Raises DTypeError unless the codes are unsigned. Source: section 3.3, equation (3).
    """

    codes: np.ndarray
    size: int = 0  # K at the last forward; the codes do not tell it, because no weight need use the last number

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = np.asarray(codes)
        self.validate()

    def forward(self, data: np.ndarray) -> np.ndarray:
        self.size = len(data)
        return data[self.codes]

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return np.bincount(self.codes.ravel(), dw.ravel(), self.size)

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        codes = self.codes if keep is None else self.codes[keep]
        numbers, place = np.unique(data + 0.0, return_inverse=True)  # -0 + 0 = 0
        if len(numbers) == len(data):
            return None, [Codebook(codes)], None
        return numbers, [Codebook(place.astype(codes.dtype)[codes])], None

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        largest = int(self.codes.max(initial=0))
        if len(shape) != 1 or shape[0] <= largest:
            raise ShapeError(f"the codebook has shape {shape}; allowed: (K,) with K > {largest}, the largest code.")
        return self.codes.shape

    def validate(self) -> None:
        if self.codes.dtype.kind != "u" or self.codes.dtype.itemsize > 4:
            raise DTypeError(f"codes are {self.codes.dtype}; allowed: uint8 to uint32. Hint: codes.astype('uint8').")


def share(parameter: Parameter, k: int, init: str = "linear", *, iterations: int = 300,
          rng: int | np.random.Generator = 0, grid: float = 0.0) -> None:
    """Replace the weights of a trained parameter by at most k shared ones (see `kmeans`), to be trained on.

    Pruned weights take no part: the parameter is frozen first, so a weight with a mask becomes the shared numbers and
    the chain [Codebook, Scatter]. Where no weight is left, there is nothing to share. Warns where k numbers are more
    than the distinct weights.

    Raises StateError if there is a codebook already, or codes or signs, or the shape varies, and what `kmeans` raises,
    nothing changed.
    Source: section 3.
    """
    share_together([parameter], k, init, iterations=iterations, rng=rng, grid=grid)
    if len(parameter.data) < k and parameter.data.size:
        warnings.warn(f"k is {k}, but {len(parameter.data)} values are distinct: the codebook has "
                      f"{len(parameter.data)} numbers. Hint: a smaller k.", stacklevel=2)


def share_together(parameters: Iterable[Parameter], k: int, init: str = "linear", *, iterations: int = 300,
                   rng: int | np.random.Generator = 0, grid: float = 0.0) -> None:
    """`share`, with one k-means over the weights of all the parameters. Each gets a copy of the one codebook; `tie`
    keeps the copies equal while they are trained. The paper has a codebook for each layer. No warning for a large k."""
    parameters = list(dict.fromkeys(parameters))
    for parameter in parameters:
        parameter.check_fixed()
    frozen = copy.deepcopy(parameters)
    for each in frozen:
        each.freeze()
        coded = each.data.size < np.count_nonzero(each.forward())  # what k-means would see are scales, not weights
        if coded or any(isinstance(link, Codebook) for link in each.parametrizations):
            raise StateError("a parameter has a codebook already, or fewer numbers than weights; allowed: one for "
                             "each. Hint: share the original weights anew.")
    weights = np.concatenate([np.empty(0, np.float32), *(each.data.ravel() for each in frozen)])
    if weights.size:
        centroids, codes = kmeans(weights, k, init, iterations=iterations, rng=rng, grid=grid)
    for parameter, each in zip(parameters, frozen, strict=True):
        if each.data.size:
            own, codes = np.split(codes, [each.data.size])
            each.become(centroids, [Codebook(own.reshape(each.data.shape)), *each.parametrizations])
        parameter.become(each.data, each.parametrizations)


def tie(parameters: Iterable[Parameter]) -> Callable[[], float]:
    """dxₖ = Σ dxₖ over all the parameters, for each of them: equal codebooks stay equal, as if they were one.

    What `train` takes as its penalty; the loss is not changed. Raises ShapeError where the codebooks differ in size.
    """
    parameters = list(dict.fromkeys(parameters))
    if len({parameter.data.shape for parameter in parameters}) > 1:
        raise ShapeError(f"the codebooks have sizes {[len(parameter.data) for parameter in parameters]}; allowed: one "
                         f"size. Hint: share_together.")

    def add() -> float:
        total = sum(parameter.grad for parameter in parameters if not parameter.fresh)
        for parameter in parameters:
            parameter.grad[...], parameter.fresh = total, False
        return 0.0

    return add
