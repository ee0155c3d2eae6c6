"""Trees: every value a file can hold comes back, every other one is refused, and no structure is too much to read."""

import functools
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.errors import FormatError, LimitError, StorageError
from minicompress.pruning.masks import Scatter
from minicompress.storage import tree
from minicompress.storage.kinds import NUMBERS
from minicompress.storage.tree import MAX_DEPTH, MAX_PATH, MAX_VALUES, NODE, TreeReader, Writer
from minicompress.storage.varint import varint


def write(value: Any) -> tuple[bytes, bytes]:
    writer = Writer()
    writer.write(value)
    return bytes(writer.structure), bytes(writer.arrays)


def read(structure: bytes, arrays: bytes = b"", max_weights: int = 2**26) -> Any:
    return TreeReader(memoryview(structure), memoryview(arrays), max_weights).read_all()


def exact(value: Any) -> Any:
    """A form in which == means: same types, same bits."""
    if isinstance(value, (list, tuple)):
        return type(value), [exact(item) for item in value]
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    return (type(value), struct.pack("<d", value) if isinstance(value, float) else value)


TEXTS = st.text(st.characters(codec=None), max_size=8)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**128), 2**128 - 1), st.floats(), TEXTS,
                   st.sampled_from([np.float32(0.1) * np.arange(6, dtype="f4").reshape(1, 2, 3), np.ones((), "i8")]))
VALUES = st.recursive(LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(TEXTS, inner, max_size=4)))


@given(VALUES)
@settings(max_examples=200)
def test_round_trip(value: Any) -> None:
    structure, arrays = write(value)
    back = read(structure, arrays)
    assert exact(back) == exact(value)
    assert write(back) == (structure, arrays)


def test_numbers_of_numpy_become_those_of_python() -> None:
    assert exact(read(*write([np.float32(0.5), np.int8(-3), np.bool_(True)]))) == exact([0.5, -3, True])


def test_arrays_of_any_layout() -> None:
    a = np.arange(24.0).reshape(4, 6)
    for other in (a.T, a[::2, ::-1], np.asfortranarray(a), a.astype(">f8"), a[:0], np.array(3.5)):
        back = read(*write(other))
        assert back.dtype.isnative
        assert np.array_equal(back, other)
        assert back.shape == other.shape


def test_a_generator_goes_on_where_it_stood() -> None:
    rng = np.random.default_rng(3)
    rng.integers(0, 9, 5, dtype=np.uint32)
    back, again = read(*write([rng, rng]))
    assert back is again
    assert back.bit_generator.state == rng.bit_generator.state
    assert np.array_equal(back.random(9), rng.random(9))


class Mine(nn.Layer):
    """A layer that the package does not know."""


SELF: list = []
SELF.append(SELF)
DEEP: list = functools.reduce(lambda inner, _: [inner], range(MAX_DEPTH), [])


@pytest.mark.parametrize(("value", "message"), [
    (Mine(), "Mine has no number"),
    (nn.Sequential([nn.ReLU(), Mine()]), "Mine has no number"),
    (object(), "a object cannot"), (b"bytes", "a bytes cannot"), ({1, 2}, "a set cannot"), (1j, "a complex cannot"),
    ({1: "one"}, "a dict cannot"), (2**128, "a int cannot"), (-(2**128) - 1, "a int cannot"),
    (np.array(["text"]), "array of <U4"), (np.array([None]), "array of object"), (np.zeros(2, complex), "complex128"),
    (np.zeros((1,) * 9), "9 axes"), (np.random.Generator(np.random.MT19937(0)), "MT19937"),
    (SELF, "levels"), ([DEEP], "levels"), (tree.Shared(1, 2, 3, 4), "a Shared cannot.*Hint: what it was made from"),
])
def test_refused_by_the_writer(value: Any, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        write(value)


LINEAR = write(nn.Linear(2, 3, rng=0))
RELU = bytes([NODE + NUMBERS[nn.ReLU]])
SEQUENTIAL = bytes([NODE + NUMBERS[nn.Sequential]])
ARRAY = bytes([tree.ARRAY, 0])  # of bool
TEXT = bytes([tree.TEXT, 1]) + b"a"
GENERATOR = bytes([tree.GENERATOR])


@pytest.mark.parametrize(("structure", "message"), [
    (b"", "announced"),
    (bytes([13]), "unknown kind 13"),
    (bytes([63]), "unknown kind 63"),
    (bytes([NODE]), "unknown kind 0"),
    (b"\xff", "unknown kind 191"),
    (RELU + RELU, "left over"),
    (LINEAR[0], "announced"),  # the arrays are missing
    (bytes([tree.TEXT, 2]) + b"\xc3\x28", "UTF-8"),
    (bytes([tree.TEXT]) + varint(2**40) + b"abc", "announced"),
    (bytes([tree.FLOAT, 1, 2]), "announced"),
    (bytes([tree.INTEGER]) + b"\xff" * 19, "larger than 2\\^128"),
    (bytes([tree.DICT, 1, tree.NONE, tree.NONE]), "not a text"),
    (bytes([tree.DICT, 2]) + (TEXT + bytes([tree.NONE])) * 2, "twice"),
    (bytes([tree.AGAIN, 0]), "has not been read"),
    (SEQUENTIAL + bytes([tree.LIST, 1, tree.AGAIN, 0]), "has not been read"),  # a node inside itself
    (bytes([tree.LIST, 2]) + RELU + bytes([tree.AGAIN, 1]), "has not been read"),
    (ARRAY[:1] + bytes([12, 0, 1]), "unknown dtype 12"),
    (ARRAY + bytes([9]) + b"\1" * 10, "9 axes"),
    (GENERATOR + varint(5) + varint(8) + bytes(2), "even"),
    (GENERATOR + varint(2**128) + varint(1) + bytes(2), "larger"),
    (GENERATOR + varint(5) + varint(1) + bytes([2, 0]), "larger"),
    (GENERATOR + varint(5) + varint(1) + bytes([1]) + varint(2**32), "larger"),
    (SEQUENTIAL + RELU, "the layers of a Sequential is a ReLU"),
    (SEQUENTIAL + bytes([tree.LIST, 1, tree.NONE]), "the layers of a Sequential"),
    (SEQUENTIAL + bytes([tree.TUPLE, 1]) + RELU, "the layers of a Sequential is a tuple"),
])
def test_refused_by_the_reader(structure: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(structure)


@pytest.mark.parametrize("shape", [(2**31, 2**31), (2**40,), (2**26 + 1,), (0, 2**60), (2**63, 2, 0), (2**60,) * 8])
def test_huge_arrays_are_refused_unread(shape: tuple[int, ...]) -> None:
    announced = ARRAY + bytes([len(shape)]) + b"".join(map(varint, shape)) + varint(2)
    with pytest.raises(LimitError, match="max_weights"):
        read(announced, b"\x01\x00")


def test_the_limit_of_weights_is_exact_and_adds_up() -> None:
    model = nn.Sequential([nn.Linear(10, 7, rng=0), nn.Linear(7, 3, rng=1)])
    size = sum(p.data.size for p in model.parameters())
    read(*write(model), max_weights=size)
    with pytest.raises(LimitError, match=f"{size} numbers or more; allowed: {size - 1}"):
        read(*write(model), max_weights=size - 1)
    layer = nn.Linear(10, 10, rng=0, bias=False)
    layer.weight.become(np.zeros(0), [Scatter(np.zeros((10, 10), bool))])
    shared = nn.Sequential([layer] * 5)  # written once, but in use it needs the memory of five
    read(*write(shared), max_weights=505)
    with pytest.raises(LimitError):
        read(*write(shared), max_weights=504)


def test_entries_and_levels_are_limited() -> None:
    assert len(read(*write([None] * (MAX_VALUES - 1)))) == MAX_VALUES - 1
    with pytest.raises(LimitError, match="values"):
        read(*write([None] * MAX_VALUES))
    assert read(*write(DEEP)) == DEEP
    with pytest.raises(LimitError, match="levels"):
        read(bytes([tree.LIST, 1]) * 10**5)
    with pytest.raises(LimitError, match="levels"):
        read(bytes([tree.LIST, 1]) * (MAX_DEPTH + 1) + bytes([tree.NONE]))


def test_what_is_shared_counts_wherever_it_stands() -> None:
    """Sequential(s, s) in Sequential(t, t) and so on: 30 nodes in the file, 2^30 when the network runs."""
    model = functools.reduce(lambda inner, _: nn.Sequential([inner, inner]), range(30), nn.ReLU())
    with pytest.raises(LimitError, match="values"):
        read(*write(model))


def test_sharing_makes_nothing_deeper_than_allowed() -> None:
    model, chain = nn.Sequential([]), []
    for _ in range(MAX_DEPTH):
        model = nn.Sequential([model])
        chain.append(model)  # each is written inside the list, the one before it is referred to
    with pytest.raises(LimitError, match="levels"):
        read(*write(chain))
    assert len(read(*write(chain[: MAX_DEPTH // 2 - 2]))) == MAX_DEPTH // 2 - 2


def test_long_names_are_refused() -> None:
    """Each of many arrays under a long name would otherwise cost its length."""
    assert read(*write({"a" * (MAX_PATH - 1): 1}))
    for value in ({"a" * MAX_PATH: 1}, {"a" * (MAX_PATH // 2): {"b" * (MAX_PATH // 2): None}}):
        with pytest.raises(LimitError, match="letters"):
            read(*write(value))
    assert len(read(*write("a" * 10**6))) == 10**6  # a text is no name


@given(VALUES, st.data())
@settings(max_examples=300)
def test_damaged_trees_are_an_error_or_a_value(value: Any, draw: st.DataObject) -> None:
    structure, arrays = map(bytearray, write([value, nn.Linear(2, 2, rng=0)]))
    for _ in range(draw.draw(st.integers(1, 3))):
        structure[draw.draw(st.integers(0, len(structure) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read(bytes(structure), bytes(arrays), 10**6)
    except Exception as error:
        assert type(error).__module__ == "minicompress.errors"


def test_parts_name_every_array() -> None:
    parts: list = []
    weight = "model.layers.0.weight.data"
    value = {"model": nn.Sequential([nn.Linear(2, 3, rng=0)]), "x": [np.zeros(4), np.arange(3)]}
    structure, arrays = write(value)
    TreeReader(memoryview(structure), memoryview(arrays), 100, parts).read_all()
    assert parts == [(weight, "raw", 49), ("model.layers.0.bias.data", "constant", 1), ("x.0", "constant", 1),
                     ("x.1", "raw", 25)]
