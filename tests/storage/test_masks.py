"""Masks: bits, and the distances between survivors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minicompress.errors import FormatError
from minicompress.storage import integers, masks
from minicompress.storage.masks import BOUNDS, decode_bits, decode_gaps, encode_bits, encode_gaps, gap_symbols
from minicompress.storage.varint import varint

BOOL = np.dtype(bool)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


@given(npst.arrays(bool, SHAPES))
@settings(max_examples=200)
def test_round_trip(a: np.ndarray) -> None:
    assert np.array_equal(decode_bits(memoryview(encode_bits(a)), BOOL, a.shape), a)
    data = encode_gaps(a)
    if a.size:
        back = decode_gaps(memoryview(data), BOOL, a.shape)
        assert back.dtype == bool
        assert np.array_equal(back, a)
    else:
        assert data is None


@pytest.mark.parametrize("density", [0, 0.0003, 0.003, 0.03, 0.3, 0.5, 0.9, 0.997, 1])
@pytest.mark.parametrize("shape", [(300, 300), (90000,), (7, 1, 3, 3), (1, 5000), (5000, 1)])
def test_all_densities(density: float, shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(0).random(shape) < density
    assert np.array_equal(decode_gaps(memoryview(encode_gaps(a)), BOOL, shape), a)


def test_rare_survivors_and_rare_pruned_weights_cost_the_same() -> None:
    a = np.random.default_rng(0).random((200, 300)) < 0.05
    size = len(encode_gaps(a))
    assert len(encode_gaps(~a)) == size
    p = a.mean()
    entropy_bytes = a.size * -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) / 8
    assert entropy_bytes < size < 1.03 * entropy_bytes


def test_the_better_order_of_reading_is_taken() -> None:
    columns = np.zeros((64, 64), bool)
    columns[:, [3, 17, 40]] = True
    assert len(encode_gaps(columns)) == len(encode_gaps(columns.T)) < len(encode_bits(columns)) / 4


@given(st.lists(st.integers(0, 3000), max_size=30), st.sampled_from(BOUNDS))
def test_gap_symbols_are_fillers_and_rests(gaps: list[int], bound: int) -> None:
    expected = []
    for gap in gaps:
        expected += [bound] * (gap // bound) + [gap % bound]
    assert gap_symbols(np.array(gaps, np.int64), bound).tolist() == expected


def relative_index(kind: int, symbols: list[int], bound: int = 7) -> memoryview:
    """A relative index as a hostile file would have it."""
    coded = integers.encode_symbols(np.array(symbols, np.uint8), bound + 1)
    return memoryview(bytes([kind * len(BOUNDS) + BOUNDS.index(bound)]) + varint(len(symbols)) + coded)


def test_the_crafted_index_is_right_where_it_is_right() -> None:
    """Value 1, by rows: 2, then over 7 + 1 entries to 11."""
    mask = decode_gaps(relative_index(2, [2, 7, 1]), BOOL, (12,))
    assert np.flatnonzero(mask).tolist() == [2, 11]


@pytest.mark.parametrize(("data", "message"), [
    (relative_index(2, [2, 7, 2]), "past its end"),
    (relative_index(2, [7, 7, 0]), "past its end"),
    (relative_index(2, [2, 7]), "ends in a filler"),
    (relative_index(2, [7]), "ends in a filler"),
    (relative_index(2, [0] * 13), "does not fit"),
    (relative_index(3, [0]), "does not fit"),  # by columns, of one axis
    (relative_index(4, [0]), "does not fit"),
    (memoryview(bytes(relative_index(2, [])) + b"x"), "bytes follow"),
    (memoryview(b""), "announced"),
])
def test_refused(data: memoryview, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        decode_gaps(data, BOOL, (12,))


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    a = np.zeros(8, dtype)
    assert encode_bits(a) is None
    assert encode_gaps(a) is None
    with pytest.raises(FormatError):
        decode_bits(memoryview(b"\0"), a.dtype, (8,))
    with pytest.raises(FormatError):
        decode_gaps(relative_index(2, [0]), a.dtype, (8,))


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\x01"])
def test_bits_refuse_another_length_and_bits_behind_the_last(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_bits(memoryview(data), BOOL, (3, 3))


def test_indexes_longer_than_a_piece_and_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integers, "BLOCK", 1000)
    monkeypatch.setattr(masks, "PIECE", 64)
    a = np.random.default_rng(1).random((100, 230)) < 0.2
    a[:, 100:130] = False  # fillers in a row, over the border of a piece
    for mask in (a, a.T.copy(), ~a):
        assert np.array_equal(decode_gaps(memoryview(encode_gaps(mask)), BOOL, mask.shape), mask)
