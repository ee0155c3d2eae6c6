"""Files made to do harm, lengths and checksums repaired: an error of ours, or a model that works or says why not."""

import copy
import time
import zlib
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import FormatError, MiniCompressError
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.sharing import Codebook
from minicompress.storage import from_bytes, to_bytes
from minicompress.storage.tree import Writer
from minicompress.storage.varint import varint

X = [np.random.default_rng(0).standard_normal(shape) for shape in ((5, 6), (2, 4, 7, 8))]
NUMBERS = [-1, 0, 1, 2, 3, 7, 2**15, 2**31, 2**60, 2**64, 0.0, -0.5, 1.0, 1e300, 1e-320, float("nan"), True, None,
           "channels", ""]
SHAPES = [(), (0,), (1,), (4,), (6, 0), (6, 6), (1, 6), (4, 4, 1, 1), (4, 1, 3, 3), (2,) * 4, (3, 0, 3, 3), (1,) * 8]


def dense() -> nn.Layer:
    first, second, third = (nn.Linear(6, 6, rng=n, bias=n != 1) for n in range(3))
    second.weight.become(second.weight.data, [Masked(np.eye(6, dtype=bool))])
    third.weight.become([0.5, -0.5], [Codebook(np.array([0, 1, 1, 0, 0, 1], "u1")), Scatter(np.eye(6, dtype=bool))])
    selector = nn.Selector(1)
    return nn.Sequential([first, nn.BatchNorm(6), nn.Dropout(0.5, rng=0), nn.Residual(second), nn.Gate(6), nn.Tanh(),
                          nn.Switch([first, third], selector), nn.Switch([nn.ReLU(), nn.Sign()], selector)])


def images() -> nn.Layer:
    return nn.Sequential([nn.Conv2d(4, 4, 3, rng=0, padding=1), nn.BatchNorm(4), nn.ReLU(),
                          nn.Concat([nn.Conv2d(4, 4, 3, rng=1, stride=(2, 1), padding=1, groups="channels", bias=False),
                                     nn.MaxPool2d((2, 1), (2, 1))]), nn.Residual(nn.Conv2d(8, 8, 1, rng=2, groups=2)),
                          nn.AvgPool2d(2, 1), nn.Sequential([nn.GlobalAvgPool(), nn.Linear(8, 3, rng=3)])])


def frame(structure: bytes, arrays: bytes) -> bytes:
    """A file with these sections, lengths and checksums right."""
    out = b"MCZ\x01"
    for section in (structure, arrays):
        framed = varint(len(section)) + section
        out += framed + zlib.crc32(b"MCZ\x01" + framed).to_bytes(4, "little")
    return out


def check(data: bytes) -> bool:
    """Whether the file holds a value.   Fails where it raises another error, or takes long, or is not a fixed point."""
    start = time.perf_counter()
    with np.errstate(all="ignore"):
        try:
            value = from_bytes(data, 10**5)
        except FormatError:
            return False
        again = to_bytes(value)
        assert to_bytes(from_bytes(again, 10**5)) == again
        for x in X if isinstance(value, nn.Layer) else ():
            try:
                nn.predict(value, x)
            except MiniCompressError:
                continue
    assert time.perf_counter() - start < 1
    return True


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside a value; what is shared, or inside itself, only once."""
    found: list[tuple[Any, Any]] = []
    seen, waiting = set(), [value]
    while waiting:
        outer = waiting.pop()
        if id(outer) in seen or not isinstance(outer, (nn.Node, list)):
            continue
        seen.add(id(outer))
        inner = [(outer, key) for key in (range(len(outer)) if isinstance(outer, list) else outer.fields())]
        waiting += [get(*place) for place in inner]
        found += inner
    return found


def get(container: Any, key: Any) -> Any:
    return container[key] if isinstance(container, list) else getattr(container, key)


def mutated(value: Any, all_values: list[Any], rng: np.random.Generator) -> Any:
    """Another value for a place: of the same kind but wrong, from elsewhere in the model, or nothing of the sort."""
    pick = rng.integers(10)
    if pick == 0:
        return all_values[rng.integers(len(all_values))]
    if pick == 1:
        return NUMBERS[rng.integers(len(NUMBERS))]
    if isinstance(value, np.ndarray):
        if pick < 5:
            return np.resize(value, SHAPES[rng.integers(len(SHAPES))]) if value.size else value
        if pick < 8:
            return value.astype(rng.choice(["?", "u1", "u2", "u8", "i1", "i8", "f2", "f4", "f8"]))
        return np.full(value.shape, rng.choice([0, 1, 6, 255, np.nan, np.inf, -1e300, 1e-320]))
    if isinstance(value, tuple):
        return tuple(rng.choice(NUMBERS[:10]) if rng.random() < 0.5 else item for item in value)[: rng.integers(1, 4)]
    if isinstance(value, list):
        items = value + [all_values[i] for i in rng.integers(len(all_values), size=rng.integers(3))]
        return [items[i] for i in rng.permutation(len(items))[: rng.integers(len(items) + 1)]]
    return NUMBERS[rng.integers(len(NUMBERS))]


@pytest.mark.parametrize("build", [dense, images])
def test_wrong_values_in_any_field(build: Any) -> None:
    rng, base, valid = np.random.default_rng(0), build(), 0
    assert check(to_bytes(base))
    for _ in range(400):
        model = copy.deepcopy(base)
        for _ in range(rng.integers(1, 3)):
            everything = places(model)
            container, key = everything[rng.integers(len(everything))]
            with np.errstate(all="ignore"):
                value = mutated(get(container, key), [get(*place) for place in everything], rng)
            if isinstance(container, list):
                container[key] = value
            else:
                setattr(container, key, value)
        writer = Writer()
        try:
            writer.write(model)
        except MiniCompressError:
            continue
        valid += check(frame(bytes(writer.structure), bytes(writer.arrays)))
    assert 10 < valid < 390  # both kinds occur


@pytest.mark.parametrize("build", [dense, images])
def test_wrong_bytes_in_both_sections(build: Any) -> None:
    rng, writer, valid = np.random.default_rng(1), Writer(), 0
    writer.write(build())
    sections = [bytes(writer.structure), bytes(writer.arrays)]
    snippets = [b"", b"\0", b"\1", b"\x7f", b"\xff", *map(varint, (2**31, 2**60, 2**64 - 1)), b"\x0c\0", b"\x07\x7f"]
    for _ in range(1000):
        changed = list(sections)
        for _ in range(rng.integers(1, 4)):
            i = int(rng.random() < 0.3)
            section, start = bytearray(changed[i]), rng.integers(len(changed[i]))
            source = rng.integers(len(section))
            patch = [bytes([section[start] ^ 1 << rng.integers(8)]), bytes([rng.integers(256)]),
                     snippets[rng.integers(len(snippets))], bytes(section[source : source + rng.integers(1, 30)])]
            section[start : start + rng.integers(0, 3)] = patch[rng.integers(4)]
            changed[i] = bytes(section) or b"\0"
        valid += check(frame(*changed))
    assert valid > 10
