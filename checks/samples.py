"""What the fuzzer mutates: small files that together hold every kind of node, every codec and a real checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicompress import nn
from minicompress.dynamic.msdnet import msdnet
from minicompress.dynamic.skipping import SkipNet, skippable
from minicompress.dynamic.slicing import slim
from minicompress.ledger import finished
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.binary import binarize
from minicompress.quantization.sharing import Codebook, share
from minicompress.quantization.thresholds import with_thresholds
from minicompress.quantization.uniform import quantize
from minicompress.storage import tree


class Memory:
    """A saver that keeps the last state of a training."""

    kept: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        return self.kept

    def save(self, state: dict[str, Any]) -> None:
        self.kept = state


def samples() -> dict[str, Any]:
    """Name → model or dictionary."""
    return {"compressed": compressed(), "images": images(), "containers": containers(), "checkpoint": checkpoint(),
            "codecs": codecs(), "sizes": sizes(), "quantized": quantized(), "dynamic": dynamic()}


def compressed() -> nn.Layer:
    """Pruned, shared, with half of its biases masked: what Deep Compression stores."""
    layers = [nn.Linear(12, 10, rng=0), nn.Linear(10, 8, rng=1), nn.Linear(8, 3, rng=2, dtype=np.float32)]
    prune([layer.weight for layer in layers], 0.7)
    for layer in layers[:2]:
        share(layer.weight, 4)
    layers[0].bias = nn.Parameter(np.ones(10), [Masked(np.arange(10) % 2 == 0)])
    return nn.Sequential([layers[0], nn.ReLU(), layers[1], nn.Tanh(), layers[2]])


def images() -> nn.Layer:
    """Convolutions of every sort, pooling, batch norm."""
    depthwise = nn.Conv2d(4, 4, 3, rng=1, stride=(2, 1), padding=1, groups="channels", bias=False)
    return nn.Sequential([
        nn.Conv2d(2, 4, 3, rng=0, padding=1), nn.BatchNorm(4), nn.ReLU(),
        nn.Concat([depthwise, nn.MaxPool2d((2, 1), (2, 1))]),
        nn.Residual(nn.Conv2d(8, 8, 1, rng=2, groups=2), nn.Conv2d(8, 8, 1, rng=3)),
        nn.AvgPool2d(2, 1), nn.GlobalAvgPool(), nn.Flatten(), nn.Linear(8, 3, rng=4),
    ])


def containers() -> nn.Layer:
    """Layers inside layers, a selector and a layer that stand in several places."""
    selector, tied, shared = nn.Selector(1), nn.Linear(6, 6, rng=0), nn.Linear(6, 6, rng=1)
    codes = Codebook(np.array([0, 1, 1, 0, 2, 1], "u1"))
    shared.weight.become([0.5, -0.5, 2.0], [codes, Scatter(np.eye(6, dtype=bool))])
    switches = [nn.Switch([tied, shared], selector), nn.Switch([nn.ReLU(), nn.Sign()], selector)]
    body = nn.Sequential([tied, nn.Sigmoid(), nn.Dropout(0.5, rng=0), nn.Gate(6), nn.Residual(tied)])
    return nn.MultiExit([body, *switches], [nn.Sequential([]), tied, nn.BatchNorm(6)])


def quantized() -> nn.Layer:
    """Weights of few bits and of one, thresholds, shuffled channels, and a network of two widths."""
    a, b, c, d, e = (nn.Linear(n, m, rng=n) for n, m in ((12, 8), (8, 6), (6, 4), (4, 4), (4, 2)))
    binarize([a.weight, b.weight])
    quantize(c.weight, 4, per_channel=True)
    small = with_thresholds(nn.Sequential([a, nn.BatchNorm(8), nn.Sign(), b, c, nn.ChannelShuffle(2)]))
    return nn.Sequential([finished(small, "single"), slim(nn.Sequential([d, e]), [0.5, 1])])


def dynamic() -> nn.Layer:
    """Several scales with an exit, and a block with a gate."""
    gated = SkipNet(nn.ReLU(), [skippable(2, rng=0)], nn.GlobalAvgPool())
    return nn.Sequential([msdnet(1, 2, scales=2, exits=1, width=1, growth=1, rng=0), gated])


def checkpoint() -> dict[str, Any]:
    """The state of a training after two epochs."""
    rng, saver = np.random.default_rng(0), Memory()
    x, x2 = rng.uniform(-1, 1, (40, 4)), rng.uniform(-1, 1, (20, 4))
    layers = [nn.Linear(4, 6, rng=0), nn.BatchNorm(6), nn.ReLU(), nn.Dropout(0.2, rng=0), nn.Linear(6, 2, rng=1)]
    model = nn.Sequential(layers)
    list(nn.train(model, nn.Adam(model.parameters()), (x, (x[:, 0] > 0).astype(int)), epochs=2, rng=0, batch=10,
                  validation=(x2, (x2[:, 0] > 0).astype(int)), patience=5, saver=saver, progress=False))
    assert saver.kept is not None
    return saver.kept


def codecs() -> dict[str, Any]:
    """Arrays that each codec is the shortest for, in every dtype, and every other sort of value."""
    rng = np.random.default_rng(0)
    floats = rng.uniform(-1, 1, 40)
    sparse = np.where(rng.random(40) < 0.6, 0, floats)
    arrays = {
        "raw": floats, "raw32": floats.astype("f4"), "constant": np.full((3, 4), 0.1), "nonzero": sparse,
        "single": floats.astype("f4").astype("f8"), "half": floats.astype("f2").astype("f4"),
        "bits": rng.random((8, 9)) < 0.5,
        "gaps": rng.random((40, 50)) < 0.02, "columns": np.repeat(rng.random(40) < 0.05, 30).reshape(40, 30).T,
        "fixed": rng.integers(0, 8, 60).astype("u1"), "huffman": np.minimum(rng.geometric(0.6, 500), 30).astype("u2"),
        "segments": np.minimum(rng.geometric(0.8, 2**14 + 600), 5).astype("u1"), "empty": np.zeros((0, 3)),
    }  # fmt: skip
    dtypes = {str(dtype): np.arange(5).astype(dtype) for dtype in tree.DTYPES}
    rest = ["text é", "", 0, -1, 2**127, -(2**70), 0.5, float("nan"), True, False, None, (1, (2, "x")), [[], {}]]
    return {"arrays": arrays, "dtypes": dtypes, "rest": rest, "rng": rng, "again": [rng, rng]}


def sizes() -> dict[str, Any]:
    """Arrays whose few bytes would fit any announced shape: the way to a file that wants all memory."""
    return {"ones": np.ones(7), "lone": np.full(9, 3, "u4"), "no": np.zeros((5, 6), bool), "all": np.ones((5, 6), bool),
            "one": np.eye(1, 30, dtype=bool), "zeros": np.where(np.arange(50) == 3, 0.1, 0),
            "layer": nn.Parameter(np.ones((2, 3)), [Masked(np.ones((2, 3), bool))]),
            "scatter": nn.Parameter(np.ones(0), [Scatter(np.zeros((2, 3), bool))]),
            "shared": nn.Parameter(np.ones(1), [Codebook(np.zeros((2, 3), "u1"))])}
