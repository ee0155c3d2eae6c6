"""Score, choose, remove, train on; and batch norm's statistics after the cut."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import data, nn
from minicompress.counting import layer_macs
from minicompress.errors import NonFiniteError, RangeError, ShapeError
from minicompress.pruning.importance import comparable, incoming_norm, observe, taylor
from minicompress.pruning.structured import choose, prune_units, prune_units_iteratively, recalibrate
from minicompress.storage import to_bytes


def l1(model, path):
    """The mean over a unit's weights, which is comparable between layers of different widths."""
    weight = dict(model.walk())[path].weight.forward()
    return incoming_norm(weight) / weight[0].size


def by_taylor(model, path):
    return comparable(taylor(*observe(model, path, data.digits().validation)))


def mlp(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential([nn.Linear(64, 30, rng=rng), nn.ReLU(), nn.Linear(30, 20, rng=rng), nn.ReLU(),
                          nn.Linear(20, 10, rng=rng)])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.floats(0, 1),
       st.integers(1, 4), st.sampled_from(["layerwise", "global"]))
def test_counts_are_exact_and_the_lowest_go(seed, sizes, fraction, min_keep, scope):
    rng = np.random.default_rng(seed)
    scores = {str(i): rng.integers(0, 4, n).astype(float) for i, n in enumerate(sizes)}
    kept = choose(scores, fraction, scope=scope, min_keep=min_keep)
    assert list(kept) == list(scores)
    for path, mask in kept.items():
        n = mask.size
        assert mask.sum() >= min(min_keep, n)
        assert min(scores[path][mask]) >= max(scores[path][~mask], default=0)
        ties = np.flatnonzero(scores[path] == min(scores[path][mask]))
        assert list(mask[ties]) == sorted(mask[ties], reverse=True)  # of equal ones the lower index is kept
        if scope == "layerwise":
            assert mask.sum() == max(min(min_keep, n), n - int(np.rint(fraction * n)))
    wanted, total = sum(sizes) - int(np.rint(fraction * sum(sizes))), sum(mask.sum() for mask in kept.values())
    assert total >= wanted if scope == "global" else True
    if scope == "global" and all(mask.sum() > min_keep for mask in kept.values()):
        assert total == wanted


def test_bad_choices():
    scores = {"layers.0": np.arange(4.0)}
    for fraction in (-0.1, 50, 1.01):
        with pytest.raises(RangeError):
            choose(scores, fraction)
    for wrong in ({"scope": "all"}, {"min_keep": 0}):
        with pytest.raises(RangeError):
            choose(scores, 0.5, **wrong)
    with pytest.raises(RangeError, match="no scores"):
        choose({}, 0.5)
    with pytest.raises(NonFiniteError, match="scores of layers"):
        choose({"layers.0": np.array([1.0, np.nan])}, 0.5)
    with pytest.raises(ShapeError):
        choose({"layers.0": np.ones((2, 2))}, 0.5)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_the_units_of_the_lowest_scores_go(scope):
    model = mlp()
    dense, before = copy.deepcopy(model), [l1(model, f"layers.{i}") for i in (0, 2)]
    macs = sum(layer_macs(model, np.zeros((1, 64))).values())
    kept = prune_units(model, 0.5, l1, scope=scope)
    assert list(kept) == ["layers.0", "layers.2"] and sum(mask.sum() for mask in kept.values()) == 25
    first, second, third = [layer.weight.data for layer in dense.layers[::2]]
    rows, columns = kept["layers.0"], kept["layers.2"]
    expected = [first[rows], second[np.ix_(columns, rows)], third[:, columns]]
    assert all(np.array_equal(w.data, e) for w, e in zip(model.weights(), expected, strict=True))
    assert min(before[0][rows]) >= max(before[0][~rows])
    assert sum(layer_macs(model, np.zeros((1, 64))).values()) < 0.55 * macs  # fewer products, not products with zero


def test_nothing_is_cut_where_one_layer_refuses():
    model = mlp()
    bits = to_bytes(model)
    with pytest.raises(ShapeError, match="outputs"):
        prune_units(model, 0.5, l1, layers=["layers.0", "layers.4"])
    with pytest.raises(ShapeError, match="allowed"):
        prune_units(model, 0.5, lambda m, path: np.arange(30.0))
    assert to_bytes(model) == bits


def test_rounds_with_training_between_keep_the_network_good():
    digits, model = data.digits(), mlp()

    def retrain(epochs=6):
        optimizer = nn.Adam(model.parameters(), 3e-3)
        list(nn.train(model, optimizer, digits.train, epochs=epochs, rng=0, schedule=nn.linear, progress=False))

    retrain(20)
    dense = nn.error(model, *digits.test)
    widths = [[int(m.sum()) for m in kept.values()]
              for kept in prune_units_iteratively(model, [0.3, 0.3], by_taylor, retrain, scope="global")]
    assert [sum(w) for w in widths] == [35, 25]
    assert [layer.weight.shape[0] for layer in model.layers[::2]] == [*widths[-1], 10]
    assert nn.error(model, *digits.test) <= dense + 0.03


def norms(momentum=0.9):
    rng = np.random.default_rng(0)
    return nn.Sequential([nn.Linear(5, 6, rng=rng), nn.BatchNorm(6, momentum=momentum), nn.ReLU(),
                          nn.Dropout(0.5, rng=rng), nn.Linear(6, 4, rng=rng), nn.BatchNorm(4)])


def test_recalibration_gives_the_statistics_of_the_data():
    model, x = norms(), np.random.default_rng(1).normal(size=(60, 5)) + 1
    first, second = model.layers[1], model.layers[5]
    model.train(False)
    state, generator = model.layers[0].weight.data.copy(), repr(model.layers[3].rng.bit_generator.state)
    recalibrate(model, x, batch=60)
    h = model.layers[0].forward(x)
    np.testing.assert_allclose(first.mean, h.mean(0), atol=2**-20)
    np.testing.assert_allclose(first.variance, h.var(0), atol=2**-20)
    assert not np.any(first.mean % 2**-20)  # on the grid
    h = model.layers[4].forward(np.maximum(first.forward(h), 0))  # without dropout
    np.testing.assert_allclose(second.mean, h.mean(0), atol=1e-5)
    np.testing.assert_allclose(second.variance, h.var(0), atol=1e-5)
    assert (first.momentum, model.training, first.training) == (0.9, False, False)
    assert np.array_equal(model.layers[0].weight.data, state)
    assert repr(model.layers[3].rng.bit_generator.state) == generator


def test_batches_count_by_their_size_and_old_statistics_do_not():
    one, other, x = norms(), norms(0.5), np.random.default_rng(1).normal(size=(50, 5))
    other.layers[1].mean[...] = 1e3
    for model in (one, other):
        recalibrate(model, x, batch=20)
    h = one.layers[0].forward(x)
    np.testing.assert_allclose(one.layers[1].mean, h.mean(0), atol=1e-5)
    variances = [h[i : i + 20].var(0) for i in (0, 20, 40)]
    np.testing.assert_allclose(one.layers[1].variance, np.average(variances, 0, [20, 20, 10]), atol=1e-5)
    assert np.array_equal(one.layers[1].mean, other.layers[1].mean) and one.training


def test_recalibration_that_fails_leaves_settings_alone():
    model = norms()
    with pytest.raises(ShapeError):
        recalibrate(model, np.zeros((4, 7)))
    assert model.layers[1].momentum == 0.9 and model.training
