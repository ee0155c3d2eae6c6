"""Array kernels of the convolution, as pure functions. The batch is innermost: x (C, H, V, N), contiguous.

    W[o] ⋆ x  means  y[o, h, v, n] = Σ_cij W[o, c, i, j] x[c, s h + i, t v + j, n],   stride (s, t)

which is a matrix product once the patches of x stand side by side as columns (Chellapilla et al. 2006). With k copies
of x, shifted by 0 .. k - 1 columns, and row after row in memory, the patches of one row of y are k neighbouring rows: a
view, not another k copies. All rows of y are one batched product. The width is V where W is the weights.
"""

import numpy as np

Pair = tuple[int, int]


def batch_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) → contiguous (C, H, W, N); free for an array that is already stored that way."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0))


def pad(x: np.ndarray, padding: Pair) -> np.ndarray:
    """x (C, H, W, N) with p rows and q columns of zeros on each side: (C, H + 2p, W + 2q, N), contiguous."""
    p, q = padding
    if not p and not q:
        return np.ascontiguousarray(x)
    C, H, W, N = x.shape
    padded = np.zeros((C, H + 2 * p, W + 2 * q, N), x.dtype)
    padded[:, p : p + H, q : q + W] = x
    return padded


def columns(x: np.ndarray, k: int, stride: int, groups: int) -> np.ndarray:
    """cols[g, h, (c, j), (v, n)] = x[g C' + c, h, stride v + j, n]      x (C, H, W, N)   cols (groups, H, C' k, W' N)

    for j < k and the C' = C / groups channels of group g.
    """
    (C, H, W, N), (c, h, v, n) = x.shape, x.strides
    C, W = C // groups, (W - k) // stride + 1
    shifted = np.ndarray((groups, H, C, k, W, N), x.dtype, x, 0, (C * c, h, c, v, stride * v, n))  # a checked view
    return np.ascontiguousarray(shifted).reshape(groups, H, C * k, W * N)


def patches(cols: np.ndarray, k: int, stride: int) -> np.ndarray:
    """p[g, h, (i, c, j)] = cols[g, stride h + i, (c, j)] for i < k, a view      p (groups, H', k C' k, W' N)"""
    (G, H, R, M), item = cols.shape, cols.itemsize  # strides of axes of length 1 may be anything, so not cols.strides
    row, shape = R * M * item, (G, (H - k) // stride + 1, k * R, M)
    return np.ndarray(shape, cols.dtype, cols, 0, (H * row, stride * row, M * item, item))


def uncolumns(dcols: np.ndarray, shape: tuple[int, ...], k: int, stride: int) -> np.ndarray:
    """The transpose of `columns`: each entry is added where it was read.      dcols like cols   dx: shape"""
    (C, H, W, N), G = shape, len(dcols)
    d = dcols.reshape(G, H, C // G, k, -1, N).swapaxes(1, 2)
    dx = np.zeros((G, C // G, H, W, N), dcols.dtype)
    for j in range(k):
        dx[:, :, :, j : j + stride * d.shape[4] : stride] += d[:, :, :, j]
    return dx.reshape(shape)


def weight_rows(W: np.ndarray, groups: int) -> np.ndarray:
    """(groups, O / groups, k C' k): the weights of each output in the order of the patches."""
    return W.transpose(0, 2, 1, 3).reshape(groups, len(W) // groups, -1)


def output_rows(y: np.ndarray, groups: int) -> np.ndarray:
    """y (O, H', W', N) as (groups, H', O / groups, W' N), a view."""
    O, H, W, N = y.shape
    return y.reshape(groups, O // groups, H, W * N).swapaxes(1, 2)


def convolve(x: np.ndarray, W: np.ndarray, stride: Pair, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """y = W ⋆ x      x (C, H, V, N)   W (O, C / groups, k, k)   y (O, H', V', N), and the patches

    Group g of the outputs reads group g of the channels:  y[g] = W[g] ⋆ x[g].
    """
    O, _, ki, kj = W.shape
    N = x.shape[3]
    p = patches(columns(x, kj, stride[1], groups), ki, stride[0])
    y = np.empty((O, p.shape[1], p.shape[3] // N, N), x.dtype)
    np.matmul(weight_rows(W, groups)[:, None], p, out=output_rows(y, groups))
    return y, p


def convolve_back(dy: np.ndarray, W: np.ndarray, p: np.ndarray) -> np.ndarray:
    """dW[o, c, i, j] = Σ_hvn dy[o, h, v, n] x[c, s h + i, t v + j, n]      dy (O, H', V', N)   p: the patches of x"""
    O, C, ki, kj = W.shape
    dW = (p @ output_rows(dy, len(p)).mT).sum(1).mT
    return dW.reshape(O, ki, C, kj).transpose(0, 2, 1, 3)


def convolve_input(dy: np.ndarray, W: np.ndarray, shape: tuple[int, ...], stride: Pair, groups: int) -> np.ndarray:
    """dx[c, s h + i, t v + j, n] += Σ_o dy[o, h, v, n] W[o, c, i, j] for all h, v, i, j      dy (O, H', V', N)"""
    _, C, ki, kj = W.shape
    rows, WT = output_rows(dy, groups), weight_rows(W, groups).mT
    dcols = np.zeros((groups, shape[1], C * kj, rows.shape[3]), dy.dtype)
    for h in range(rows.shape[1]):  # a row's patches fit in the cache
        i = stride[0] * h
        dcols[:, i : i + ki] += (WT @ rows[:, h]).reshape(groups, ki, C * kj, -1)
    return uncolumns(dcols, shape, kj, stride[1])


def convolve_input_same(dy: np.ndarray, W: np.ndarray, padding: Pair, groups: int) -> np.ndarray:
    """The same for stride 1, without the rows and columns that were padded: dy ⋆ W, flipped and transposed

    dy (O, H', V', N)   dx (C, H, V, N). Where H ≤ H' it is faster than convolve_input, otherwise slower.
    """
    (O, C, ki, kj), (p, q) = W.shape, padding
    flipped = W[:, :, ::-1, ::-1].reshape(groups, O // groups, C, ki, kj).swapaxes(1, 2)
    return convolve(pad(dy, (ki - 1 - p, kj - 1 - q)), flipped.reshape(groups * C, -1, ki, kj), (1, 1), groups)[0]


def taps(x: np.ndarray, kernel: Pair, stride: Pair) -> list[tuple[int, int, np.ndarray]]:
    """(i, j, the part of x that kernel entry (i, j) meets), in reading order, each a view of shape (C, H', W', N)."""
    (ki, kj), (s, t) = kernel, stride
    H, W = (x.shape[1] - ki) // s + 1, (x.shape[2] - kj) // t + 1
    return [(i, j, x[:, i : i + s * H : s, j : j + t * W : t]) for i in range(ki) for j in range(kj)]


def depthwise(x: np.ndarray, W: np.ndarray, stride: Pair) -> np.ndarray:
    """y[c] = W[c] ⋆ x[c]      x (C, H, V, N)   W (C, 1, k, k)   y (C, H', V', N): one shifted product for each tap"""
    parts = taps(x, W.shape[2:], stride)
    y = np.zeros(parts[0][2].shape, x.dtype)
    for i, j, part in parts:
        y += W[:, 0, i, j, None, None, None] * part
    return y


def depthwise_back(dy: np.ndarray, x: np.ndarray, W: np.ndarray, stride: Pair) -> np.ndarray:
    """dW[c, 0, i, j] = Σ_hvn dy[c, h, v, n] x[c, s h + i, t v + j, n]"""
    dW = np.empty_like(W)
    for i, j, part in taps(x, W.shape[2:], stride):
        dW[:, 0, i, j] = (dy * part).sum((1, 2, 3))
    return dW


def depthwise_input(dy: np.ndarray, W: np.ndarray, shape: tuple[int, ...], stride: Pair) -> np.ndarray:
    """dx[c, s h + i, t v + j, n] += dy[c, h, v, n] W[c, 0, i, j] for all h, v, i, j      dx: shape"""
    dx = np.zeros(shape, dy.dtype)
    for i, j, part in taps(dx, W.shape[2:], stride):
        part += W[:, 0, i, j, None, None, None] * dy
    return dx


def max_pool(x: np.ndarray, kernel: Pair, stride: Pair) -> np.ndarray:
    """y[c, h, v, n] = max_ij x[c, s h + i, t v + j, n]      x (C, H, V, N)   y (C, H', V', N)"""
    first, *others = [part for _, _, part in taps(x, kernel, stride)]
    y = np.maximum(first, others[0]) if others else first.copy()
    for other in others[1:]:
        np.maximum(y, other, out=y)
    return y


def max_pool_input(dy: np.ndarray, x: np.ndarray, y: np.ndarray, kernel: Pair, stride: Pair) -> np.ndarray:
    """dy handed to the first entry, in reading order, that reached the maximum.      dy, y: pooled   x, dx: before"""
    tiled = kernel == stride and y.size * kernel[0] * kernel[1] == x.size  # every entry in one window: all are written
    dx = (np.empty if tiled else np.zeros)(x.shape, dy.dtype)
    (*parts, _), (*dparts, (_, _, last)) = taps(x, kernel, stride), taps(dx, kernel, stride)
    for (_, _, part), (_, _, dpart) in zip(parts, dparts, strict=True):
        won = dy * (part == y)
        dpart[...] = won if tiled else dpart + won
        dy = dy - won
    last[...] = dy if tiled else last + dy
    return dx
