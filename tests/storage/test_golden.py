"""Files of earlier releases load for ever: those in golden/ are never written again.

A format that changes takes a new version and new files beside the old ones. `python tests/storage/test_golden.py`
writes those that are missing.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.sharing import Codebook
from minicompress.storage import inspect, load, save, to_bytes
from minicompress.storage.codecs import CODEC_NAMES
from minicompress.storage.kinds import KINDS

GOLDEN = Path(__file__).parent / "golden"
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
BLOCK = 2**20  # symbols of one Huffman code in version 1


def numbers(*shape: int, step: float = 2.0**-4) -> np.ndarray:
    """Multiples of `step` between -15 and 15 of it: sums and products of them are exact in any order."""
    return ((np.arange(np.prod(shape)) * 7919 % 31 - 15) * step).reshape(shape)


def filled(layer: nn.Layer) -> nn.Layer:
    for i, parameter in enumerate(layer.parameters()):
        parameter.become(np.roll(numbers(*parameter.data.shape), i).astype(parameter.data.dtype))
    return layer


def every_kind() -> nn.Layer:
    """All layers, two exits, shared layers and generators; x (N, 2, 8, 6)."""
    norm = filled(nn.BatchNorm(4, eps=2.0**-10))
    norm.mean[...], norm.variance[...] = numbers(4), 0.25 - 2.0**-10  # the standard deviation is 1/2
    generator, selector = np.random.default_rng(5), nn.Selector(1)
    depthwise = filled(nn.Conv2d(4, 4, 3, rng=0, padding=1, groups="channels", bias=False))
    first = nn.Sequential([filled(nn.Conv2d(2, 4, 3, rng=0, padding=(1, 0), stride=(1, 1))), norm, nn.ReLU(),
                           nn.Residual(depthwise, nn.Gate(4)), nn.MaxPool2d(2), nn.Dropout(0.25, rng=generator)])
    wide = nn.Concat([nn.AvgPool2d((2, 1), (1, 1)), filled(nn.Conv2d(4, 2, (2, 1), rng=0, groups=2))])
    head = filled(nn.Linear(36, 3, rng=0))
    masked, shared = nn.Linear(3, 3, rng=0, bias=False), nn.Linear(3, 3, rng=0)
    masked.weight.become(numbers(3, 3), [Masked(np.eye(3, dtype=bool))])
    shared.weight.become([0.5, -0.25], [Codebook(np.array([0, 1, 1], "u1")), Scatter(numbers(3, 3) > 0.25)])
    second = nn.Sequential([wide, nn.Dropout(0.5, rng=generator), nn.Flatten(), head,
                            nn.Switch([masked, shared], selector), nn.Residual(nn.Switch([shared, masked], selector))])
    squashed = nn.Residual(nn.Sequential([nn.Sign(), nn.Sigmoid(), nn.Tanh()]))
    return nn.MultiExit([first, second], [nn.GlobalAvgPool(), squashed])


def deep_compressed() -> nn.Layer:
    """Single precision, a codebook under a mask, one weight in two layers; x (N, 30)."""
    weight, mask = numbers(30, 30).astype("f4"), numbers(30, 30, step=1) > 12
    layers = [nn.Linear(30, 30, rng=0, dtype=np.float32) for _ in range(2)]
    layers[0].weight.become(np.unique(weight), [Codebook((weight[mask] * 16 + 15).astype("u1")), Scatter(mask)])
    layers[1].weight = layers[0].weight
    head = filled(nn.Linear(30, 4, rng=0, dtype=np.float32))
    return nn.Sequential([layers[0], nn.ReLU(), layers[1], nn.ReLU(), head])


def values() -> dict[str, Any]:
    """Every sort of value, every dtype, every codec."""
    generator = np.random.default_rng(9)
    n, noise = np.arange(1000), np.random.PCG64(1).random_raw(50).astype("<u8").view("u1")
    return {
        "plain": [None, True, False, 0, 127, 128, -1, 2**127, -(2**127), 0.1, -0.0, float("inf"), "", "∘", (1, ()), {}],
        "generators": [generator, generator, np.random.default_rng(2**70)],
        "dtypes": [(n[:5] * 25).astype(dtype) for dtype in DTYPES],
        "shapes": [np.zeros(()), np.ones((0, 3)), np.arange(1.0, 7).reshape(1, 2, 3, 1) / 7],
        "special": np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 0.1]),
        "constant": np.full((100, 100), 0.1), "half": n / 8, "single": 1 + n / 2**20,
        "sparse": np.where(n % 11 == 3, n / 7, 0.0), "bits": np.unpackbits(noise) > 0, "rows": n % 19 == 4,
        "columns": (np.arange(90) % 30 == 7) & np.ones((50, 1), bool), "most": n % 23 != 5,
        "fixed": (n * 7919 % 1024).astype("u2"), "codes": np.minimum(n * n % 37, n % 5).astype("u1"),
        "blocks": (np.arange(BLOCK + 5) >= BLOCK).astype("u1"), "index": np.arange(4 * BLOCK) < BLOCK + 7,
    }


def exact(value: Any) -> Any:
    """A form in which == means: same types, same bits."""
    if isinstance(value, (list, tuple)):
        return type(value), [exact(item) for item in value]
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    return type(value), struct.pack("<d", value) if isinstance(value, float) else value


MAKERS = {"every_kind_1.mcz": every_kind, "deep_compressed_1.mcz": deep_compressed, "values_1.mcz": values}


def test_the_files_are_all_there_and_small() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(MAKERS)
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 40_000


def test_values() -> None:
    assert exact(load(GOLDEN / "values_1.mcz")) == exact(values())
    assert {part.codec for part in inspect(GOLDEN / "values_1.mcz")} == {"", *CODEC_NAMES}


@pytest.mark.parametrize("name", ["every_kind_1.mcz", "deep_compressed_1.mcz"])
def test_networks_are_those_that_were_saved(name: str) -> None:
    found, model = load(GOLDEN / name), MAKERS[name]()
    assert [(path, type(node)) for path, node in found.walk()] == [(path, type(node)) for path, node in model.walk()]
    assert exact(found.state()) == exact(model.state())


def test_outputs() -> None:
    """As recorded when the files were written; all numbers on the way are exact, but for tanh."""
    model = load(GOLDEN / "every_kind_1.mcz")
    assert {type(node) for _, node in model.walk()} == {KINDS[number] for number in (*range(1, 21), 32, 33, 34)}
    pooled, scores = nn.predict(model, numbers(2, 2, 8, 6))
    assert (pooled * 2**20).tolist() == [[1597664, 0, 3525508, 1244640], [1782872, 0, 3534616, 988352]]
    np.testing.assert_allclose(scores, [[0.7831125435435461, -0.6610725270778968, -0.3653025338620974],
                                        [0.894160392602651, 1.944910860528915, -0.3217657739491297]], rtol=1e-12)
    logits = nn.predict(load(GOLDEN / "deep_compressed_1.mcz"), numbers(2, 30).astype("f4"))
    assert logits.dtype == np.float32
    assert (logits * 2**16).tolist() == [[322080, -71700, -752130, 612634], [-656546, 418284, -93800, -572714]]


@pytest.mark.parametrize("name", MAKERS)
def test_saved_again_nothing_is_lost(name: str, tmp_path: Path) -> None:
    value = load(GOLDEN / name)
    save(tmp_path / name, value)
    assert to_bytes(load(tmp_path / name)) == (tmp_path / name).read_bytes()


if __name__ == "__main__":
    for name, make in MAKERS.items():
        if not (GOLDEN / name).exists():
            save(GOLDEN / name, make())
