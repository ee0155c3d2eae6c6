"""MSDNet: its gradients, its memory of earlier features, what its exits cost, and that routing understands it."""

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.dynamic.exits import exit_errors, joint, up_to
from minicompress.dynamic.msdnet import Coarsest, Grow, Pyramid, Scales, msdnet
from minicompress.dynamic.routing import ALWAYS, NEVER, entropy, exit_macs, route
from minicompress.dynamic.thresholds import curve, graded, uncertainties, within_budget
from minicompress.errors import RangeError, ShapeError
from minicompress.nn import Adam, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential, Tanh, predict, train

RNG = np.random.default_rng(0)
X, LABELS = RNG.uniform(-1, 1, (12, 1, 9, 8)), np.arange(12) % 3


def net(scales=3, exits=3, seed=0, dtype=np.float64):
    return msdnet(1, 3, scales=scales, exits=exits, width=4, growth=2, rng=seed, dtype=dtype)


def smooth(module):
    """The layers without norm and ReLU, whose kinks would disturb numeric derivatives."""
    rng = np.random.default_rng(3)
    def conv(n_in, n_out, stride=1):
        return Sequential([Conv2d(n_in, n_out, 3, stride=stride, padding=1, rng=rng), Tanh()])
    return {Pyramid: lambda: Pyramid([conv(1, 3, 2), conv(3, 2, 2), conv(2, 2, 2)]),
            Grow: lambda: Grow([conv(3, 2), conv(2, 1), conv(2, 2)], [conv(5, 2, 2), conv(5, 3, 2)]),
            Coarsest: lambda: Coarsest(Sequential([GlobalAvgPool(), Linear(2, 3, rng=rng)]))}[module]()


@pytest.mark.parametrize("kind", [Pyramid, Grow, Coarsest])
def test_gradients_are_numeric_derivatives(kind):
    layer = smooth(kind)
    layer.train(False)
    start = (X,) if kind is Pyramid else smooth(Pyramid).forward(X)

    def outputs(x):
        y = layer.forward(x[0] if kind is Pyramid else x)
        return y if isinstance(y, tuple) else (y,)

    dy = Scales(RNG.uniform(-1, 1, y.shape) for y in outputs(start))

    def value(x):
        return sum((a * b).sum() for a, b in zip(outputs(x), dy, strict=True))

    value(start)
    dx = layer.backward(dy[0] if kind is Coarsest else dy)
    dx = (dx,) if kind is Pyramid else dx
    for i, part in enumerate(start):
        direction = RNG.uniform(-1, 1, part.shape)
        moved = [value((*start[:i], part + t * direction, *start[i + 1 :])) for t in (-1e-5, 1e-5)]
        assert np.sum(dx[i] * direction) == pytest.approx(np.diff(moved)[0] / 2e-5, rel=1e-6, abs=1e-9)
    for p in layer.parameters():
        direction, grad, before = RNG.uniform(-1, 1, p.shape), p.grad.copy(), p.data.copy()
        moved = []
        for t in (-1e-5, 1e-5):
            p.data[...] = before + t * direction
            moved.append(value(start))
        p.data[...] = before
        assert (grad * direction).sum() == pytest.approx(np.diff(moved)[0] / 2e-5, rel=1e-6, abs=1e-9)


def test_what_was_there_stays():
    h = smooth(Pyramid).forward(X)
    grown = smooth(Grow).forward(h)
    for old, new in zip(h, grown, strict=True):
        np.testing.assert_array_equal(new[:, : old.shape[1]], old)
    assert [new.shape[1] - old.shape[1] for old, new in zip(h, grown, strict=True)] == [2, 1 + 2, 2 + 3]
    assert all(new.strides[0] == new.itemsize for new in grown)  # the batch is innermost


def test_a_scale_reads_what_the_finer_one_has_just_got():
    layer, h = smooth(Grow), smooth(Pyramid).forward(X)
    before = layer.forward(h)
    layer.train(False)
    layer.same[0].layers[0].weight.data *= 2
    after = layer.forward(h)
    assert not np.allclose(before[2][:, -3:], after[2][:, -3:])  # scale 1 has reached scale 3 within one layer


def test_sums_go_scale_by_scale():
    a, b = Scales([0.0, np.ones(2)]), Scales([np.ones(3), np.ones(2)])
    assert [part.tolist() for part in a + b] == [[1, 1, 1], [2, 2]] and isinstance(a + b, Scales)
    with pytest.raises(ValueError):
        a + Scales([1.0])


@pytest.mark.parametrize(("scales", "exits"), [(1, 2), (2, 4), (3, 1)])
def test_every_parameter_gets_a_gradient(scales, exits):
    model = net(scales, exits)
    z = model.forward(X)
    assert [part.shape for part in z] == [(12, 3)] * exits
    model.learn(joint()(z, LABELS)[1])
    assert all(np.abs(p.grad).max() > 0 for p in model.parameters())


def test_all_that_runs_before_an_exit_leads_to_it():
    model = net()
    for k in range(1, 4):
        plain = up_to(model, k)
        for p in plain.parameters():
            p.clear()
        plain.learn(RNG.uniform(-1, 1, plain.forward(X).shape))
        assert all(not p.fresh and np.abs(p.grad).max() > 0 for p in plain.parameters())


def test_costs_are_counted_by_hand():
    model, x = msdnet(1, 3, scales=2, exits=2, width=4, growth=2, rng=0), RNG.random((1, 1, 8, 8))
    first = 9 * 4 * 16 + 9 * 16 * 4  # 8x8 to 4x4, then to 2x2
    grow = [9 * c * 2 * 16 + 9 * d * 2 * 4 + 9 * (c + 2) * 2 * 4 for c, d in ((4, 4), (6, 8))]
    assert exit_macs(model, x).tolist() == [first + grow[0] + 8 * 3, first + sum(grow) + 8 * 3 + 12 * 3]
    assert sum(layer_macs(model, x).values()) == exit_macs(model, x)[-1]


def test_training_and_routing():
    model = net(2, dtype=np.float32)
    x = X.astype(np.float32)
    for _ in train(model, Adam(model.parameters(), 0.02), (x, LABELS), epochs=60, rng=0, batch=6, loss=joint(),
                   progress=False):
        pass
    assert exit_errors(model, x, LABELS)[-1] == 0
    z, costs = predict(model, x), exit_macs(model, x[:1])
    assert all(part.dtype == np.float32 for part in z)
    points = curve(z, LABELS, costs, graded(uncertainties(z)))
    chosen = within_budget(points, float(costs.mean()))
    routed = route(model, x, chosen.thresholds)
    assert routed.macs == costs[routed.exits].sum() == pytest.approx(chosen.macs * 12)
    np.testing.assert_allclose(routed.outputs, np.stack(z)[routed.exits, np.arange(12)], rtol=1e-4, atol=1e-4)
    assert (route(model, x, NEVER).exits == 2).all() and (route(model, x, ALWAYS).exits == 0).all()
    assert len(set(routed.exits)) > 1 and (entropy(routed.outputs) >= 0).all()


@pytest.mark.parametrize("name", ["scales", "exits", "width", "growth"])
def test_sizes_out_of_range(name):
    sizes = {"scales": 2, "exits": 2, "width": 2, "growth": 2} | {name: 0}
    with pytest.raises(RangeError, match=name):
        msdnet(1, 3, rng=0, **sizes)


def test_layers_that_do_not_fit_each_other():
    with pytest.raises(ShapeError, match="one less"):
        Grow([Tanh(), Tanh()], [])
    with pytest.raises(ShapeError, match="no layers"):
        Pyramid([])


def test_scales_that_do_not_fit_are_refused():
    grow = Grow([ReLU(), ReLU()], [ReLU()])
    x = np.ones((2, 3, 4, 4))
    for wrong, words in [((x,), "1 tuple"), (x[:, :2], "ndarray"), ((x, x[:, :, :2]), "Grow give")]:
        with pytest.raises(ShapeError, match=words):
            grow.forward(wrong)
