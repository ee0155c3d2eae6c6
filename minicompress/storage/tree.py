"""A model as a tree: nodes, lists, numbers and arrays as one stream of bytes, and back.

A value is one byte that tells what follows, then its content; a node is its kind's number and its fields in their order.
A node or generator that stands in several places is written once and then referred to, so tied weights stay tied. Of an
array the tree holds dtype, shape and the length of its bytes; the bytes themselves follow in a second section.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from ..errors import FormatError, LimitError, StorageError
from ..nn import Node
from . import codecs
from .kinds import KINDS, NUMBERS, build
from .varint import Reader, varint

NONE, TRUE, FALSE, INTEGER, NEGATIVE, FLOAT, TEXT, LIST, TUPLE, DICT, ARRAY, GENERATOR, AGAIN = range(13)
NODE = 64  # NODE + number of the kind
DTYPES = [np.dtype(t) for t in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")]
MAX_DEPTH, MAX_VALUES, MAX_AXES = 64, 100_000, 8


class Writer:
    """The two sections of a tree: `structure` and `arrays`, and how many bytes each array took."""

    def __init__(self) -> None:
        self.structure, self.arrays = bytearray(), bytearray()
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # an id is only unique while its object lives

    def write(self, value: Any) -> None:
        """Append one value.   Raises StorageError for what a file cannot hold."""
        out = self.structure
        if id(value) in self.seen:
            out += bytes([AGAIN]) + varint(self.seen[id(value)])
        elif value is None or isinstance(value, (bool, np.bool_)):
            out.append(NONE if value is None else TRUE if value else FALSE)
        elif isinstance(value, (int, np.integer)):
            out += bytes([NEGATIVE if value < 0 else INTEGER]) + varint(-1 - int(value) if value < 0 else int(value))
        elif isinstance(value, (float, np.floating)):
            out += bytes([FLOAT]) + struct.pack("<d", value)
        elif isinstance(value, str):
            text = value.encode()
            out += bytes([TEXT]) + varint(len(text)) + text
        elif isinstance(value, (list, tuple)):
            out += bytes([LIST if isinstance(value, list) else TUPLE]) + varint(len(value))
            for item in value:
                self.write(item)
        elif isinstance(value, dict):
            out += bytes([DICT]) + varint(len(value))
            for key, item in value.items():
                self.write(str(key))
                self.write(item)
        elif isinstance(value, np.ndarray):
            self.write_array(value)
        elif isinstance(value, (np.random.Generator, Node)):
            self.write_object(value)
        else:
            raise StorageError(f"a {type(value).__name__} cannot be stored; allowed: the package's layers and "
                               f"parametrizations, arrays, generators, lists, dicts, text and numbers.")

    def write_array(self, a: np.ndarray) -> None:
        dtype = a.dtype.newbyteorder("=")
        if dtype not in DTYPES:
            raise StorageError(f"an array of {a.dtype} cannot be stored; allowed: {', '.join(map(str, DTYPES))}.")
        data = codecs.encode(np.ascontiguousarray(a, dtype).reshape(a.shape))
        self.structure += bytes([ARRAY, DTYPES.index(dtype), a.ndim])
        self.structure += b"".join(map(varint, (*a.shape, len(data))))
        self.arrays += data

    def write_object(self, value: Any) -> None:
        self.seen[id(value)] = len(self.seen)
        self.alive.append(value)
        if isinstance(value, Node):
            if type(value) not in NUMBERS:
                raise StorageError(f"a {type(value).__name__} has no number in storage/kinds.py; allowed: "
                                   f"{', '.join(sorted(kind.__name__ for kind in NUMBERS))}.")
            self.structure.append(NODE + NUMBERS[type(value)])
            for name in value.fields():
                self.write(getattr(value, name))
        else:
            state = value.bit_generator.state
            if state["bit_generator"] != "PCG64":
                raise StorageError(f"a {state['bit_generator']} generator cannot be stored; allowed: PCG64, that of "
                                   f"numpy.random.default_rng.")
            numbers = (state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"])
            self.structure += bytes([GENERATOR]) + b"".join(map(varint, numbers))


class TreeReader:
    """The value that a structure and its arrays hold; `parts` lists (path, codec, bytes) of every array read."""

    def __init__(self, structure: bytes, arrays: bytes, max_weights: int) -> None:
        self.structure, self.arrays = Reader(structure), Reader(arrays)
        self.left, self.values = max_weights, 0
        self.seen: list[Any] = []
        self.parts: list[tuple[str, str, int]] = []

    def read_all(self) -> Any:
        """The whole value.   Raises FormatError, also where bytes are left over."""
        value = self.read("")
        if self.structure.rest() or self.arrays.rest():
            raise FormatError("bytes are left over behind the last value.")
        return value

    def read(self, path: str, depth: int = 0) -> Any:
        self.values += 1
        if depth > MAX_DEPTH or self.values > MAX_VALUES:
            raise LimitError(f"more than {MAX_DEPTH} levels or {MAX_VALUES} values.")
        reader, tag = self.structure, self.structure.byte()
        if tag >= NODE:
            return self.read_node(tag - NODE, path, depth)
        if tag in (LIST, TUPLE):
            items = [self.read(f"{path}.{i}", depth + 1) for i in range(reader.varint())]
            return items if tag == LIST else tuple(items)
        if tag == DICT:
            return dict(self.read_item(path, depth) for _ in range(reader.varint()))
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
            try:
                return reader.take(reader.varint()).decode()
            except UnicodeDecodeError as error:
                raise FormatError("a text is not UTF-8.") from error
        if tag == GENERATOR:
            return self.read_generator()
        if tag == AGAIN and (number := reader.varint()) < len(self.seen) and self.seen[number] is not None:
            return self.seen[number]
        raise FormatError(f"a value of the unknown kind {tag}, or one that refers to what has not been read.")

    def read_item(self, path: str, depth: int) -> tuple[str, Any]:
        key = self.read(path, depth + 1)
        if not isinstance(key, str):
            raise FormatError("a dictionary has a key that is not a text.")
        return key, self.read(f"{path}.{key}", depth + 1)

    def read_node(self, number: int, path: str, depth: int) -> Node:
        if number not in KINDS:
            raise FormatError(f"a node of the unknown kind {number}.")
        kind, place = KINDS[number], len(self.seen)
        self.seen.append(None)  # not to be referred to before it is complete
        node = build(kind, [self.read(f"{path}.{name}", depth + 1) for name in kind.fields()])
        self.seen[place] = node
        return node

    def read_array(self, path: str) -> np.ndarray:
        reader = self.structure
        number, axes = reader.byte(), reader.byte()
        if number >= len(DTYPES) or axes > MAX_AXES:
            raise FormatError(f"an array of the unknown dtype {number} with {axes} axes.")
        shape, length = tuple(reader.varint() for _ in range(axes)), reader.varint()
        size = 1
        for n in shape:
            size *= n
        self.left -= max(size, *shape, 1)
        if self.left < 0:
            raise LimitError(f"an array of shape {shape} passes the limit of weights. Hint: load(path, max_weights=…).")
        data = self.arrays.take(length)
        a = codecs.decode(data, DTYPES[number], shape)
        self.parts.append((path.lstrip("."), codecs.CODEC_NAMES[data[0]], length))
        return a

    def read_generator(self) -> np.random.Generator:
        state, inc, has, word = (self.structure.varint(bits) for bits in (128, 128, 1, 32))
        generator = np.random.Generator(np.random.PCG64())
        generator.bit_generator.state = {"bit_generator": "PCG64", "state": {"state": state, "inc": inc},
                                         "has_uint32": has, "uinteger": word}
        self.seen.append(generator)
        return generator
