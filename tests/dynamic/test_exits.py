"""Several exits: the joint loss is a sum, its gradient reaches every layer, and an exit is a network of its own."""

import numpy as np
import pytest

from minicompress.dynamic.exits import exit_errors, joint, last_error, up_to
from minicompress.errors import RangeError, ShapeError
from minicompress.nn import (
    SGD,
    Adam,
    Linear,
    MultiExit,
    ReLU,
    Sequential,
    cross_entropy,
    mean_squared_error,
    predict,
    train,
)

RNG = np.random.default_rng(0)
X, LABELS = RNG.uniform(-1, 1, (30, 6)), np.arange(30) % 3


def net(seed=0, widths=(5, 4, 7)):
    rng, n_in = np.random.default_rng(seed), 6
    stages, exits = [], []
    for width in widths:
        stages.append(Sequential([Linear(n_in, width, rng=rng), ReLU()]))
        exits.append(Linear(width, 3, rng=rng))
        n_in = width
    model = MultiExit(stages, exits)
    for p in model.parameters():
        p.data += 1e-3 * rng.random(p.shape)  # no unit is exactly at the kink of its ReLU
    return model


@pytest.mark.parametrize("weights", [None, [0.25, 2, 1], [0, 0, 1]])
def test_the_loss_is_the_weighted_sum(weights):
    outputs = predict(net(), X)
    value, gradients = joint(weights)(outputs, LABELS)
    pairs = [cross_entropy(z, LABELS) for z in outputs]
    w = weights or [1, 1, 1]
    assert value == pytest.approx(sum(wi * v for wi, (v, _) in zip(w, pairs, strict=True)))
    for wi, g, (_, d) in zip(w, gradients, pairs, strict=True):
        np.testing.assert_allclose(g, wi * d)


def test_any_loss_can_be_summed():
    outputs = predict(net(), X)
    target = RNG.random((30, 3))
    value, gradients = joint(loss=mean_squared_error)(outputs, target)
    assert value == pytest.approx(sum(mean_squared_error(z, target)[0] for z in outputs))
    assert len(gradients) == 3


def test_the_gradient_of_the_sum():
    model, loss = net(), joint([0.3, 1, 0.7])
    model.learn(loss(model.forward(X), LABELS)[1])
    for p in model.parameters():
        direction = np.random.default_rng(1).uniform(-1, 1, p.shape)
        start, grad = p.data.copy(), p.grad.copy()
        model.train(False)
        values = []
        for t in (-1e-6, 1e-6):
            p.data[...] = start + t * direction
            values.append(loss(model.forward(X), LABELS)[0])
        p.data[...] = start
        assert np.diff(values)[0] / 2e-6 == pytest.approx((grad * direction).sum(), rel=1e-4, abs=1e-7)


def test_weights_of_zero_train_the_last_exit_alone():
    joined, alone = net(), net()
    single = up_to(alone, 3)
    before = [p.data.copy() for leave in joined.exits[:2] for p in leave.parameters()]
    for model, loss in ((joined, joint([0, 0, 1])), (single, cross_entropy)):
        for _ in train(model, SGD(model.parameters(), 0.1), (X, LABELS), epochs=3, rng=0, batch=10, loss=loss,
                       progress=False):
            pass
    np.testing.assert_allclose(predict(joined, X)[2], predict(single, X), rtol=1e-12)
    for p, old in zip((p for leave in joined.exits[:2] for p in leave.parameters()), before, strict=True):
        np.testing.assert_array_equal(p.data, old)


def test_training_lowers_every_exit():
    model = net()
    before = exit_errors(model, X, LABELS)
    records = list(train(model, Adam(model.parameters(), 0.02), (X, LABELS), epochs=150, rng=0, batch=10, loss=joint(),
                         validation=(X[:15], LABELS[:15]), measure=last_error, progress=False))
    after = exit_errors(model, X, LABELS)
    assert (after < before).all() and records[-1].loss < records[0].loss
    assert records[-1].error == last_error(model, X[:15], LABELS[:15])


def test_an_exit_is_a_plain_network_with_shared_layers():
    model = net()
    outputs = predict(model, X)
    for k, z in enumerate(outputs, start=1):
        plain = up_to(model, k)
        np.testing.assert_array_equal(predict(plain, X), z)
        assert np.mean(z.argmax(1) != LABELS) == exit_errors(model, X, LABELS)[k - 1]
        assert {id(p) for p in plain.parameters()} <= {id(p) for p in model.parameters()}
    for k in (0, 4):
        with pytest.raises(RangeError):
            up_to(model, k)


@pytest.mark.parametrize(("weights", "error"), [([-1, 1, 1], RangeError), ([0, 0, 0], RangeError), ([], ShapeError)])
def test_weights_out_of_range(weights, error):
    with pytest.raises(error):
        joint(weights)


def test_as_many_weights_as_exits():
    with pytest.raises(ShapeError, match=r"2 weights .* 3 exits"):
        joint([1, 1])(predict(net(), X), LABELS)
    with pytest.raises(ShapeError, match="a single output"):
        joint()(predict(net(), X)[0], LABELS)


def test_float32_stays_float32_and_the_name_tells_the_weights():
    z = RNG.random((2, 4, 3)).astype(np.float32)
    _, gradients = joint([0.3, 1])(tuple(z), np.arange(4) % 3)
    assert all(g.dtype == np.float32 for g in gradients)
    assert joint([0.3, 1]).__name__ == "joint, 0.3, 1, cross_entropy" != joint().__name__
