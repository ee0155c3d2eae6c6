"""Several widths in one step: gradients add up, nothing stays switched, any body and loss will do."""

import copy

import numpy as np
import pytest

from minicompress.data import digits
from minicompress.distillation.losses import soft
from minicompress.dynamic.exits import exit_errors, joint
from minicompress.dynamic.routing import route
from minicompress.dynamic.slicing import SHARED, SWITCHABLE, export, selector_of, slim
from minicompress.dynamic.slimmable import Slimmable, in_place
from minicompress.errors import RangeError, ShapeError, StateError
from minicompress.nn import (
    SGD,
    Adam,
    BatchNorm,
    Dropout,
    Linear,
    MultiExit,
    ReLU,
    Sequential,
    cross_entropy,
    predict,
    train,
)

WIDTHS = [0.25, 0.5, 0.75, 1]
RNG = np.random.default_rng(0)
X, LABELS = RNG.uniform(-1, 1, (30, 6)), np.arange(30) % 3


def mlp(seed=0, n_in=6, hidden=8, classes=3):
    rng = np.random.default_rng(seed)
    model = Sequential([Linear(n_in, hidden, rng=rng), BatchNorm(hidden, grid=0), ReLU(),
                        Linear(hidden, hidden, rng=rng), BatchNorm(hidden, grid=0), ReLU(),
                        Linear(hidden, classes, rng=rng)])
    for p in model.parameters():
        p.data += 0.1 * rng.random(p.shape)
    return model


def two_exits(seed=0):
    rng = np.random.default_rng(seed)
    stages = [Sequential([Linear(n, 8, rng=rng), BatchNorm(8, grid=0), ReLU()]) for n in (6, 8)]
    return MultiExit(stages, [Linear(8, 3, rng=rng) for _ in stages])


def gradients(model, act):
    for p in model.parameters():
        p.clear()
    dx = act()
    return dx, [p.grad * (not p.fresh) for p in model.parameters()]


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
@pytest.mark.parametrize("build", [mlp, two_exits])
def test_the_gradient_is_the_sum_over_the_widths(build, norms):
    model = Slimmable(slim(build(), WIDTHS, norms=norms))
    outputs = model.forward(X)
    value, dy = joint()(outputs, LABELS)
    dx, total = gradients(model, lambda: model.backward(dy))
    _, learned = gradients(model, lambda: [model.forward(X), model.learn(dy)])
    single = copy.deepcopy(model.body)
    exits = len(outputs) // 4
    sums, sum_dx, values = [np.zeros(p.data.shape) for p in single.parameters()], 0, []
    for i in range(4):
        selector_of(single).index = i
        y = single.forward(X)
        parts = y if exits > 1 else (y,)
        for mine, its in zip(parts, outputs[i * exits :], strict=False):
            np.testing.assert_array_equal(mine, its)
        v, d = joint()(parts, LABELS)
        dx_i, grads = gradients(single, lambda d=d: single.backward(d if exits > 1 else d[0]))
        sums, sum_dx = [a + b for a, b in zip(sums, grads, strict=True)], sum_dx + dx_i
        values.append(v)
    assert value == pytest.approx(sum(values))
    np.testing.assert_allclose(dx, sum_dx, atol=1e-12)
    for a, b, c in zip(total, learned, sums, strict=True):
        np.testing.assert_allclose(a, c, atol=1e-12)
        np.testing.assert_array_equal(a, b)


def test_the_gradient_is_that_of_the_loss():
    model, h = Slimmable(slim(mlp(), WIDTHS)), 1e-6

    def loss():
        model.train()
        return joint()(model.forward(X), LABELS)[0]

    _, grads = gradients(model, lambda: model.backward(joint()(model.forward(X), LABELS)[1]))
    for p, grad in zip(model.parameters(), grads, strict=True):
        for place in [(0,) * p.data.ndim, tuple(n - 1 for n in p.data.shape)]:
            old, ends = p.data[place], []
            for sign in (1, -1):
                p.data[place] = old + sign * h
                ends.append(loss())
            p.data[place] = old
            assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(grad[place], abs=1e-6)


def test_the_selector_stays_where_it_was_also_after_an_error():
    model = Slimmable(slim(mlp(), WIDTHS))
    selector = selector_of(model.body)
    for index in (1, 3):
        selector.index = index
        dy = joint()(model.forward(X), LABELS)[1]
        assert selector.index == index
        model.backward(dy)
        assert selector.index == index
        list(train(model, SGD(model.parameters(), 0.1), (X, LABELS), epochs=1, rng=0, loss=joint(), progress=False))
        predict(model, X)
        with pytest.raises(ShapeError):
            model.forward(X[:, 1:])
        model.train()
        assert selector.index == index


def test_a_step_with_the_narrowest_width_alone_moves_nothing_else():
    model = Slimmable(slim(mlp(), WIDTHS))
    before = copy.deepcopy(model.body)
    optimizer = SGD(model.parameters(), 0.1, momentum=0, grid=0)
    model.learn(joint([1, 0, 0, 0])(model.forward(X), LABELS)[1])
    optimizer.step()
    moved = model.body.layers[3].weight.data != before.layers[3].weight.data
    assert moved[:2, :2].any() and not moved[2:].any() and not moved[:, 2:].any()


def test_two_forward_passes_need_a_backward_pass_between_them():
    model = Slimmable(slim(mlp(), WIDTHS))
    model.forward(X)
    with pytest.raises(StateError, match="twice"):
        model.forward(X)
    model.train(False)
    model.forward(X)
    model.forward(X)


def test_the_sandwich_has_both_ends_and_new_middles():
    model = Slimmable(slim(mlp(), WIDTHS), sandwich=1, rng=0)
    drawn = [tuple(model.drawn()) for _ in range(60)]
    assert set(drawn) == {(0, 1, 3), (0, 2, 3)}
    outputs = model.forward(X)
    model.learn(joint()(outputs, LABELS)[1])
    assert len(outputs) == 3 and len(predict(model, X)) == 4
    again = Slimmable(slim(mlp(), WIDTHS), sandwich=1, rng=0)
    assert [tuple(again.drawn()) for _ in range(60)] == drawn
    assert Slimmable(slim(mlp(), WIDTHS), sandwich=0, rng=0).drawn() == [0, 3]


def test_in_place_the_widest_learns_from_labels_and_teaches_without_moving():
    outputs = Slimmable(slim(mlp(), WIDTHS)).forward(X)
    value, dy = in_place(soft(1.0))(outputs, LABELS)
    wide, d_wide = cross_entropy(outputs[-1], LABELS)
    pairs = [soft(1.0)(z, outputs[-1]) for z in outputs[:-1]]
    assert value == pytest.approx(wide + sum(v for v, _ in pairs)) and len(dy) == 4
    np.testing.assert_array_equal(dy[-1], d_wide)
    for mine, (_, its) in zip(dy, pairs, strict=False):
        np.testing.assert_array_equal(mine, its)
    assert in_place(soft(1.0)).__name__ != in_place(soft(2.0)).__name__


@pytest.mark.parametrize("loss", [joint(), in_place(soft(1.0))])
def test_every_width_learns_the_digits(loss):
    samples = digits()
    model = Slimmable(slim(mlp(0, 64, 32, 10), WIDTHS), sandwich=1, rng=1)
    list(train(model, Adam(model.parameters(), 1e-2), samples.train, epochs=6, rng=0, loss=loss, progress=False))
    errors = exit_errors(model, *samples.test)
    assert errors[0] < 0.3 and max(errors[1:]) < 0.12
    alone = [np.mean(predict(export(model.body, i), samples.test.x).argmax(1) != samples.test.labels) for i in range(4)]
    assert errors.tolist() == alone


def test_exits_and_widths_combine_without_new_code():
    model = Slimmable(slim(two_exits(), WIDTHS))
    list(train(model, Adam(model.parameters(), 1e-2), (X, LABELS), epochs=3, rng=0, loss=joint(), progress=False))
    outputs = predict(model, X)
    assert len(outputs) == 8
    for i in range(4):
        small = export(model.body, i)
        routed = route(small, X, 1.0)
        stacked = np.stack(outputs[2 * i : 2 * i + 2])
        np.testing.assert_allclose(routed.outputs, stacked[routed.exits, np.arange(len(X))], atol=1e-12)


def test_each_width_goes_back_through_its_own_dropout():
    rng = np.random.default_rng(0)
    body = slim(Sequential([Linear(6, 8, rng=rng), Dropout(0.5, rng=1), Linear(8, 3, rng=rng)]), WIDTHS)
    single, model = copy.deepcopy(body), Slimmable(body)
    dx, dy = 0, [RNG.random((30, 3)) for _ in WIDTHS]
    for i in (3, 2, 1, 0):  # the order in which they run
        selector_of(single).index = i
        single.forward(X)
        dx = dx + single.backward(dy[i])
    model.forward(X)
    np.testing.assert_allclose(model.backward(tuple(dy)), dx)


def test_misuse_has_a_name():
    body = slim(mlp(), WIDTHS)
    model = Slimmable(body)
    outputs = model.forward(X)
    for wrong, error in [(lambda: Slimmable(mlp()), StateError), (lambda: model.backward(outputs[:3]), ShapeError),
                         (lambda: Slimmable(body, sandwich=3, rng=0), RangeError)]:
        with pytest.raises(error, match="allowed"):
            wrong()
