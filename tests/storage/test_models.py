"""Whole models: what comes back computes, trains and is stored as what went in, bit for bit."""

from collections.abc import Callable

import numpy as np
import pytest

from minicompress import nn
from minicompress.dynamic.msdnet import msdnet
from minicompress.dynamic.skipping import SkipNet, skippable
from minicompress.dynamic.slicing import SHARED, selector_of, slim
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.binary import Signed
from minicompress.quantization.sharing import Codebook
from minicompress.quantization.thresholds import Threshold
from minicompress.quantization.uniform import Scaled
from minicompress.storage import from_bytes, to_bytes
from minicompress.storage.kinds import KINDS

RNG = np.random.default_rng(0)
FEATURES, IMAGES = (5, 6), (3, 4, 7, 8)


def mlp(dtype: type) -> nn.Layer:
    return nn.Sequential([nn.Linear(6, 8, rng=0, dtype=dtype), nn.BatchNorm(8, dtype=dtype), nn.Sigmoid(),
                          nn.Dropout(0.3, rng=1), nn.Linear(8, 8, rng=2, bias=False, init="glorot", dtype=dtype),
                          nn.Gate(8, dtype=dtype), nn.Tanh(), Threshold(np.linspace(-1, 1, 8, dtype=dtype)),
                          nn.Sign(), nn.Linear(8, 4, rng=3, dtype=dtype)])


def cnn(dtype: type) -> nn.Layer:
    depthwise = nn.Conv2d(6, 6, 3, rng=1, stride=(1, 2), padding=1, groups="channels", bias=False, dtype=dtype)
    return nn.Sequential([nn.Conv2d(4, 6, 3, rng=0, padding=(1, 0), dtype=dtype), nn.BatchNorm(6, dtype=dtype),
                          nn.ReLU(), nn.MaxPool2d(2), depthwise, nn.Conv2d(6, 4, 1, rng=2, groups=2, dtype=dtype),
                          nn.AvgPool2d((2, 1), (1, 1)), nn.Flatten(), nn.Linear(16, 4, rng=3, dtype=dtype)])


def blocks(dtype: type) -> nn.Layer:
    conv = nn.Conv2d(4, 4, 3, rng=0, padding=1, dtype=dtype)
    short = nn.Residual(nn.Sequential([conv, nn.ReLU()]), nn.Conv2d(4, 4, 1, rng=1, dtype=dtype))
    wide = nn.Concat([nn.Sequential([]), nn.Conv2d(4, 2, 1, rng=2, dtype=dtype)])
    selector = nn.Selector(1)
    norms = nn.Switch([nn.BatchNorm(6, dtype=dtype), nn.BatchNorm(6, eps=1e-3, momentum=0.5, dtype=dtype)], selector)
    heads = nn.Switch([nn.Linear(6, 4, rng=n, dtype=dtype) for n in (3, 4)], selector)
    return nn.Sequential([nn.Residual(short), wide, norms, nn.ChannelShuffle(3), nn.GlobalAvgPool(), heads])


def exits(dtype: type) -> nn.Layer:
    stages = [nn.Sequential([nn.Linear(6, 6, rng=n, dtype=dtype), nn.ReLU()]) for n in (0, 1)]
    return nn.MultiExit(stages, [nn.Linear(6, 4, rng=2, dtype=dtype), nn.Sequential([])])


def tied(dtype: type) -> nn.Layer:
    """One weight in two layers, one layer in two places, and one generator in two layers."""
    first, second = (nn.Linear(6, 6, rng=n, dtype=dtype) for n in (0, 1))
    second.weight = first.weight
    generator = np.random.default_rng(7)
    generator.integers(0, 5, 3, dtype=np.uint32)  # leaves half a word behind
    drops = [nn.Dropout(0.4, rng=generator), nn.Dropout(0.2, rng=generator)]
    return nn.Sequential([first, drops[0], second, drops[1], nn.Residual(nn.Switch([first, second], nn.Selector()))])


def scales(dtype: type) -> nn.Layer:
    return msdnet(4, 4, scales=2, exits=2, width=2, growth=2, rng=0, dtype=dtype)


def gated(dtype: type) -> nn.Layer:
    head = nn.Sequential([nn.GlobalAvgPool(), nn.Linear(4, 4, rng=1, dtype=dtype)])
    return SkipNet(nn.Sequential([]), [skippable(4, rng=n, dtype=dtype) for n in (0, 1)], head)


def slimmable(dtype: type) -> nn.Layer:
    """At its narrow width, with one batch norm for both."""
    plain = nn.Sequential([nn.Linear(6, 8, rng=0, dtype=dtype), nn.BatchNorm(8, dtype=dtype), nn.ReLU(),
                           nn.Linear(8, 4, rng=1, dtype=dtype)])
    model = slim(plain, [0.5, 1], norms=SHARED)
    selector_of(model).index = 0
    return model


CHAINS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, list[nn.Parametrization]]]] = {
    "masked": lambda w: (w, [Masked(RNG.random(w.shape) < 0.3)]),
    "all pruned": lambda w: (w[:0].ravel(), [Scatter(np.zeros(w.shape, bool))]),
    "scattered": lambda w: (w.ravel()[:7], [Scatter(np.arange(w.size).reshape(w.shape) % 9 == 2)]),
    "codebook": lambda w: (np.array([-0.0, 0.3, -0.1]), [Codebook(RNG.integers(0, 3, w.shape).astype("u1"))]),
    "codebook, scattered": lambda w: (w.ravel()[:4], [Codebook(RNG.integers(0, 4, 7).astype("u2")),
                                                      Scatter(np.arange(w.size).reshape(w.shape) % 9 == 2)]),
    "codebook, masked": lambda w: (w.ravel()[:4], [Codebook(RNG.integers(0, 4, w.shape).astype("u1")),
                                                   Masked(RNG.random(w.shape) < 0.5)]),
    "masked, codebook": lambda w: (w.ravel()[:4], [Masked(np.array([True, False, True, True])),
                                                   Codebook(RNG.integers(0, 4, w.shape).astype("u1"))]),
    "signs by rows": lambda w: (w[:, 0], [Signed(RNG.random(w.shape) < 0.5, np.full(len(w), w[0].size))]),
    "signs, scattered": lambda w: (w[:1, 0], [Signed(RNG.random(7) < 0.5, np.array([7])),
                                              Scatter(np.arange(w.size).reshape(w.shape) % 9 == 2)]),
    "scaled by rows": lambda w: (w[:, 0], [Scaled(RNG.integers(0, 15, w.shape).astype("u1"), np.full(10, 7, "u1"),
                                                  np.full(10, 6, "u1"))]),
    "scaled, scattered": lambda w: (w[:1, 0], [Scaled(RNG.integers(0, 4, 7).astype("u2"), np.array([1], "u1"),
                                                      np.array([7], "u1")),
                                               Scatter(np.arange(w.size).reshape(w.shape) % 9 == 2)]),
    "masked twice": lambda w: (w, [Masked(RNG.random(w.shape) < 0.7), Masked(RNG.random(w.shape) < 0.7)]),
}


def chained(name: str) -> Callable[[type], nn.Layer]:
    def build(dtype: type) -> nn.Layer:
        layer = nn.Linear(6, 10, rng=0, dtype=dtype)
        data, chain = CHAINS[name](layer.weight.data)
        layer.weight.become(data.astype(dtype), chain)
        return nn.Sequential([layer, nn.ReLU(), nn.Linear(10, 4, rng=1, dtype=dtype)])
    return build


ZOO: dict[str, tuple[Callable[[type], nn.Layer], tuple[int, ...]]] = {
    "mlp": (mlp, FEATURES), "cnn": (cnn, IMAGES), "blocks": (blocks, IMAGES), "exits": (exits, FEATURES),
    "tied": (tied, FEATURES), "slimmable": (slimmable, FEATURES), "scales": (scales, IMAGES), "gated": (gated, IMAGES),
    **{name: (chained(name), FEATURES) for name in CHAINS}}


@pytest.fixture(params=[(name, dtype) for name in ZOO for dtype in (np.float32, np.float64)],
                ids=lambda p: f"{p[0]}, {p[1].__name__}")
def case(request: pytest.FixtureRequest) -> tuple[nn.Layer, np.ndarray]:
    (name, dtype), rng = request.param, np.random.default_rng(5)
    build, shape = ZOO[name]
    model, x = build(dtype), rng.standard_normal(shape).astype(dtype)
    model.train()
    if name != "tied":  # which calls one layer twice
        model.forward(x)  # moves running statistics and generators away from where they began
    return model, x


def bits(outputs: np.ndarray | tuple[np.ndarray, ...]) -> list[tuple]:
    return [(y.dtype, y.shape, y.tobytes()) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]


def states(model: nn.Layer) -> list[tuple]:
    def key(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.dtype, value.shape, value.tobytes()
        return repr(value.bit_generator.state) if isinstance(value, np.random.Generator) else value
    return [(path, key(value)) for path, value in model.state().items()]


def test_the_zoo_has_every_kind() -> None:
    kinds = {type(node) for build, _ in ZOO.values() for _, node in build(float).walk()}
    assert kinds == set(KINDS.values())


def test_bit_identical_after_reload_and_as_bytes_again(case: tuple[nn.Layer, np.ndarray]) -> None:
    model, x = case
    data = to_bytes(model)
    back = from_bytes(data)
    assert to_bytes(back) == data
    assert states(back) == states(model)
    assert [(path, type(node)) for path, node in back.walk()] == [(path, type(node)) for path, node in model.walk()]
    assert bits(nn.predict(back, x)) == bits(nn.predict(model, x))


def test_training_goes_on_with_the_same_bits(case: tuple[nn.Layer, np.ndarray]) -> None:
    model, x = case
    if isinstance(model, nn.Sequential) and len(model.layers) == 5 and isinstance(model.layers[4], nn.Residual):
        model.layers.pop()  # of the tied model: training calls no layer twice before its backward
    back, results = from_bytes(to_bytes(model)), []
    for m in (model, back):
        m.train()  # forgets the forward pass of the fixture
        optimizer = nn.Adam(m.parameters(), 0.01)
        for _ in range(3):
            y = m.forward(x)
            m.backward(tuple(np.tanh(part) for part in y) if isinstance(y, tuple) else np.tanh(y))
            optimizer.step()
        results.append((states(m), bits(nn.predict(m, x))))
    assert results[0] == results[1]
    assert to_bytes(model) == to_bytes(back)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_shared_stays_shared(dtype: type) -> None:
    back = from_bytes(to_bytes(tied(dtype)))
    first, drop, second, other, residual = back.layers
    assert first.weight is second.weight
    assert drop.rng is other.rng
    assert residual.body.layers[0] is first
    assert residual.body.layers[1] is second
    assert len(back.parameters()) == 3


def test_sharing_costs_the_weight_once() -> None:
    layer, other = nn.Linear(60, 60, rng=0), nn.Linear(60, 60, rng=1)
    apart = len(to_bytes(nn.Sequential([layer, other])))
    other.weight = layer.weight
    assert len(to_bytes(nn.Sequential([layer, other]))) < apart - 60 * 60 * 8


def test_saving_changes_nothing(case: tuple[nn.Layer, np.ndarray]) -> None:
    model, _ = case
    before, grads = states(model), [p.grad for p in model.parameters()]
    to_bytes(model)
    assert states(model) == before
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))


def test_a_loaded_model_shares_no_memory_with_the_bytes(case: tuple[nn.Layer, np.ndarray]) -> None:
    model, _ = case
    data = to_bytes(model)
    back = from_bytes(data)
    for value in back.state().values():
        if isinstance(value, np.ndarray):
            assert value.flags.writeable
            value[...] = value.dtype.type(0)
    assert states(from_bytes(data)) == states(model)
