"""Lecture 12: inference with packed bits. What are 64 multiplications of signs worth?

    y = packed(with_thresholds(model))(x)      the evaluation pass of a network of signs, on bits

    a · w = n - 2 m,   m = popcount(a xor w)      a, w: n signs each, one bit a sign (+1 is 1), 64 of them in a word

Two signs multiply to -1 where they differ, so one xor and one count of ones replace 64 multiplications and additions.
The result is equal, not close. Bits that fill up the last word are 0 in both, and differ nowhere.

Inside the pass, signs travel as booleans. A layer whose weights are ± α for each output (`Binary` or `Signed`) packs
and counts where its input is signs, and multiplies as before where it is real, as pixels are. `packed` takes the model
as it was trained, too; after `with_thresholds` all that follows a count is one comparison, m ≤ (n - t) / 2.

Sources: Hubara et al. 2016, "Binarized Neural Networks" (xor and popcount); Rastegari et al. 2016, "XNOR-Net" (the
speed-up). Not here: pruned weights, padded convolutions and groups, where a zero is neither sign: they run as they are.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import numpy as np

from ..errors import DTypeError, ShapeError
from ..inputs import as_integer, check_finite
from ..nn import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Parameter, Sequential, Sign
from ..nn.channelwise import per_channel
from ..nn.conv import check_images
from .thresholds import Threshold, pruned, scales

Forward = Callable[[np.ndarray], np.ndarray]
BLOCK = 1 << 17  # words compared at once: a megabyte, which stays in the cache


def xnor_speedup(channels: int, kernel: int, word: int = 64) -> float:
    """word · c k² / (c k² + word)      c channels, kernels k x k: how many times fewer operations

    `word` products of signs count as one operation; one real multiplication is left for each output (XNOR-Net, its
    analysis of efficiency).
    """
    products = as_integer(channels, "channels", 1) * as_integer(kernel, "kernel", 1) ** 2
    return word * products / (products + as_integer(word, "word", 1))


def pack(bits: np.ndarray) -> np.ndarray:
    """Rows of bits as words, the last one filled up with zeros      bits (N, n): zero or not   words (N, ⌈n / 64⌉)

    Raises ShapeError, DTypeError.
    """
    bits = np.asarray(bits)
    if bits.ndim != 2:
        raise ShapeError(f"bits have shape {bits.shape}; allowed: (N, n). Hint: bits[None] for one row.")
    if bits.dtype.kind not in "bui":
        raise DTypeError(f"bits are {bits.dtype}; allowed: bool or integers. Hint: x >= 0.")
    octets = np.ascontiguousarray(np.packbits(bits, axis=1))
    if missing := -octets.shape[1] % 8:
        octets = np.concatenate([octets, np.zeros((len(octets), missing), np.uint8)], axis=1)
    return octets.view(np.uint64)


def pack_weights(bits: np.ndarray) -> np.ndarray:
    """pack(bits), with the rows innermost in memory: NumPy's loops then run over the outputs      bits (O, …)"""
    return np.asfortranarray(pack(bits.reshape(len(bits), -1)))


def differences(a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """m[i, o] = popcount(a[i] xor w[o])      a (N, K), w (O, K): words   m (N, O), integers   Raises ShapeError."""
    if a.shape[1] != w.shape[1]:
        raise ShapeError(f"rows of {a.shape[1]} words meet rows of {w.shape[1]}; allowed: as many.")
    step = max(1, BLOCK // max(1, w.size))
    if len(a) > step:
        return np.concatenate([differences(a[i : i + step], w) for i in range(0, len(a), step)])
    with np.errstate():  # at whose end the next line ends, too
        np.setbufsize(256)  # a larger buffer would be filled with copies of each word of a: twice the time
        differing = a.T[:, :, None] ^ w.T[:, None]
    return np.add.reduce(np.bitwise_count(differing), 0, integers(64 * w.shape[1]))


def integers(n: int) -> type:
    """The type in which sums of n signs, and twice as much, have room."""
    return np.int16 if n < 2**14 else np.int32


def product(a: np.ndarray, w: np.ndarray, n: int) -> np.ndarray:
    """y[i, o] = n - 2 m[i, o]      a (N, K), w (O, K): words of n signs   y (N, O), integers"""
    return n - 2 * differences(a, w)


def pixel_product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x Wᵀ = Σₖ 2ᵏ (popcount w - popcount(xₖ xor w))      x (N, n), uint8; xₖ: its k-th bits   w (O, K)   exact (N, O)

    Where a pixel's bit is 1 its sign counts, and only there: eight packed passes, for a first layer of integers.
    """
    if x.dtype != np.uint8:
        raise DTypeError(f"pixels are {x.dtype}; allowed: uint8.")
    plus = np.bitwise_count(w).sum(1, dtype=np.int64)
    return np.sum([plus - differences(pack(x & (1 << k)), w) << k for k in range(8)], axis=0)


@functools.singledispatch
def packed(layer: Layer) -> Forward:
    """y = packed(model)(x): the evaluation pass of a layer as it is now, on bits where weights and inputs are signs.

    Its outputs are equal to the layer's where α has few bits, otherwise up to rounding; integers where neither α nor
    bias is left, booleans behind a Sign. A layer that is not known here runs as it is.
    It raises ShapeError, NonFiniteError.
    """
    layer = copy.deepcopy(layer)
    layer.train(False)
    for parameter in layer.parameters():
        parameter.bake()
    one = next((p.data.dtype for p in layer.parameters()), np.dtype(np.float32)).type(1)
    return lambda x: layer.forward(np.where(x, one, -one) if x.dtype == bool else x)


@packed.register
def _(layer: Sequential) -> Forward:
    steps: list[Forward] = []
    for before, inner in zip([None, *layer.layers], layer.layers, strict=False):
        if isinstance(inner, Threshold) and isinstance(before, (Linear, Conv2d)):
            steps[-1] = packed_map(before, inner)
        else:
            steps.append(packed(inner))

    def forward(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind == "f":
            check_finite(x, "x")  # a sign would hide NaN
        return functools.reduce(lambda x, step: step(x), steps, x)

    return forward


@packed.register
def _(layer: Sign) -> Forward:
    return lambda x: x if x.dtype == bool else x >= 0


@packed.register
def _(layer: Threshold) -> Forward:
    t = layer.limit.forward().copy()
    return lambda x: x >= per_channel(t, x)


@packed.register(Flatten)
@packed.register(MaxPool2d)  # the largest of some signs is their "or"
@packed.register(Dropout)
def _(layer: Layer) -> Forward:
    layer = copy.deepcopy(layer)
    layer.train(False)
    return layer.forward


@packed.register(Linear)
@packed.register(Conv2d)
def packed_map(layer: Linear | Conv2d, after: Threshold | None = None) -> Forward:
    """The layer, and the threshold behind it, in one step."""
    plain = [packed.dispatch(Layer)(layer), *([] if after is None else [packed(after)])]
    dense = functools.partial(functools.reduce, lambda x, step: step(x), plain)
    W = layer.weight.forward()
    alpha = scales(W)
    if alpha is None or pruned(W, alpha) or (isinstance(layer, Conv2d)
                                             and (any(layer.padding) or layer.group_count(len(W)) > 1)):
        return dense
    w, n = pack_weights(W > 0), W[0].size
    outputs = from_differences(n, alpha, layer.bias, after)

    def forward(x: np.ndarray) -> np.ndarray:
        if x.dtype != bool:
            return dense(x)
        rows = rows_of(layer, x, W.shape)
        y = outputs(differences(pack(rows.reshape(-1, n)), w))
        return y if rows.ndim == 2 else y.reshape(*rows.shape[:3], len(w)).transpose(0, 3, 1, 2)

    return forward


def rows_of(layer: Linear | Conv2d, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What each row of weights meets: x (N, n) itself, or the patches of images (N, H', V', C k k)."""
    if isinstance(layer, Linear):
        if x.ndim != 2 or x.shape[1] != shape[1]:
            raise ShapeError(f"a packed {layer!r} got signs of shape {x.shape}; allowed: (N, {shape[1]}).")
        return x
    (_, C, *kernel), (s, t) = shape, layer.stride
    check_images(layer, x, (kernel[0], kernel[1]), (s, t), C)
    patches = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))[:, :, ::s, ::t].transpose(0, 2, 3, 1, 4, 5)
    return patches.reshape(*patches.shape[:3], -1)


def from_differences(n: int, alpha: np.ndarray, bias: Parameter | None, after: Threshold | None) -> Forward:
    """m → α (n - 2 m) + b, or whether that reaches t; where α is 1 and there is no b, m ≤ (n - t) / 2 says it."""
    t = None if after is None else after.limit.forward().copy()
    if bias is None and (alpha == 1).all():
        if t is None:
            return lambda m: n - 2 * m
        most = ((n - np.clip(np.ceil(t), -n, n + 1)) // 2).astype(integers(n))
        return lambda m: m <= most
    b = np.zeros_like(alpha) if bias is None else bias.forward().copy()
    if t is None:
        return lambda m: (n - 2 * m).astype(alpha.dtype) * alpha + b
    return lambda m: (n - 2 * m).astype(alpha.dtype) * alpha + b >= t
