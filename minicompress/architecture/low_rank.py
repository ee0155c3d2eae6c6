"""Lecture 13: low rank. One layer becomes two thin ones, and what is the best way to do that?

    y = W x + b   ≈   y = U (V x) + b      W (M, N)   U (M, r)   V (r, N)      M N weights against r (M + N)

No activation stands between the two. The singular value decomposition W = A diag(s) Bᵀ gives the best product of rank
r, A_r diag(s_r) B_rᵀ = A_r A_rᵀ W, with ‖W - U V‖² = Σ_{i>r} s_i² (Eckart & Young 1936). What counts are outputs:

    E ‖(W - U V) x + b - b'‖²  is least for  U V = A_r A_rᵀ W,  b' = b + (W - U V) μ,   A: eigenvectors of W K Wᵀ

with the mean μ and the covariance K (N, N) of the inputs: A holds the principal axes of the outputs (Zhang, Zou, He &
Sun 2016, the linear case). K = I is the plain case. K is not inverted: it may be singular, as where
pixels are always 0.

    convolution   channels   k x k to r channels, then 1 x 1     W as (O, C k k)     Zhang et al.
                  spatial    k x 1 to r channels, then 1 x k     W as (O k, C k)     Jaderberg et al. 2014, 2nd scheme

A rewrite: the weight itself is factored, masks and other maps end there; ordinary layers come back. Not here:
convolutions with groups, Tucker and CP decompositions, errors after the ReLU.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping

import numpy as np

from ..errors import DTypeError, NonFiniteError, RangeError, ShapeError
from ..inputs import as_array, as_choice, as_integer, as_number, check_finite
from ..nn import GRID, Conv2d, Layer, Linear, Parameter, Sequential, to_grid
from .moments import Moments, is_plain


def components(W: np.ndarray, covariance: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A (M, q), s (q,), largest first: W K Wᵀ = A diag(s²) Aᵀ      W (M, N)   K: covariance (N, N), or I

    q = min(M, N). The largest entry of each column is positive, the first of equals. Where s is 0 up to rounding, s and
    A are 0.   Raises ShapeError for a covariance of another size, NonFiniteError where numbers are too large.
    """
    W = as_array(W, "W", (None, None), np.float64)
    if not W.size:
        raise ShapeError(f"W has shape {W.shape}; allowed: at least one column.")
    q, noise = min(W.shape), max(W.shape) * np.finfo(float).eps
    try:
        if covariance is None:
            with np.errstate(over="ignore", invalid="ignore"):
                A, s, _ = np.linalg.svd(W, full_matrices=False)
            check_finite(s, "the singular values of W")
            check_finite(A, "the singular vectors of W")
        else:
            K = as_array(covariance, "covariance", (W.shape[1], W.shape[1]), np.float64)
            with np.errstate(over="ignore", invalid="ignore"):  # as_array finds what overflows
                squares, A = np.linalg.eigh(as_array(W @ K @ W.T, "W K Wᵀ"))
            squares, A = squares[::-1][:q], A[:, ::-1][:, :q]
            s = np.sqrt(np.where(squares > noise * squares[0], squares, 0))
    except np.linalg.LinAlgError as error:
        raise NonFiniteError("the singular values of W did not converge; allowed: finite numbers of similar size. "
                             "Hint: W / abs(W).max().") from error
    largest = to_grid(np.abs(A), GRID).argmax(0)  # on the grid equals are equal
    A = A * np.where(A[largest, np.arange(q)] < 0, -1, 1)
    found = s > noise * s[0]
    return A * found, s * found


def factors(W: np.ndarray, rank: int, covariance: np.ndarray | None = None, *,
            grid: float = GRID) -> tuple[np.ndarray, np.ndarray]:
    """U (M, r), V (r, N), in float64, so that U V = A_r A_rᵀ W: the best for inputs of that covariance, or of I

    Column i of U is as long as row i of V, so that both train alike. Rounded to `grid` (0: not), because another
    machine computes other last bits.   Raises RangeError for a rank outside 1 .. min(M, N), ShapeError.
    """
    W = as_array(W, "W", (None, None), np.float64)
    rank, grid = as_integer(rank, "rank", 1, min(W.shape)), as_number(grid, "grid", 0)
    A = components(W, covariance)[0][:, :rank]
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        V = A.T @ W
        length = np.linalg.norm(V, axis=1)
    check_finite(length, "the rows of V")
    scale = np.sqrt(np.where(length > 0, length, 1))
    return to_grid(A * scale, grid), to_grid(V / scale[:, None], grid)


def relative_error(W: np.ndarray, product: np.ndarray, covariance: np.ndarray | None = None) -> float:
    """‖W - P‖ / ‖W‖; with K the root of tr (W - P) K (W - P)ᵀ / tr W K Wᵀ      W, P: product (M, N)

    ‖P‖ where W is zero.   Raises ShapeError, NonFiniteError where numbers are too large.
    """
    W = as_array(W, "W", (None, None))
    product = as_array(product, "product", W.shape)
    K = None if covariance is None else as_array(covariance, "covariance", (W.shape[1], W.shape[1]))

    @np.errstate(over="ignore", invalid="ignore")  # found below
    def size(D: np.ndarray) -> float:
        squares = np.sum(D * (D if K is None else D @ K))
        check_finite(squares, "the sum of squares")
        return float(squares)

    return float(np.sqrt(size(W - product) / (size(W) or 1)))


def matrix(layer: Layer, conv: str = "channels") -> np.ndarray:
    """The weight as the matrix that is factored.   Raises DTypeError, RangeError for groups, StateError."""
    if not isinstance(layer, Linear | Conv2d):
        raise DTypeError(f"{layer!r} has no matrix to factor; allowed: Linear, Conv2d.")
    if not is_plain(layer):
        raise RangeError(f"{layer!r} has groups; allowed: one group.")
    layer.weight.check_fixed()
    W, conv = layer.weight.forward(), as_choice(conv, "conv", ["channels", "spatial"])
    if isinstance(layer, Linear):
        return W
    O, C, ki, kj = W.shape
    if conv == "channels":
        return W.reshape(O, -1)
    return W.transpose(0, 3, 1, 2).reshape(O * kj, C * ki)


def covariance_of(moments: Moments | None) -> np.ndarray | None:
    """K of a layer's inputs.   Raises DTypeError."""
    if moments is not None and not isinstance(moments, Moments):
        raise DTypeError(f"moments are a {type(moments).__name__}; allowed: Moments. Hint: input_moments(…)[path].")
    return None if moments is None else moments.covariance


@functools.singledispatch
def low_rank(layer: Layer, rank: int, moments: Moments | None = None, *, conv: str = "channels",
             grid: float = GRID) -> Sequential:
    """Two layers of rank r for one, the bias in the second. `layer` stays as it is.

    conv: "channels" or "spatial", see above; spatial takes no moments.   Raises DTypeError, RangeError, ShapeError;
    warns where the two have more weights than the one.
    """
    raise DTypeError(f"{layer!r} has no matrix to factor; allowed: Linear, Conv2d.")


@low_rank.register
def _(layer: Linear, rank: int, moments: Moments | None = None, *, conv: str = "channels",
      grid: float = GRID) -> Sequential:
    U, V = factors(matrix(layer, conv), rank, covariance_of(moments), grid=grid)
    first, second = (Linear(W.shape[1], len(W), rng=0, bias=False) for W in (V, U))
    first.weight.become(V)
    second.weight.become(U)
    return finished(layer, [first, second], matrix(layer) - U @ V, moments, grid)


@low_rank.register
def _(layer: Conv2d, rank: int, moments: Moments | None = None, *, conv: str = "channels",
      grid: float = GRID) -> Sequential:
    W = matrix(layer, conv)
    if conv == "spatial" and moments is not None:
        raise RangeError("moments were given for conv 'spatial', whose columns are not patches; allowed: none. "
                         "Hint: conv='channels'.")
    U, V = factors(W, rank, covariance_of(moments), grid=grid)
    O, C, ki, kj = layer.weight.shape
    (s, t), (p, q) = layer.stride, layer.padding
    if conv == "channels":
        first = Conv2d(C, len(V), (ki, kj), rng=0, stride=(s, t), padding=(p, q), bias=False)
        second = Conv2d(len(V), O, 1, rng=0, bias=False)
    else:
        first = Conv2d(C, len(V), (ki, 1), rng=0, stride=(s, 1), padding=(p, 0), bias=False)
        second = Conv2d(len(V), O, (1, kj), rng=0, stride=(1, t), padding=(0, q), bias=False)
    first.weight.become(V.reshape(first.weight.shape))
    second.weight.become(U.reshape(O, -1, 1, len(V)).transpose(0, 3, 2, 1))
    return finished(layer, [first, second], W - U @ V, moments, grid)


def finished(layer: Linear | Conv2d, parts: list[Linear | Conv2d], missing: np.ndarray, moments: Moments | None,
             grid: float) -> Sequential:
    """The parts in the layer's dtype, and a bias at the end: the layer's, plus (W - U V) μ where μ is known."""
    new, old, dtype = sum(part.weight.data.size for part in parts), missing.size, layer.weight.data.dtype
    if new > old:
        warnings.warn(f"rank {len(parts[0].weight.data)} turns {old:,} weights of {layer!r} into {new:,}. "
                      f"Hint: rank.break_even.", stacklevel=4)
    for part in parts:
        part.weight.become(part.weight.data.astype(dtype))
    b = None if layer.bias is None else layer.bias.forward()
    if moments is not None:
        b = (0 if b is None else b) + to_grid(missing @ moments.mean, grid)
    parts[-1].bias = None if b is None else Parameter(b.astype(dtype))
    return Sequential(parts)


def factorize(model: Layer, ranks: Mapping[str, int], moments: Mapping[str, Moments] | None = None, *,
              conv: str = "channels", grid: float = GRID) -> None:
    """Replace layers of the model, path → rank, by two of low rank each, in every place where they stand.

    moments: those of `input_moments`, of which the layers named in `ranks` are needed. An optimizer built before says
    that it is stale.   Raises, with nothing changed, RangeError, DTypeError, ShapeError.
    """
    if not isinstance(ranks, Mapping) or not isinstance(moments, Mapping | None):
        raise DTypeError("ranks or moments are no dictionary; allowed: path → rank, path → Moments.")
    nodes = {path: node for path, node in model.walk() if path and isinstance(node, Layer)}
    if not nodes:
        raise DTypeError(f"{model!r} has no layers inside; allowed: a model. Hint: low_rank(layer, rank).")
    new: dict[int, Layer] = {}
    for path, rank in ranks.items():
        layer = nodes[as_choice(path, "path", nodes)]
        weighted = None if moments is None else moments[as_choice(path, "path", moments)]
        new[id(layer)] = low_rank(layer, rank, weighted, conv=conv, grid=grid)
    model.exchange(new)
    for path in ranks:
        for parameter in nodes[path].parameters():
            parameter.become(parameter.data, parameter.parametrizations)  # makes the optimizer stale
