"""Losses and penalties: values against their formulas, gradients against differences, targets that do not fit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from minicompress import nn
from minicompress.errors import DTypeError, LabelError, RangeError, ShapeError

rng = np.random.default_rng(0)
Z = rng.uniform(-2, 2, (5, 4))
LABELS = np.array([0, 3, 3, 1, 2])
DISTRIBUTIONS = rng.dirichlet(np.ones(4), 5)
CASES = {
    "cross-entropy, labels": (nn.cross_entropy, LABELS),
    "cross-entropy, distributions": (nn.cross_entropy, DISTRIBUTIONS),
    "cross-entropy, weighted": (nn.cross_entropy, DISTRIBUTIONS * [[1], [2], [0.5], [0], [3]]),
    "mean squared error": (nn.mean_squared_error, rng.uniform(-1, 1, (5, 4))),
    "squared hinge": (nn.squared_hinge, LABELS),
}
every = pytest.mark.parametrize(("loss", "target"), CASES.values(), ids=CASES)


def slope(f: Callable[[float], float], h: float = 1e-3) -> float:
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


@every
def test_gradients_are_the_derivatives(loss: nn.Loss, target: np.ndarray) -> None:
    _, dz = loss(Z, target)
    for seed in range(5):
        v = np.random.default_rng(seed).uniform(-1, 1, Z.shape)
        numeric, exact = slope(lambda t, v=v: loss(Z + t * v, target)[0]), (dz * v).sum()
        assert abs(numeric - exact) < 1e-7 * abs(numeric)


@every
def test_losses_are_means_over_samples(loss: nn.Loss, target: np.ndarray) -> None:
    value, dz = loss(Z, target)
    alone = [loss(Z[i : i + 1], target[i : i + 1]) for i in range(5)]
    np.testing.assert_allclose(value, np.mean([v for v, _ in alone]))
    np.testing.assert_allclose(dz, np.concatenate([d for _, d in alone]) / 5)


@every
def test_inputs_stay_and_dtype_follows(loss: nn.Loss, target: np.ndarray) -> None:
    z, t = Z.astype(np.float32, order="F"), target.copy()
    if t.dtype == float:
        t = t.astype(np.float32)
    for a in (z, t):
        a.flags.writeable = False
    value, dz = loss(z, t)
    assert type(value) is float
    assert dz.dtype == np.float32
    np.testing.assert_allclose(value, loss(Z, target)[0], rtol=1e-5)
    np.testing.assert_allclose(dz, loss(Z, target)[1], rtol=1e-4, atol=1e-6)


def test_values_are_the_formulas() -> None:
    log_p = log_softmax(Z, axis=1)
    np.testing.assert_allclose(nn.cross_entropy(Z, LABELS)[0], -log_p[range(5), LABELS].mean())
    np.testing.assert_allclose(nn.cross_entropy(Z, DISTRIBUTIONS)[0], -(DISTRIBUTIONS * log_p).sum(1).mean())
    np.testing.assert_allclose(nn.mean_squared_error(Z, 0 * Z)[0], (Z**2).sum() / 5)
    s = np.where(np.arange(4) == LABELS[:, None], 1, -1)
    np.testing.assert_allclose(nn.squared_hinge(Z, LABELS)[0], (np.maximum(0, 1 - s * Z) ** 2).sum() / 5)


def test_labels_are_one_hot_distributions() -> None:
    for got, same in zip(nn.cross_entropy(Z, LABELS), nn.cross_entropy(Z, np.eye(4)[LABELS]), strict=True):
        np.testing.assert_allclose(got, same, rtol=1e-12)


@given(st.lists(st.lists(st.floats(-700, 700), min_size=3, max_size=3), min_size=1, max_size=4).map(np.array))
@settings(max_examples=50)
def test_softmax_is_scipys(z: np.ndarray) -> None:
    np.testing.assert_allclose(nn.softmax(z), softmax(z, axis=1), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(nn.log_softmax(z), log_softmax(z, axis=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e30])
def test_cross_entropy_of_large_scores_is_finite(size: float) -> None:
    for dtype in (np.float32, np.float64):
        value, dz = nn.cross_entropy(np.array([[0, size], [size, 0]], dtype), np.array([0, 0]))
        assert value == pytest.approx(size / 2)
        np.testing.assert_array_equal(dz, [[-0.5, 0.5], [0, 0]])


def test_squared_hinge_is_flat_beyond_the_margin() -> None:
    value, dz = nn.squared_hinge(np.array([[1.5, -1.0]]), np.array([0]))
    assert value == 0
    assert not dz.any()


@pytest.mark.parametrize(("target", "kind", "hint"), [
    (LABELS[:, None], LabelError, r"labels\.ravel\(\)"), (LABELS.astype(float), DTypeError, r"astype\(int\)"),
    (np.eye(4, dtype=int)[LABELS], LabelError, r"argmax\(axis=1\)"), (LABELS[:4], ShapeError, "4 labels for 5 samples"),
    (np.array([0, 1, -1, 2, 3]), LabelError, r"labels\[2\] is -1"), (LABELS + 1, LabelError, r"labels\[1\] is 4"),
    (DISTRIBUTIONS[:, :3], ShapeError, "equal shapes"), (list("abcda"), DTypeError, "number the classes"),
])
def test_targets_that_do_not_fit(target: Any, kind: type[Exception], hint: str) -> None:
    with pytest.raises(kind, match=hint):
        nn.cross_entropy(Z, target)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.squared_hinge])
@pytest.mark.parametrize("z", [np.ones(5), np.ones((5, 4, 1, 1)), np.ones((0, 4))], ids=["1-D", "4-D", "empty"])
def test_outputs_that_do_not_fit(loss: nn.Loss, z: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"allowed: \(N, C\), at least 1 sample"):
        loss(z, LABELS[: len(z)])


def test_a_column_and_a_row_are_not_spread_against_each_other() -> None:
    for y, target in ((np.ones((5, 1)), np.ones(5)), (np.ones(5), np.ones((5, 1))), (np.ones((0, 2)), np.ones((0, 2)))):
        with pytest.raises(ShapeError, match="equal shapes"):
            nn.mean_squared_error(y, target)


@pytest.mark.parametrize("penalty", [nn.l1, nn.l2])
def test_penalties_add_the_gradient_of_their_value(penalty: Callable[..., float]) -> None:
    p = nn.Parameter(np.random.default_rng(3).uniform(0.1, 1, (3, 2)) * [-1, 1])
    start, v = p.data.copy(), np.random.default_rng(4).uniform(-1, 1, (3, 2))

    def along(t: float) -> float:
        p.data[...] = start + t * v
        return penalty([p], 0.3)

    numeric = slope(along)
    p.data[...] = start
    p.clear()
    p.accumulate(np.ones((3, 2)))
    penalty([p], 0.3)
    assert abs(numeric - ((p.grad - 1) * v).sum()) < 1e-7 * abs(numeric)


def test_penalties_are_their_formulas() -> None:
    parameters = [nn.Parameter([-1.0, 0.0, 2.0]), nn.Parameter([[3.0]])]
    assert nn.l1(parameters, 0.5) == 0.5 * 6
    np.testing.assert_array_equal(parameters[0].grad, [-0.5, 0, 0.5])
    assert nn.l2(parameters, 0.5) == 0.25 * 14
    np.testing.assert_array_equal(parameters[0].grad, [-1, 0, 1.5])
    with pytest.raises(RangeError):
        nn.l2(parameters, -1)
