"""Each kernel against the sum in its docstring, written as loops, and the convolution against SciPy's."""

import itertools
from typing import NamedTuple

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from minicompress.nn import kernels


class Problem(NamedTuple):
    """A convolution: x (C, H, V, N), W (O, C / groups, k, k), dy (O, H', V', N)."""

    x: np.ndarray
    W: np.ndarray
    dy: np.ndarray
    stride: tuple[int, int]
    groups: int


@st.composite
def problems(draw: st.DrawFn, depthwise: bool = False) -> Problem:
    size = st.integers(1, 3)
    groups, channels, outputs, N, ki, kj, s, t = (draw(size) for _ in range(8))
    channels, outputs = (1, 1) if depthwise else (channels, outputs)
    H, V = ki + draw(st.integers(0, 4)), kj + draw(st.integers(0, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    W = rng.uniform(-1, 1, (groups * outputs, channels, ki, kj))
    dy = rng.uniform(-1, 1, (groups * outputs, (H - ki) // s + 1, (V - kj) // t + 1, N))
    return Problem(rng.uniform(-1, 1, (groups * channels, H, V, N)), W, dy, (s, t), groups)


def plain(p: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y[o, h, v] = Σ_cij W[o, c, i, j] x[c, s h + i, t v + j], and dW, dx: each product once for each of the three."""
    y, dW, dx = np.zeros_like(p.dy), np.zeros_like(p.W), np.zeros_like(p.x)
    outputs, channels = len(p.W) // p.groups, p.W.shape[1]
    for o, h, v in np.ndindex(p.dy.shape[:3]):
        for c, i, j in np.ndindex(p.W.shape[1:]):
            place = (o // outputs * channels + c, p.stride[0] * h + i, p.stride[1] * v + j)
            y[o, h, v] += p.W[o, c, i, j] * p.x[place]
            dW[o, c, i, j] += p.dy[o, h, v] @ p.x[place]
            dx[place] += p.W[o, c, i, j] * p.dy[o, h, v]
    return y, dW, dx


def same(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13, strict=True)


@given(problems())
@settings(max_examples=60)
def test_convolution(p: Problem) -> None:
    y, dW, dx = plain(p)
    got, patches = kernels.convolve(p.x, p.W, p.stride, p.groups)
    same(got, y)
    same(kernels.convolve_back(p.dy, p.W, patches), dW)
    same(kernels.convolve_input(p.dy, p.W, p.x.shape, p.stride, p.groups), dx)


@given(problems(), st.integers(0, 2), st.integers(0, 2))
@settings(max_examples=40)
def test_the_input_gradient_is_a_convolution_with_flipped_weights(p: Problem, rows: int, columns: int) -> None:
    assume(p.stride == (1, 1) and 2 * rows < p.x.shape[1] and 2 * columns < p.x.shape[2])
    assume(rows < p.W.shape[2] and columns < p.W.shape[3])
    H, V = p.x.shape[1] - rows, p.x.shape[2] - columns
    expected = kernels.convolve_input(p.dy, p.W, p.x.shape, (1, 1), p.groups)[:, rows:H, columns:V]
    same(kernels.convolve_input_same(p.dy, p.W, (rows, columns), p.groups), expected)


@given(problems(depthwise=True))
@settings(max_examples=60)
def test_depthwise_convolution(p: Problem) -> None:
    y, dW, dx = plain(p)
    same(kernels.depthwise(p.x, p.W, p.stride), y)
    same(kernels.depthwise_back(p.dy, p.x, p.W, p.stride), dW)
    same(kernels.depthwise_input(p.dy, p.W, p.x.shape, p.stride), dx)


@given(problems())
@settings(max_examples=30)
def test_convolution_is_scipys_correlation(p: Problem) -> None:
    assume(p.groups == 1)
    y, _ = kernels.convolve(p.x, p.W, p.stride, 1)
    for o, n in np.ndindex(len(p.W), p.x.shape[3]):
        whole = correlate(p.x[..., n], p.W[o], mode="valid", method="direct")[0]
        same(y[o, :, :, n], whole[:: p.stride[0], :: p.stride[1]])


@given(problems())
@settings(max_examples=30)
def test_patches_and_the_transpose_of_columns(p: Problem) -> None:
    """A column of the patches is what the kernel meets at one place; ⟨columns(x), d⟩ = ⟨x, uncolumns(d)⟩."""
    (ki, kj), (s, t), N = p.W.shape[2:], p.stride, p.x.shape[3]
    cols = kernels.columns(p.x, kj, t, p.groups)
    patches = kernels.patches(cols, ki, s)
    for g, h, v in np.ndindex(p.groups, *p.dy.shape[1:3]):
        group = np.split(p.x, p.groups)[g]
        place = group[:, s * h : s * h + ki, t * v : t * v + kj].swapaxes(0, 1).reshape(-1, N)
        np.testing.assert_array_equal(patches[g, h, :, v * N : (v + 1) * N], place)
    assert np.shares_memory(cols, patches)
    d = np.random.default_rng(0).uniform(-1, 1, cols.shape)
    back = kernels.uncolumns(d, p.x.shape, kj, t)
    np.testing.assert_allclose((cols * d).sum(), (p.x * back).sum(), rtol=1e-10, atol=1e-10)


def test_one_sample_from_a_larger_array_reads_no_foreign_memory() -> None:
    """NumPy calls an array of one sample contiguous whatever its strides are; as_strided believes the strides."""
    rng = np.random.default_rng(0)
    many, W = rng.uniform(-1, 1, (2, 5, 4, 7)), rng.uniform(-1, 1, (3, 2, 2, 2))
    for one in (many[..., 3:4], many[:, :, :, -1:], many.copy()[..., :1], np.asfortranarray(many)[..., 2:3]):
        got, _ = kernels.convolve(kernels.batch_last(one.transpose(3, 0, 1, 2)), W, (1, 1), 1)
        expected, _ = kernels.convolve(one.copy(), W, (1, 1), 1)
        np.testing.assert_array_equal(got, expected)


def test_batch_last_copies_only_if_it_must() -> None:
    x = np.random.default_rng(0).random((3, 2, 4, 5))
    stored = kernels.batch_last(x)
    np.testing.assert_array_equal(stored, np.moveaxis(x, 0, -1))
    assert stored.flags.c_contiguous
    assert np.shares_memory(kernels.batch_last(stored.transpose(3, 0, 1, 2)), stored)


def test_pad_puts_zeros_around() -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 5))
    padded = kernels.pad(x, (1, 2))
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0))))
    assert kernels.pad(x, (0, 0)) is x


@given(st.tuples(*[st.integers(1, 3)] * 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 9))
@settings(max_examples=80)
def test_maximum_of_windows(window: tuple[int, int, int, int], rows: int, columns: int, seed: int) -> None:
    ki, kj, s, t = window
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (2, ki + rows, kj + columns, 2)).astype(float)  # with many ties
    y = kernels.max_pool(x, (ki, kj), (s, t))
    assert y.shape == (2, rows // s + 1, columns // t + 1, 2)
    dy = rng.uniform(-1, 1, y.shape)
    dx = np.zeros_like(x)
    for c, h, v, n in np.ndindex(y.shape):
        places = [(c, s * h + i, t * v + j, n) for i in range(ki) for j in range(kj)]
        best = max(places, key=lambda at: x[at])  # Python's max gives the first of equals
        assert y[c, h, v, n] == x[best]
        dx[best] += dy[c, h, v, n]
    same(kernels.max_pool_input(dy, x, y, (ki, kj), (s, t)), dx)
    assert not np.shares_memory(x, y)


def test_taps_are_views_for_every_entry_of_the_kernel() -> None:
    x = np.zeros((2, 5, 6, 3))
    taps = kernels.taps(x, (2, 3), (2, 1))
    assert [(i, j) for i, j, _ in taps] == list(itertools.product(range(2), range(3)))
    for _, _, part in taps:
        assert part.shape == (2, 2, 4, 3)
        part += 1
    assert x[:, :4].sum() == x.sum() == 6 * 2 * 2 * 4 * 3
