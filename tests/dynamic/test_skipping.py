"""Skipped blocks: the straight-through gradient, the price, and that a skipped block is not executed."""

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.dynamic.skipping import (
    SkipNet,
    Skippable,
    all_on,
    gated_error,
    majority,
    priced,
    skip,
    skippable,
)
from minicompress.errors import NonFiniteError, RangeError, ShapeError, StateError
from minicompress.nn import (
    Adam,
    Conv2d,
    GlobalAvgPool,
    Layer,
    Linear,
    ReLU,
    Sequential,
    Tanh,
    cross_entropy,
    predict,
    train,
)

RNG = np.random.default_rng(0)
X, LABELS = RNG.uniform(-1, 1, (20, 1, 6, 6)), np.arange(20) % 3
OPEN = np.arange(60).reshape(20, 3) % 4 > 1  # some images skip none, some all


def net(blocks=3, channels=4, seed=0, dtype=np.float64):
    """With gates that differ from image to image."""
    rng = np.random.default_rng(seed)
    stem = Sequential([Conv2d(1, channels, 3, stride=2, padding=1, rng=rng, dtype=dtype), ReLU()])
    model = SkipNet(stem, [skippable(channels, rng=rng, dtype=dtype) for _ in range(blocks)],
                    Sequential([GlobalAvgPool(), Linear(channels, 3, rng=rng, dtype=dtype)]))
    model.train(False)
    for block in model.blocks:
        block.gate.layers[1].weight.data[...] = rng.uniform(-9, 9, (1, channels))
        block.gate.layers[1].bias.data[...] = -np.median(block.gate.forward(model.stem.forward(X.astype(dtype)))) + 1
    model.train()
    return model


class Counter(Layer):
    """The identity, which remembers how many rows came through."""

    def __init__(self):
        self.rows = []

    def forward(self, x):
        self.rows.append(len(x))
        return x


def test_the_sum_and_the_gates():
    block = net().blocks[0]
    x = RNG.uniform(0, 1, (20, 4, 3, 3))
    y, g = block.forward(x)
    for _, node in block.walk():
        node.reset()
    np.testing.assert_array_equal(g, block.gate.forward(x)[:, 0] > 0)
    np.testing.assert_allclose(y, x + g[:, None, None, None] * block.body.forward(x))
    assert set(g) == {0.0, 1.0}


def test_the_gradient_is_that_of_a_soft_gate():
    """dx and the gradients are those of x + f g + s (f - detached), with s = σ(a) in place of the step."""
    rng = np.random.default_rng(1)
    block = Skippable(Sequential([Linear(5, 5, rng=rng), Tanh()]), Linear(5, 1, rng=rng))
    x, dy, dg = (rng.uniform(-1, 1, shape) for shape in ((8, 5), (8, 5), 8))
    _, g = block.forward(x)
    dx = block.backward((dy, dg))
    block.train(False)
    s0, f0 = 1 / (1 + np.exp(-block.gate.forward(x)[:, 0])), block.body.forward(x)

    def value(x):
        s, f = 1 / (1 + np.exp(-block.gate.forward(x)[:, 0])), block.body.forward(x)
        y = x + g[:, None] * f + (s - s0)[:, None] * f0  # the derivative of a straight-through gate
        return (dy * y).sum() + (dg * s).sum()

    def check(array, gradient):
        direction, before, moved = rng.uniform(-1, 1, array.shape), array.copy(), []
        for t in (-1e-5, 1e-5):
            array[...] = before + t * direction
            moved.append(value(x))
        array[...] = before
        assert (gradient * direction).sum() == pytest.approx(np.diff(moved)[0] / 2e-5, rel=1e-6, abs=1e-9)

    check(x, dx)
    for p in block.parameters():
        check(p.data, p.grad.copy())


def test_the_gradient_goes_through_the_whole_network():
    model, rng = net(), np.random.default_rng(2)
    z, G = model.forward(X)
    dx = model.backward((rng.uniform(-1, 1, z.shape), np.zeros(G.shape)))
    assert dx.shape == X.shape and all(np.abs(p.grad).max() > 0 for p in model.parameters())


def test_a_price_closes_gates():
    model, loss = net(), priced(0.3)
    z, G = model.forward(X)
    value, (dz, dG) = loss((z, G), LABELS)
    plain, d = cross_entropy(z, LABELS)
    assert value == pytest.approx(plain + 0.3 * G.mean()) and dG.sum() == pytest.approx(0.3)
    np.testing.assert_array_equal(dz, d)
    for _ in train(model, Adam(model.parameters(), 0.05), (X, LABELS), epochs=60, rng=0, batch=10, loss=priced(20.0),
                   progress=False):
        pass
    assert skip(model, X).gates.mean() < 0.1 < G.mean()
    with pytest.raises(RangeError):
        priced(-1)
    assert priced(0.3).__name__ == "price 0.3, cross_entropy"


def test_a_new_gate_is_open():
    rng = np.random.default_rng(0)
    model = SkipNet(Sequential([]), [skippable(1, rng=rng)] * 2, Sequential([GlobalAvgPool(), Linear(1, 3, rng=rng)]))
    assert skip(model, X).gates.all()
    np.testing.assert_allclose(predict(all_on(model), X), predict(model, X)[0])


def test_skipped_blocks_do_not_run():
    model, counters = net(), [Counter() for _ in range(3)]
    for block, counter in zip(model.blocks, counters, strict=True):
        block.body = Sequential([counter, block.body])
    done = skip(model, X, batch=20)
    assert [sum(c.rows) for c in counters] == done.gates.sum(0).tolist()
    assert 0 < done.gates.sum() < done.gates.size
    for c in counters:
        c.rows.clear()
    skip(model, X, np.zeros((20, 3), bool))
    assert not any(c.rows for c in counters)


@pytest.mark.parametrize("batch", [1, 7, 20])
def test_products_are_those_of_what_ran(batch):
    model = net()
    done, costs = skip(model, X, batch=batch), layer_macs(all_on(model), X[:1])
    body, rest = 9 * 4 * 4 * 9, sum(costs.values()) - 3 * 9 * 4 * 4 * 9
    assert done.in_blocks == done.gates.sum() * body
    assert done.macs == done.in_blocks + 20 * (rest + 3 * 4)  # each gate has 4 weights
    obeyed = skip(model, X, done.gates, batch=batch)
    assert obeyed.macs == done.macs - 20 * 3 * 4 and (obeyed.gates == done.gates).all()
    np.testing.assert_allclose(obeyed.outputs, done.outputs, rtol=1e-9)
    np.testing.assert_allclose(done.outputs, predict(model, X)[0], rtol=1e-9)


def test_gates_from_outside():
    model = net()
    z = skip(model, X, OPEN).outputs
    model.train(False)
    for n in range(20):
        x = model.stem.forward(X[n : n + 1])
        for block, g in zip(model.blocks, OPEN[n], strict=True):
            x = x + block.body.forward(x) if g else x
        np.testing.assert_allclose(model.head.forward(x)[0], z[n], rtol=1e-9)
    np.testing.assert_allclose(skip(model, X, np.ones((20, 3))).outputs, predict(all_on(model), X))
    with pytest.raises(ShapeError, match=r"\(20, 3\)"):
        skip(model, X, OPEN.T)
    model.head.layers[1].weight.data[0, 0] = np.inf
    with pytest.raises(NonFiniteError):
        skip(model, X)


def test_the_mode_is_put_back_and_evaluation_has_no_gradient():
    model = net()
    skip(model, X)
    assert model.training and model.blocks[0].training
    model.train(False)
    z, G = model.forward(X)
    with pytest.raises(StateError):
        model.backward((z, G))


def test_the_layers_are_shared_and_error_obeys_the_gates():
    model = net()
    assert {id(p) for p in all_on(model).parameters()} <= {id(p) for p in model.parameters()}
    assert gated_error(model, X, LABELS) == np.mean(skip(model, X).outputs.argmax(1) != LABELS)


def test_the_majority():
    assert majority(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]])).tolist() == [True, False, False]


def test_float32_stays_float32():
    model = net(dtype=np.float32)
    z, G = model.forward(X.astype(np.float32))
    _, (dz, dG) = priced(0.1)((z, G), LABELS)
    assert {a.dtype for a in (z, G, dz, dG, model.backward((dz, dG)))} == {np.dtype(np.float32)}


def test_a_network_without_blocks():
    with pytest.raises(ShapeError, match="no blocks"):
        SkipNet(Sequential([]), [], Sequential([]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("body", "gate", "words"), [
    (Linear(5, 4, rng=0), Linear(5, 1, rng=0), r"body .* \(8, 4\)"), (Linear(5, 5, rng=0), Linear(5, 2, rng=0), "gate"),
    (Linear(5, 1, rng=0), Linear(5, 1, rng=0), "body")])
def test_a_body_or_gate_of_another_shape(body, gate, words, training):
    block = Skippable(body, gate)
    gate.bias.data[...] = 9  # open
    block.train(training)
    with pytest.raises(ShapeError, match=words):
        block.forward(RNG.uniform(0, 1, (8, 5)))
