"""A model as a tree: nodes, lists, numbers and arrays as one stream of bytes, and back.

A value is one byte that tells what follows, then its content; a node is its kind's number, then its fields in their
order. A node or generator that stands in several places is written once and then referred to: tied weights stay tied.
Of an array the tree holds dtype, shape and the length of its bytes; the bytes themselves follow in a second section.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError, LimitError, StorageError
from ..nn import Node
from . import codecs
from .kinds import FIELDS, KINDS, NUMBERS, build
from .varint import Reader, varint

NONE, TRUE, FALSE, INTEGER, NEGATIVE, FLOAT, TEXT, LIST, TUPLE, DICT, ARRAY, GENERATOR, AGAIN = range(13)
NODE = 64  # NODE + number of the kind
DTYPES = [np.dtype(t) for t in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")]
MAX_DEPTH, MAX_VALUES, MAX_AXES, MAX_PATH = 64, 100_000, 8, 1000
HEAVY = 9  # by so much an array or generator counts more than another value, because it takes more memory and time


class Writer:
    """The two sections of a tree: `structure` and `arrays`."""

    def __init__(self) -> None:
        self.structure, self.arrays = bytearray(), bytearray()
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # an id is only unique while its object lives

    def write(self, value: Any, depth: int = 0) -> None:
        """Append one value.   Raises StorageError for what a file cannot hold."""
        out = self.structure
        if depth > MAX_DEPTH:
            raise StorageError(f"the model has more than {MAX_DEPTH} levels; allowed: that many.")
        if id(value) in self.seen:
            out += bytes([AGAIN]) + varint(self.seen[id(value)])
        elif value is None or isinstance(value, (bool, np.bool_)):
            out.append(NONE if value is None else TRUE if value else FALSE)
        elif isinstance(value, (int, np.integer)) and -(2**128) <= value < 2**128:
            out += bytes([NEGATIVE if value < 0 else INTEGER]) + varint(-1 - int(value) if value < 0 else int(value))
        elif isinstance(value, (float, np.floating)):
            out += bytes([FLOAT]) + struct.pack("<d", value)
        elif isinstance(value, str):
            text = value.encode("utf-8", "surrogatepass")
            out += bytes([TEXT]) + varint(len(text)) + text
        elif type(value) in (list, tuple):
            out += bytes([LIST if isinstance(value, list) else TUPLE]) + varint(len(value))
            for item in value:
                self.write(item, depth + 1)
        elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
            out += bytes([DICT]) + varint(len(value))
            for item in (part for pair in value.items() for part in pair):
                self.write(item, depth + 1)
        elif isinstance(value, np.ndarray):
            self.write_array(value)
        elif isinstance(value, (np.random.Generator, Node)):
            self.write_object(value, depth)
        else:
            hint = " Hint: what it was made from, or a list of it." if isinstance(value, (list, tuple)) else ""
            raise StorageError(f"a {type(value).__name__} cannot be stored; allowed: the package's layers and "
                               f"parametrizations, arrays, generators, lists, dicts with names, text, numbers.{hint}")

    def write_array(self, a: np.ndarray) -> None:
        dtype = a.dtype.newbyteorder("=")
        if dtype not in DTYPES or a.ndim > MAX_AXES:
            raise StorageError(f"an array of {a.dtype} with {a.ndim} axes cannot be stored; allowed: "
                               f"{', '.join(map(str, DTYPES))}, at most {MAX_AXES} axes.")
        data = codecs.encode(np.ascontiguousarray(a, dtype).reshape(a.shape))
        self.structure += bytes([ARRAY, DTYPES.index(dtype), a.ndim])
        self.structure += b"".join(map(varint, (*a.shape, len(data))))
        self.arrays += data

    def write_object(self, value: np.random.Generator | Node, depth: int) -> None:
        self.seen[id(value)] = len(self.seen)
        self.alive.append(value)
        if isinstance(value, Node):
            if type(value) not in NUMBERS:
                inside = [name for name in value.fields() if type(getattr(value, name)) in NUMBERS]
                hint = f" Hint: its {inside[0]}." if inside else ""
                raise StorageError(f"a {type(value).__name__} has no number in storage/kinds.py; allowed: "
                                   f"{', '.join(sorted(kind.__name__ for kind in NUMBERS))}.{hint}")
            self.structure.append(NODE + NUMBERS[type(value)])
            for name in FIELDS[type(value)]:
                self.write(getattr(value, name), depth + 1)
        else:
            state = value.bit_generator.state
            if state["bit_generator"] != "PCG64":
                raise StorageError(f"a {state['bit_generator']} generator cannot be stored; allowed: PCG64, that of "
                                   f"numpy.random.default_rng.")
            numbers = (state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"])
            self.structure += bytes([GENERATOR]) + b"".join(map(varint, numbers))


class Shared(NamedTuple):
    """A node or generator that may be referred to, and what each reference adds to the size of the model."""

    value: Any
    values: int
    weights: int
    levels: int


class TreeReader:
    """The value that a structure and its arrays hold. With `parts`, (path, codec, bytes) of every array joins them."""

    def __init__(self, structure: memoryview, arrays: memoryview, max_weights: int, parts: list | None = None) -> None:
        self.structure, self.arrays, self.parts = Reader(structure), Reader(arrays), parts
        self.values, self.weights, self.levels, self.max_weights = 0, 0, 0, max_weights
        self.seen: list[Shared | None] = []

    def read_all(self) -> Any:
        """The whole value.   Raises FormatError, also where bytes are left over."""
        value = self.read("")
        if self.structure.rest() or self.arrays.rest():
            raise FormatError("bytes are left over behind the last value.")
        return value

    def count(self, values: int, weights: int, level: int, path: str) -> None:
        """Raise LimitError where what is read next makes the model too large. What is shared counts each time."""
        self.values, self.weights, self.levels = self.values + values, self.weights + weights, max(self.levels, level)
        if self.levels > MAX_DEPTH or self.values > MAX_VALUES or len(path) > MAX_PATH:
            raise LimitError(f"the file has more than {MAX_DEPTH} levels, {MAX_VALUES} values or {MAX_PATH} letters "
                             f"in a name.")
        if self.weights > self.max_weights:
            raise LimitError(f"the file announces {self.weights} numbers or more; allowed: {self.max_weights}. "
                             f"Hint: max_weights, if the memory suffices.")

    def read(self, path: str, depth: int = 0) -> Any:
        self.count(1, 0, depth, path)
        reader, tag = self.structure, self.structure.byte()
        if tag >= NODE or tag == GENERATOR:
            return self.read_object(tag, path, depth)
        if tag in (LIST, TUPLE):
            items = [self.read(f"{path}.{i}", depth + 1) for i in range(reader.varint())]
            return items if tag == LIST else tuple(items)
        if tag == DICT:
            return self.read_dict(path, depth)
        if tag == ARRAY:
            return self.read_array(path)
        if tag in (NONE, TRUE, FALSE):
            return {NONE: None, TRUE: True, FALSE: False}[tag]
        if tag in (INTEGER, NEGATIVE):
            number = reader.varint(128)
            return number if tag == INTEGER else -1 - number
        if tag == FLOAT:
            return struct.unpack("<d", reader.take(8))[0]
        if tag == TEXT:
            return self.read_text()
        if tag == AGAIN and (number := reader.varint()) < len(self.seen) and (shared := self.seen[number]) is not None:
            self.count(shared.values - 1, shared.weights, depth + shared.levels, path)
            return shared.value
        raise FormatError(f"a value of the unknown kind {tag}, or one that refers to what has not been read.")

    def read_text(self) -> str:
        try:
            return str(self.structure.take(self.structure.varint()), "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise FormatError("a text is not UTF-8.") from error

    def read_dict(self, path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for _ in range(self.structure.varint()):
            key = self.read(path, depth + 1)
            if not isinstance(key, str) or key in result:
                raise FormatError("a dictionary has a key that is not a text, or has it twice.")
            result[key] = self.read(f"{path}.{key}", depth + 1)
        return result

    def read_object(self, tag: int, path: str, depth: int) -> Node | np.random.Generator:
        place, values, weights, levels = len(self.seen), self.values, self.weights, self.levels
        self.seen.append(None)  # not to be referred to before it is complete
        self.levels = depth
        value = self.read_generator(path) if tag == GENERATOR else self.read_node(tag - NODE, path, depth)
        self.seen[place] = Shared(value, self.values - values + 1, self.weights - weights, self.levels - depth)
        self.levels = max(self.levels, levels)
        return value

    def read_node(self, number: int, path: str, depth: int) -> Node:
        if number not in KINDS:
            raise FormatError(f"a node of the unknown kind {number}.")
        kind = KINDS[number]
        return build(kind, [self.read(f"{path}.{name}", depth + 1) for name in FIELDS[kind]])

    def read_generator(self, path: str) -> np.random.Generator:
        self.count(HEAVY, 0, 0, path)
        state, inc, has, word = (self.structure.varint(bits) for bits in (128, 128, 1, 32))
        if inc % 2 == 0:
            raise FormatError("the increment of a generator is even; allowed: odd.")
        generator = np.random.PCG64(0)
        generator.state = {"bit_generator": "PCG64", "state": {"state": state, "inc": inc}, "has_uint32": has,
                           "uinteger": word}
        return np.random.Generator(generator)

    def read_array(self, path: str) -> np.ndarray:
        reader = self.structure
        number, axes = reader.byte(), reader.byte()
        if number >= len(DTYPES) or axes > MAX_AXES:
            raise FormatError(f"an array of the unknown dtype {number} with {axes} axes.")
        shape, length = tuple(reader.varint() for _ in range(axes)), reader.varint()
        self.count(HEAVY, max(math.prod(shape), *shape, 1), 0, path)
        data = self.arrays.take(length)
        a = codecs.decode(data, DTYPES[number], shape)
        if self.parts is not None:
            self.parts.append((path.lstrip("."), codecs.CODEC_NAMES[data[0]], length))
        return a
