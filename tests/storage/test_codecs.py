"""Codecs: bit for bit, the shortest wins, and no array from bytes that are not one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minicompress.errors import FormatError
from minicompress.storage.codecs import CODEC_NAMES, CODECS, decode, encode
from minicompress.storage.tree import DTYPES

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7)
SPECIAL = {
    "f2": [0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0x7D01, 0x0001, 0x8001, 0x3C00],
    "f4": [0, 1 << 31, 0x7F800000, 0x7FC00000, 0x7F800001, 0xFFC01234, 1, 0x00800000, 0x3F800000, 0x3DCCCCCD],
    "f8": [0, 1 << 63, 0x7FF << 52, 0x7FF8 << 48, 0x7FF0000000000001, 0x7FF4 << 48, 1, 1 << 52, 0x3FF << 52,
           0x3FB999999999999A, 0x3FB99999A0000000, 0x4070000000000000, 0x47F0000000000000],
}


def floats() -> st.SearchStrategy[np.ndarray]:
    """Floats of any bit pattern, and many zeros, negative zeros, NaNs of both kinds, infinities and denormals."""
    def of(dtype: str) -> st.SearchStrategy[np.ndarray]:
        bits = st.one_of(st.sampled_from(SPECIAL[dtype]), st.sampled_from([0, 0x3C00]),
                         st.integers(0, 2 ** (8 * int(dtype[1])) - 1))
        return npst.arrays(dtype.replace("f", "u"), SHAPES, elements=bits).map(lambda a: a.view(dtype))
    return st.sampled_from(list(SPECIAL)).flatmap(of)


def arrays() -> st.SearchStrategy[np.ndarray]:
    return st.one_of(floats(), st.sampled_from(DTYPES).flatmap(lambda dtype: npst.arrays(dtype, SHAPES)),
                     npst.arrays("u1", SHAPES, elements=st.integers(0, 5)), npst.arrays(bool, SHAPES))


def assert_same(a: np.ndarray, b: np.ndarray) -> None:
    assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@given(arrays())
@settings(max_examples=400)
def test_round_trip_bit_for_bit_and_the_shortest_wins(a: np.ndarray) -> None:
    data = encode(a)
    back = decode(data, a.dtype, a.shape)
    assert_same(back, a)
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert back.flags.aligned
    lengths = {}
    for number, (name, (encoder, _)) in enumerate(CODECS.items()):
        if (coded := encoder(a)) is not None:
            lengths[name] = len(coded) + 1
            assert_same(decode(bytes([number]) + coded, a.dtype, a.shape), a)
    assert len(data) == min(lengths.values())
    assert CODEC_NAMES[data[0]] == min(lengths, key=lambda name: lengths[name])


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("codec", "a"), [
    ("raw", RNG.random(50)),
    ("raw", np.zeros((0, 3))),
    ("constant", np.full((20, 30), 0.1)),
    ("constant", np.ones(9, bool)),
    ("single", RNG.random(50, np.float32).astype(float)),
    ("half", RNG.random(50).astype(np.float16).astype(np.float32)),
    ("half", RNG.random(50).astype(np.float16).astype(float)),
    ("nonzero", np.where(RNG.random(500) < 0.1, RNG.random(500), 0)),
    ("bits", RNG.random(500) < 0.5),
    ("gaps", RNG.random((50, 50)) < 0.05),
    ("fixed", RNG.integers(0, 2**20, 50).astype("u4")),
    ("huffman", np.minimum(RNG.geometric(0.5, 500), 20).astype("u1")),
])
def test_each_codec_has_its_arrays(codec: str, a: np.ndarray) -> None:
    assert CODEC_NAMES[encode(a)[0]] == codec


def test_sizes() -> None:
    assert [len(encode(np.full((100, 100), value))) for value in (0.0, -0.0, 1.0, 0.5, 0.1)] == [1, 2, 3, 3, 9]
    sparse = np.where(RNG.random(1000) < 0.1, RNG.random(1000), 0).astype(np.float16).astype(float)
    assert len(encode(sparse)) < np.count_nonzero(sparse) * 2 + 1000 / 8


def test_the_numbers_of_the_codecs() -> None:
    """They are part of the format: a new codec goes to the end."""
    assert CODEC_NAMES == ["raw", "constant", "single", "half", "nonzero", "bits", "gaps", "fixed", "huffman"]


@given(arrays(), st.sampled_from(DTYPES), SHAPES)
@settings(max_examples=300)
def test_another_dtype_or_shape_is_an_error_or_an_array_of_these(a: np.ndarray, dtype: np.dtype, shape: tuple) -> None:
    try:
        b = decode(encode(a), dtype, shape)
    except FormatError:
        return
    assert (b.dtype, b.shape) == (dtype, shape)
    if dtype.kind == "b":
        assert set(b.tobytes()) <= {0, 1}


@given(arrays(), st.data())
@settings(max_examples=300)
def test_damaged_bytes_are_an_error_or_an_array(a: np.ndarray, draw: st.DataObject) -> None:
    data = bytearray(encode(a))
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    data = data[: draw.draw(st.integers(0, len(data)))] if draw.draw(st.booleans()) else data
    try:
        b = decode(bytes(data), a.dtype, a.shape)
    except FormatError:
        return
    assert (b.dtype, b.shape) == (a.dtype, a.shape)


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_one_byte_less_or_more_is_an_error(name: str) -> None:
    a = {"bits": RNG.random(99) < 0.5, "gaps": RNG.random(99) < 0.1, "fixed": np.arange(9, dtype="u2"),
         "huffman": np.arange(9, dtype="u2"), "nonzero": np.array([0, 0.1, 0, 0.2]), "half": np.ones(9),
         "single": np.ones(9), "constant": np.ones(9), "raw": np.ones(9)}[name]
    data = bytes([CODEC_NAMES.index(name)]) + CODECS[name][0](a)
    assert_same(decode(data, a.dtype, a.shape), a)
    less, more = (data[:1] + b"\0", data + bytes(9)) if name == "constant" else (data[:-1], data + b"\0")
    for wrong in (less, more, b"", bytes([len(CODECS)]), b"\xff" + data[1:]):
        with pytest.raises(FormatError):
            decode(wrong, a.dtype, a.shape)


@pytest.mark.parametrize(("data", "dtype"), [
    (b"\x00\x02", "?"),  # a byte that is not a bool
    (b"\x01\x02", "?"),
    (b"\x01\x00\x01", "u2"),  # a zero in front
    (b"\x01" + bytes([1] * 9), "f8"),
    (b"\x02" + bytes(4), "f4"),  # single precision for single precision
    (b"\x03" + bytes(2), "u8"),
    (b"\x04\x02\x05\x80\x00" + bytes(8), "u8"),  # zeros left out of integers
    (b"\x04\x02\x05\x80\x04\x02\x05\x80\x00" + bytes(8), "f8"),  # zeros left out twice
])
def test_crafted(data: bytes, dtype: str) -> None:
    with pytest.raises(FormatError):
        decode(data, np.dtype(dtype), (1,))


def test_a_signaling_nan_is_a_number_like_any_other() -> None:
    """Converting one makes the processor complain, which NumPy passes on as a warning."""
    a = np.array([0x7F800001], "u4").view("f4")
    assert_same(decode(encode(a), a.dtype, a.shape), a)
    assert np.isnan(decode(b"\x02" + a.tobytes(), np.dtype("f8"), (1,)))
    assert np.isnan(decode(b"\x04\x02\x05\x80\x02" + a.tobytes(), np.dtype("f8"), (1,)))


def test_the_result_is_not_a_window_into_the_bytes() -> None:
    data = bytearray(encode(np.array([1.1, 2.2])))
    a = decode(data, np.dtype("f8"), (2,))
    data[1:] = bytes(16)
    assert a.tolist() == [1.1, 2.2]
