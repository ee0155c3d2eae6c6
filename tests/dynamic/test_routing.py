"""Routing: who leaves where, that later layers do not run for them, and that answers are those of the whole network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minicompress.counting import counted
from minicompress.dynamic.routing import ALWAYS, NEVER, doubt, entropy, exit_macs, route
from minicompress.dynamic.thresholds import leaves_at, uncertainties
from minicompress.errors import NonFiniteError, RangeError, ShapeError
from minicompress.nn import (
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MultiExit,
    ReLU,
    Sequential,
    predict,
    softmax,
)
from minicompress.pruning.magnitude import prune
from minicompress.storage import from_bytes, to_bytes

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (40, 1, 6, 6))


class Counter(Layer):
    """The identity, which remembers how many rows came through."""

    def __init__(self):
        self.rows = []

    def forward(self, x):
        self.rows.append(len(x))
        return x


def net(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    stages = [Sequential([Conv2d(c, 4, 3, rng=rng, padding=1, dtype=dtype), BatchNorm(4, dtype=dtype), ReLU()])
              for c in (1, 4)]
    stages.append(Sequential([Flatten(), Linear(144, 8, rng=rng, dtype=dtype), ReLU()]))
    exits = [Sequential([GlobalAvgPool(), Linear(4, 3, rng=rng, dtype=dtype)]) for _ in range(2)]
    model = MultiExit(stages, [*exits, Linear(8, 3, rng=rng, dtype=dtype)])
    for p in model.parameters():
        p.data *= 2
    return model


def with_counters(model):
    """The model with a counter before each stage."""
    counters = [Counter() for _ in model.stages]
    model.stages = [Sequential([c, s]) for c, s in zip(counters, model.stages, strict=True)]
    return counters


def middle(model, measure=entropy):
    """Thresholds at which about half of those left leave."""
    return np.median(uncertainties(predict(model, X), measure)[:-1], axis=1)


def rows_in(model, router, thresholds):
    """How many rows enter each stage."""
    counters = with_counters(model)
    router(model, X, thresholds)
    return [sum(c.rows) for c in counters]


def compute_everything(model, x, thresholds):
    """The planted mistake: all exits are computed, and only then is one chosen."""
    outputs = predict(model, x)
    left = leaves_at(uncertainties(outputs), thresholds)
    return np.stack(outputs)[left, np.arange(len(x))]


def test_who_left_meets_no_further_layer():
    model = net()
    thresholds = middle(model)
    left = leaves_at(uncertainties(predict(model, X)), thresholds)
    expected = [int((left >= k).sum()) for k in range(3)]
    assert expected[0] == 40 > expected[1] > expected[2] > 0
    assert rows_in(net(), route, thresholds) == expected
    assert rows_in(net(), compute_everything, thresholds) == [40, 40, 40], "the plant must be caught"


@pytest.mark.parametrize("measure", [entropy, doubt])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_answers_are_those_of_the_whole_network(measure, batch):
    model = net()
    outputs = predict(model, X)
    routed = route(model, X, middle(model, measure), measure=measure, batch=batch)
    np.testing.assert_array_equal(routed.exits, leaves_at(uncertainties(outputs, measure), middle(model, measure)))
    np.testing.assert_allclose(routed.outputs, np.stack(outputs)[routed.exits, np.arange(40)], rtol=1e-10, atol=1e-12)
    assert set(routed.exits) == {0, 1, 2}


def test_never_is_the_last_exit_and_always_the_first():
    model = net()
    outputs, costs = predict(model, X), exit_macs(model, X)
    for threshold, k in ((NEVER, 2), (ALWAYS, 0), ([NEVER, ALWAYS], 1)):
        routed = route(model, X, threshold)
        assert (routed.exits == k).all() and routed.macs == 40 * costs[k]
        np.testing.assert_array_equal(routed.outputs, outputs[k])


def test_costs_are_those_of_the_layers_that_ran():
    model = net()
    first, second, third = 36 * 4 * 9 + 12, 36 * 4 * 36 + 12, 144 * 8 + 24
    np.testing.assert_array_equal(exit_macs(model, X), np.cumsum([first, second, third]))
    routed = route(model, X, middle(model), batch=16)
    assert routed.macs == exit_macs(model, X)[routed.exits].sum()
    _, alone = counted(model.stages[0])(X)
    assert sum(alone.values()) == 40 * (first - 12)


def test_mode_and_dtype_stay():
    model = net(dtype=np.float32)
    for mode in (True, False):
        model.train(mode)
        statistics = model.stages[0].layers[1].mean.copy()
        routed = route(model, X.astype(np.float32), 0.5)
        assert model.training is mode and routed.outputs.dtype == np.float32
        np.testing.assert_array_equal(model.stages[0].layers[1].mean, statistics)


def test_a_network_from_a_file_routes_alike():
    model = net()
    prune(model.weights(), 0.5)
    routed, again = (route(m, X, 0.7) for m in (model, from_bytes(to_bytes(model))))
    assert routed.macs == again.macs < 40 * exit_macs(model, X)[-1]
    np.testing.assert_array_equal(routed.outputs, again.outputs)
    np.testing.assert_array_equal(routed.exits, again.exits)


class Pair(Layer):
    """Two arrays, as between the stages of networks with several scales."""

    def forward(self, x):
        return x, x.mean((2, 3))


class Second(Layer):
    def forward(self, x):
        return x[1]


def test_several_arrays_may_go_from_stage_to_stage():
    model = MultiExit([Pair(), Sequential([])], [Sequential([Second(), Linear(1, 3, rng=i)]) for i in (0, 1)])
    outputs = [model.exits[k].forward(Pair()(X)) for k in (0, 1)]
    routed = route(model, X, np.median(entropy(outputs[0])))
    assert (routed.exits == 0).sum() == 20
    np.testing.assert_allclose(routed.outputs, np.stack(outputs)[routed.exits, np.arange(40)], rtol=1e-12)


logits = arrays(np.float64, (5, 4), elements=st.floats(-30, 30))


@settings(deadline=None, max_examples=40)
@given(logits)
def test_uncertainty_is_that_of_softmax(z):
    p = softmax(z)
    h = -np.sum(p * np.log(p), 1)
    np.testing.assert_allclose(entropy(z), h, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(doubt(z), 1 - p.max(1), rtol=1e-9, atol=1e-14)
    assert (entropy(z) >= 0).all() and (entropy(z) <= np.log(4) + 1e-12).all()
    np.testing.assert_allclose(entropy(z + 7), entropy(z), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("measure", [entropy, doubt])
def test_very_certain_samples_still_differ(measure):
    z = np.array([[50.0, 0, 0], [60, 0, 0], [0, 0, 0], [1e308, -1e308, 0]])
    u = measure(z)
    assert u[2] > u[0] > u[1] > u[3] == 0
    assert u[2] == pytest.approx(np.log(3) if measure is entropy else 2 / 3)
    assert (measure(z[:, :1]) == 0).all()


@pytest.mark.parametrize(("thresholds", "error"), [([0.5], ShapeError), ([0.5] * 3, ShapeError), (np.nan, RangeError)])
def test_thresholds_that_do_not_fit(thresholds, error):
    with pytest.raises(error):
        route(net(), X, thresholds)


def test_bad_samples_are_named():
    with pytest.raises(ShapeError, match="empty"):
        route(net(), X[:0], 0.5)
    bad = X.copy()
    bad[3, 0, 2, 2] = np.nan
    with pytest.raises(NonFiniteError):
        route(net(), bad, 0.5)
    model = net()
    model.exits[1].layers[1].weight.data[0, 0] = np.inf
    with pytest.raises(NonFiniteError, match="exit 2"):
        route(model, X, NEVER)
    assert (route(model, X, ALWAYS).exits == 0).all()  # the bad layer is not executed
