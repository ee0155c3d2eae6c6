"""Hints: what a teacher shows, what a student shares, and the gradients through both exits."""

import numpy as np
import pytest

from minicompress.distillation.hints import guided, hint, hint_loss, hinted, lower
from minicompress.distillation.losses import soft
from minicompress.distillation.targets import teach
from minicompress.errors import RangeError, ShapeError
from minicompress.nn import SGD, Adam, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential, predict, train

RNG = np.random.default_rng(0)
X = RNG.random((20, 4))


def net(hidden, seed=0):
    return Sequential([Linear(4, hidden, rng=seed), ReLU(), Linear(hidden, 3, rng=seed + 1)])


def slope(f, h=1e-4):
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def run(model, way, loss, epochs=30):
    return [r.loss for r in train(model, Adam(model.parameters(), 0.01), (X, way), epochs=epochs, rng=0, batch=10,
                                  loss=loss, progress=False)]


def test_a_hint_is_what_the_first_layers_say():
    teacher = net(12)
    for mode in (True, False):
        teacher.train(mode)
        u = hint(teacher, 2, X)
        np.testing.assert_array_equal(u, np.maximum(X @ teacher.layers[0].weight.data.T, 0))
        assert all(layer.training is mode for layer in teacher.layers)


def test_hints_come_without_dropout_and_as_rows():
    x = RNG.random((3, 1, 5, 5))
    teacher = Sequential([Conv2d(1, 2, 3, rng=0), Dropout(0.5, rng=0), Flatten(), Linear(18, 2, rng=0)])
    u = hint(teacher, 2, x)
    assert u.shape == (3, 18)
    np.testing.assert_array_equal(u, predict(teacher.layers[0], x).reshape(3, -1))


def test_the_loss_is_half_the_squared_distance():
    r, u = RNG.random((2, 20, 5))
    value, dr = hint_loss(r, u)
    assert value == pytest.approx(0.5 * np.mean(np.sum((r - u) ** 2, 1)))
    np.testing.assert_allclose(dr, (r - u) / 20)
    assert hint_loss(u, u)[0] == 0


def test_the_gradient_goes_through_both_exits():
    student, teacher = net(5), net(12, 7)
    model = guided(student, 2, Linear(5, 12, rng=9))
    target, loss = np.hstack([hint(teacher, 2, X), teach(teacher, X)]), hinted(soft(3), 0.3)
    _, d = loss(model.forward(X), target)
    model.learn(d)
    for p in model.parameters():
        direction = np.random.default_rng(1).uniform(-1, 1, p.shape)
        start, grad = p.data.copy(), p.grad.copy()
        model.train(False)

        def value(t, p=p, start=start, direction=direction):
            p.data[...] = start + t * direction
            return loss(model.forward(X), target)[0]

        assert slope(value) == pytest.approx((grad * direction).sum(), rel=1e-6)
        p.data[...] = start


def test_strength_is_the_share_of_the_hint():
    student, teacher = net(5), net(12, 7)
    outputs = predict(guided(student, 2, Linear(5, 12, rng=9)), X)
    u, v = hint(teacher, 2, X), teach(teacher, X)
    value, (dr, dz) = hinted(soft(3), 0.25)(outputs, np.hstack([u, v]))
    (a, da), (b, db) = hint_loss(outputs[0], u), soft(3)(outputs[1], v)
    assert value == pytest.approx(a / 4 + b)
    assert np.allclose(dr, da / 4) and np.allclose(dz, db)
    assert not hinted(soft(3), 0)(outputs, np.hstack([u, v]))[1][0].any()


def test_both_exits_train_the_student_itself():
    student, teacher = net(5), net(12, 7)
    before = predict(student, X)
    model = guided(student, 2, Linear(5, 12, rng=9))
    np.testing.assert_array_equal(predict(model, X)[1], before)
    losses = run(model, np.hstack([hint(teacher, 2, X), teach(teacher, X)]), hinted(soft(3), 0.5))
    assert losses[-1] < losses[0] / 2
    np.testing.assert_array_equal(predict(model, X)[1], predict(student, X))
    assert len(student.layers) == 3 and not np.allclose(predict(student, X), before)


def test_the_first_stage_trains_the_lower_half_only():
    student, teacher = net(5), net(12, 7)
    top = student.layers[2].weight.data.copy()
    losses = run(lower(student, 2, Linear(5, 12, rng=9)), hint(teacher, 2, X), hint_loss)
    assert losses[-1] < losses[0] / 2
    assert np.array_equal(student.layers[2].weight.data, top)
    losses = run(student, teach(teacher, X), soft(3))
    assert losses[-1] < losses[0]


def test_what_does_not_fit_is_refused():
    for layers in (0, 3):
        with pytest.raises(RangeError):
            hint(net(5), layers, X)
        with pytest.raises(RangeError):
            guided(net(5), layers, ReLU())
    with pytest.raises(RangeError):
        hinted(soft(3), -1)
    model = guided(net(5), 2, Linear(5, 12, rng=0))
    for target in (np.zeros((20, 12)), np.zeros(20), np.zeros((20, 14))):
        with pytest.raises(ShapeError, match="target"):
            list(train(model, SGD(model.parameters(), 0.1), (X, target), epochs=1, rng=0, loss=hinted(soft(3), 1),
                       progress=False))
