"""Lecture 10: weight sharing. May many weights be one number?

A layer keeps a codebook of K numbers x, and for each weight a small code that says which of them it uses:

    w = x[codes]                           x (K,)   codes and w: the shape of the weight
    dxₖ = Σ dwᵢ over i with codesᵢ = k     the sum, not the mean: x[k] acts in all these places at once

The numbers start as the centroids of the trained weights (`kmeans`); then they are trained, while the codes stay.

Source: Han, Mao and Dally, "Deep Compression", ICLR 2016, section 3.

Not here: codes that change while the codebook is trained, one codebook for several layers, codebooks of vectors.
"""

import copy

import numpy as np

from ..errors import DTypeError, ShapeError, StateError
from ..inputs import as_integer
from ..nn.parameter import Frozen, Parameter, Parametrization
from .clustering import inertia, initial_centroids, kmeans

__all__ = ["Codebook", "compression_rate", "inertia", "initial_centroids", "kmeans", "share"]


def compression_rate(n: int, k: int, bits: int = 32) -> float:
    """r = n b / (n log₂k + k b)      n weights of b = `bits` bits share k numbers; log₂k is rounded up to whole bits.

    Source: equation (1). In figure 3, n = 16, k = 4, b = 32 and r = 3.2.
    """
    n, k, bits = as_integer(n, "n", 1), as_integer(k, "k", 1), as_integer(bits, "bits", 1)
    return n * bits / (n * (k - 1).bit_length() + k * bits)


class Codebook(Parametrization):
    """w = x[codes]      dxₖ = Σ dw where codes = k      x (K,)   codes and w: the shape of the weights

    Raises DTypeError unless the codes are unsigned. Source: section 3.3, equation (3).
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
        return None, [self if keep is None else Codebook(self.codes[keep])], None

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
    the chain [Codebook, Scatter]. Where no weight is left, there is nothing to share.

    Raises StateError if there is a codebook already, and what `kmeans` raises, nothing changed. Source: section 3.
    """
    frozen = copy.deepcopy(parameter)
    frozen.freeze()
    if any(isinstance(each, Codebook) for each in frozen.parametrizations):
        raise StateError("the parameter has a codebook already; allowed: one. Hint: share the original weights anew.")
    if frozen.data.size:
        centroids, codes = kmeans(frozen.data, k, init, iterations=iterations, rng=rng, grid=grid)
        frozen.become(centroids, [Codebook(codes), *frozen.parametrizations])
    parameter.become(frozen.data, frozen.parametrizations)
