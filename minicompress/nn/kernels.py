"""Array kernels of the convolution, as pure functions. The batch is innermost: x (C, H, W, N), contiguous.

    W[o] ⋆ x  means  y[o, h, v, n] = Σ_cij W[o, c, i, j] x[c, s h + i, t v + j, n],   stride (s, t)

which is a matrix product once the patches of x stand side by side as columns (Chellapilla et al. 2006). Columns are
made for one row of y at a time, (C k k, W' N), which fits in the cache; all rows are one batched product.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

Pair = tuple[int, int]


def batch_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) → contiguous (C, H, W, N); free for an array that is already stored that way."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0))


def pad(x: np.ndarray, padding: Pair) -> np.ndarray:
    """x (C, H, W, N) with p rows and q columns of zeros on each side: (C, H + 2p, W + 2q, N)."""
    p, q = padding
    if not p and not q:
        return x
    C, H, W, N = x.shape
    padded = np.zeros((C, H + 2 * p, W + 2 * q, N), x.dtype)
    padded[:, p : p + H, q : q + W] = x
    return padded


def columns(x: np.ndarray, kernel: Pair, stride: Pair) -> np.ndarray:
    """cols[h, (c, i, j), (v, n)] = x[c, s h + i, t v + j, n]      x (C, H, W, N)   cols (H', C k k, W' N)"""
    (C, H, W, N), (c, h, v, n) = x.shape, x.strides
    (ki, kj), (s, t) = kernel, stride
    H, W = (H - ki) // s + 1, (W - kj) // t + 1
    patches = as_strided(x, (H, C, ki, kj, W, N), (s * h, c, h, v, t * v, n), writeable=False)
    return patches.reshape(H, C * ki * kj, W * N)


def uncolumns(dcols: np.ndarray, shape: tuple[int, ...], kernel: Pair, stride: Pair) -> np.ndarray:
    """The transpose of `columns`: each entry is added where it was read.      dcols (H', C k k, W' N)   dx: shape"""
    (ki, kj), (s, t) = kernel, stride
    C, H, N = shape[0], len(dcols), shape[3]
    d = dcols.reshape(H, C, ki, kj, -1, N)
    W = d.shape[4]
    dx = np.zeros(shape, dcols.dtype)
    for i in range(ki):
        for j in range(kj):
            dx[:, i : i + s * H : s, j : j + t * W : t] += d[:, :, i, j].transpose(1, 0, 2, 3)
    return dx


def convolve(x: np.ndarray, W: np.ndarray, stride: Pair, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """y = W ⋆ x      x (C, H, V, N)   W (O, C / groups, k, k)   y (O, H', V', N), and the columns

    Group g of the outputs reads group g of the channels:  y[g] = W[g] ⋆ x[g].
    """
    O, _, ki, kj = W.shape
    N = x.shape[3]
    cols = columns(x, (ki, kj), stride)
    H, _, VN = cols.shape
    y = np.empty((O, H, VN // N, N), x.dtype)
    rows = y.reshape(groups, O // groups, H, VN).transpose(2, 0, 1, 3)
    np.matmul(W.reshape(groups, O // groups, -1), cols.reshape(H, groups, -1, VN), out=rows)
    return y, cols


def convolve_back(dy: np.ndarray, W: np.ndarray, cols: np.ndarray, groups: int) -> np.ndarray:
    """dW[o, c, i, j] = Σ_hvn dy[o, h, v, n] x[c, s h + i, t v + j, n]      dy (O, H', V', N)   dW like W"""
    H, _, VN = cols.shape
    rows = dy.reshape(groups, len(dy) // groups, H, VN).transpose(2, 0, 1, 3)
    dW: np.ndarray = (cols.reshape(H, groups, -1, VN) @ rows.mT).sum(0).mT
    return dW.reshape(W.shape)


def convolve_input(dy: np.ndarray, W: np.ndarray, shape: tuple[int, ...], stride: Pair, groups: int) -> np.ndarray:
    """dx[c, s h + i, t v + j, n] = Σ_o dy[o, h, v, n] W[o, c, i, j]      dy (O, H', V', N)   dx: shape"""
    O, H, V, N = dy.shape
    rows = dy.reshape(groups, O // groups, H, V * N).transpose(2, 0, 1, 3)
    dcols = W.reshape(groups, O // groups, -1).mT @ rows
    return uncolumns(dcols.reshape(H, -1, V * N), shape, W.shape[2:], stride)


def taps(x: np.ndarray, kernel: Pair, stride: Pair, size: Pair) -> list[tuple[int, int, np.ndarray]]:
    """(i, j, the part of x that kernel entry (i, j) meets), each a view of shape (C, H', W', N) for size (H', W')."""
    (ki, kj), (s, t), (H, W) = kernel, stride, size
    return [(i, j, x[:, i : i + s * H : s, j : j + t * W : t]) for i in range(ki) for j in range(kj)]


def depthwise(x: np.ndarray, W: np.ndarray, stride: Pair) -> np.ndarray:
    """y[c] = W[c] ⋆ x[c]      x (C, H, V, N)   W (C, 1, k, k)   y (C, H', V', N): one shifted product for each tap"""
    _, _, ki, kj = W.shape
    size = ((x.shape[1] - ki) // stride[0] + 1, (x.shape[2] - kj) // stride[1] + 1)
    y = np.zeros((len(x), *size, x.shape[3]), x.dtype)
    for i, j, part in taps(x, (ki, kj), stride, size):
        y += W[:, 0, i, j, None, None, None] * part
    return y


def depthwise_back(dy: np.ndarray, x: np.ndarray, W: np.ndarray, stride: Pair) -> np.ndarray:
    """dW[c, 0, i, j] = Σ_hvn dy[c, h, v, n] x[c, s h + i, t v + j, n]"""
    dW = np.empty_like(W)
    for i, j, part in taps(x, W.shape[2:], stride, dy.shape[1:3]):
        dW[:, 0, i, j] = (dy * part).sum((1, 2, 3))
    return dW


def depthwise_input(dy: np.ndarray, W: np.ndarray, shape: tuple[int, ...], stride: Pair) -> np.ndarray:
    """dx[c, s h + i, t v + j, n] = Σ_ij dy[c, h, v, n] W[c, 0, i, j]"""
    dx = np.zeros(shape, dy.dtype)
    for i, j, part in taps(dx, W.shape[2:], stride, dy.shape[1:3]):
        part += W[:, 0, i, j, None, None, None] * dy
    return dx


def max_axis(x: np.ndarray, axis: int, k: int, stride: int) -> np.ndarray:
    """y[…, h, …] = max_i x[…, stride h + i, …] for i < k, along one axis of x."""
    first, *others = windows(x, axis, k, stride)
    y = np.maximum(first, others[0]) if others else first.copy()
    for other in others[1:]:
        np.maximum(y, other, out=y)
    return y


def max_axis_input(dy: np.ndarray, x: np.ndarray, y: np.ndarray, axis: int, k: int, stride: int) -> np.ndarray:
    """dy handed to the first i that reached the maximum.      dy, y: the pooled shape   x, dx: the shape before"""
    dx = np.zeros(x.shape, dy.dtype)
    parts, dparts = windows(x, axis, k, stride), windows(dx, axis, k, stride)
    for part, dpart in zip(parts[:-1], dparts[:-1], strict=True):
        won = dy * (part == y)
        dpart += won
        dy = dy - won
    dparts[-1] += dy
    return dx


def windows(x: np.ndarray, axis: int, k: int, stride: int) -> list[np.ndarray]:
    """The k views x[…, i::stride, …] of equal length; what does not fill a window is left out."""
    size = (x.shape[axis] - k) // stride + 1
    lead = (slice(None),) * axis
    return [x[(*lead, slice(i, i + stride * size, stride))] for i in range(k)]
