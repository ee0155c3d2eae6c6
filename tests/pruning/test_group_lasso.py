"""Group lasso: the step minimizes what it should, follows the learning rate, and leaves nothing behind."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from minicompress import data, nn
from minicompress.errors import RangeError, ShapeError, StateError, StorageError
from minicompress.pruning.group_lasso import GroupLasso, group_lasso, group_norms, proximal_step
from minicompress.pruning.masks import apply_mask
from minicompress.pruning.surgery import remove_units
from minicompress.storage import to_bytes

RNG = np.random.default_rng(0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 3), st.sampled_from(["rows", "columns"]))
def test_the_step_minimizes_distance_plus_norms(seed, threshold, groups):
    """½ |v - w|² + threshold Σ_g |v_g| over v, by a general minimizer."""
    w, axes = np.random.default_rng(seed).normal(size=(3, 2, 2)), (1, 2) if groups == "rows" else (0, 2)

    def cost(v):
        v = v.reshape(w.shape)
        return 0.5 * np.square(v - w).sum() + threshold * np.sqrt(np.square(v).sum(axes)).sum()

    ours = proximal_step(w, threshold, groups)
    found = min(minimize(cost, start.ravel(), method="Powell", tol=1e-10).fun for start in (w, ours))
    assert cost(ours.ravel()) <= found + 1e-9
    norms = group_norms(w, groups)
    assert np.array_equal(ours.any(axes), norms > threshold)  # exact zeros, not small numbers
    np.testing.assert_allclose(group_norms(ours, groups), np.maximum(norms - threshold, 0), atol=1e-12)


def test_norms_of_every_shape():
    w = np.array([[3.0, 0.0], [4.0, 0.0]])
    assert group_norms(w, "columns").tolist() == [5, 0] and group_norms(w, "rows").tolist() == [3, 4]
    w = RNG.normal(size=(4, 3, 2, 2))
    np.testing.assert_allclose(group_norms(w, "columns"), [np.linalg.norm(w[:, c]) for c in range(3)])
    np.testing.assert_allclose(group_norms(w, "rows"), [np.linalg.norm(w[o]) for o in range(4)])
    assert group_norms(w.astype(np.float32), "rows").dtype == np.float32
    assert proximal_step(w.astype(np.float32), 0.1, "rows").dtype == np.float32
    assert np.array_equal(proximal_step(w, 0, "rows"), w)
    assert np.array_equal(group_norms(w, "rows", 0.25) % 0.25, np.zeros(4))
    with pytest.raises(RangeError, match="rows"):
        proximal_step(w, 0.1, "filters")


def linear(rng=0):
    return nn.Linear(6, 4, rng=rng)


def stepped(layer, optimizer):
    layer.backward(layer.forward(np.ones((2, 6))))
    optimizer.step()


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_the_step_follows_the_optimizers_with_its_rate_of_that_moment(kind):
    plain, penal = linear(), linear()
    one, other = kind(plain.parameters(), 0.5), kind(penal.parameters(), 0.5)
    group_lasso(other, [penal.weight], 0.3, "columns")
    for lr in (0.1, 0.02):
        one.lr = other.lr = lr
        stepped(plain, one)
        stepped(penal, other)
        assert np.array_equal(penal.weight.data, proximal_step(plain.weight.data, 0.3 * lr, "columns", nn.GRID))
        plain.weight.data[...] = penal.weight.data
    assert np.array_equal(penal.bias.data, plain.bias.data)


def test_both_kinds_of_groups_and_a_grid():
    layer = linear()
    optimizer = nn.SGD(layer.parameters(), 0.5, grid=2**-10)
    group_lasso(optimizer, layer.weights(), 0.2, ["rows", "columns"])
    w = layer.weight.data
    rows = proximal_step(w, 0.1, "rows", 2**-10)
    assert np.array_equal(layer.weight.parametrizations[0].project(w), proximal_step(rows, 0.1, "columns", 2**-10))
    group_lasso(optimizer, layer.weights(), 0.0)  # again, to another strength
    assert len(layer.weight.parametrizations) == 1
    assert np.array_equal(layer.weight.parametrizations[0].project(w), w)


def test_training_empties_columns_and_surgery_takes_them():
    digits, rng = data.digits(), np.random.default_rng(0)
    model = nn.Sequential([nn.Linear(64, 40, rng=rng), nn.ReLU(), nn.Linear(40, 10, rng=rng)])
    optimizer = nn.SGD(model.parameters(), 0.1)
    group_lasso(optimizer, model.weights(), 0.1)
    list(nn.train(model, optimizer, digits.train, epochs=12, rng=rng, schedule=nn.linear, progress=False))
    kept = model.layers[2].weight.data.any(0)
    assert 3 < kept.sum() < 36 and nn.error(model, *digits.test) < 0.12
    before = nn.predict(model, digits.test.x)
    with pytest.raises(StorageError, match="GroupLasso has no number"):
        to_bytes(model)
    remove_units(model, "layers.0", kept)
    np.testing.assert_allclose(nn.predict(model, digits.test.x), before, rtol=1e-12)
    assert all(w.parametrizations == [] for w in model.weights())
    to_bytes(model)


def test_freezing_leaves_nothing_of_it():
    layer = linear()
    w = layer.weight.data.copy()
    group_lasso(nn.SGD(layer.parameters(), 0.1), layer.weights(), 0.1)
    apply_mask(layer.weight, w > 0)
    layer.weight.freeze()
    assert [type(p).__name__ for p in layer.weight.parametrizations] == ["Scatter"]
    assert np.array_equal(layer.weight.forward(), w * (w > 0))


def test_what_cannot_have_a_group_lasso():
    layer, other = linear(), linear(1)
    optimizer = nn.SGD(layer.parameters(), 0.1)
    with pytest.raises(StateError, match="one of the optimizer's"):
        group_lasso(optimizer, [layer.weight, other.weight], 0.1)
    with pytest.raises(ShapeError, match="rows and columns"):
        group_lasso(optimizer, [layer.weight, layer.bias], 0.1)
    with pytest.raises(RangeError):
        group_lasso(optimizer, layer.weights(), -0.1)
    with pytest.raises(RangeError, match="columns"):
        group_lasso(optimizer, layer.weights(), 0.1, "column")
    assert layer.weight.parametrizations == []
    apply_mask(layer.weight, layer.weight.data > 0)
    with pytest.raises(StateError, match="bake"):
        group_lasso(nn.SGD(layer.parameters(), 0.1), layer.weights(), 0.1)
    other.weight.parametrizations.append(GroupLasso(0.1, ["rows"]))
    with pytest.raises(StateError, match="follows one optimizer"):
        other.weight.clear()


def test_another_optimizer_does_not_inherit_it_in_silence():
    layer = linear()
    group_lasso(nn.SGD(layer.parameters(), 0.1), layer.weights(), 0.1)
    for other in (copy.deepcopy(layer), layer):
        optimizer = nn.SGD(other.parameters(), 0.1)
        with pytest.raises(StateError, match="bake"):
            stepped(other, optimizer)
        other.weight.bake()
        stepped(other, nn.SGD(other.parameters(), 0.1))
