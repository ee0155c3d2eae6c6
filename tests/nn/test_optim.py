"""Optimizers against the textbook, number by number; the grid; stale optimizers; schedules."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.errors import DTypeError, RangeError, ShapeError, StateError


def gradients(steps: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (steps, *shape))


def run(optimizer: nn.Optimizer, p: nn.Parameter, gs: np.ndarray) -> np.ndarray:
    for g in gs:
        p.accumulate(g)
        optimizer.step()
    return p.data


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_textbooks(momentum: float, decay: float, nesterov: bool) -> None:
    p = nn.Parameter(np.linspace(-1, 1, 6).reshape(2, 3))
    expected, v = p.data.ravel().tolist(), [0.0] * 6
    optimizer = nn.SGD([p], 0.05, momentum=momentum, nesterov=nesterov, weight_decay=decay, grid=0)
    for step in gradients(7, 6):
        for i, g in enumerate(step):
            g += decay * expected[i]
            v[i] = momentum * v[i] + g
            expected[i] -= 0.05 * (g + momentum * v[i] if nesterov else v[i])
        p.accumulate(step.reshape(2, 3))
        optimizer.step()
    np.testing.assert_allclose(p.data.ravel(), expected, rtol=1e-13)


@pytest.mark.parametrize(("decay", "beta1", "beta2", "eps"),
                         [(0.0, 0.9, 0.999, 1e-8), (0.1, 0.8, 0.95, 1e-2), (0.0, 0.0, 0.0, 1e-3)])
def test_adam_is_the_papers_algorithm_1(decay: float, beta1: float, beta2: float, eps: float) -> None:
    p = nn.Parameter(np.linspace(-1, 1, 6))
    expected, m, v = p.data.tolist(), [0.0] * 6, [0.0] * 6
    optimizer = nn.Adam([p], 0.01, beta1=beta1, beta2=beta2, eps=eps, weight_decay=decay, grid=0)
    for t, step in enumerate(gradients(9, 6), start=1):
        for i, g in enumerate(step):
            g += decay * expected[i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            m_hat, v_hat = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            expected[i] -= 0.01 * m_hat / (math.sqrt(v_hat) + eps)
        p.accumulate(step)
        optimizer.step()
    np.testing.assert_allclose(p.data, expected, rtol=1e-11)


def test_adams_first_step_has_the_length_of_the_learning_rate() -> None:
    p = nn.Parameter(np.zeros(3))
    moved = run(nn.Adam([p], 0.01), p, np.array([[5.0, -0.1, 0.001]]))
    np.testing.assert_allclose(moved, [-0.01, 0.01, -0.01], rtol=2e-5)


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_blocks_do_not_show(kind: type[nn.Optimizer]) -> None:
    """A vector of more than two blocks moves like its parts on their own."""
    n = 2 * nn.Optimizer.block + 1234
    gs = gradients(3, n)
    whole = nn.Parameter(np.ones(n))
    run(kind([whole], 0.01), whole, gs)
    for part in (slice(0, 7), slice(n - 2000, n), slice(nn.Optimizer.block - 3, nn.Optimizer.block + 3)):
        alone = nn.Parameter(np.ones(n)[part])
        np.testing.assert_array_equal(run(kind([alone], 0.01), alone, gs[:, part]), whole.data[part])


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
@given(st.integers(0, 99))
@settings(max_examples=10)
def test_noise_below_half_a_grid_gives_the_same_bits(kind: type[nn.Optimizer], seed: int) -> None:
    rng = np.random.default_rng(seed)
    on_grid = nn.to_grid(rng.uniform(-1, 1, (20, 8)), nn.GRID)
    noise = rng.uniform(-0.49, 0.49, (20, 8)) * nn.GRID
    exact, noisy = nn.Parameter(np.ones(8)), nn.Parameter(np.ones(8))
    run(kind([exact], 0.1, weight_decay=1e-3), exact, on_grid)
    run(kind([noisy], 0.1, weight_decay=1e-3), noisy, on_grid + noise)
    assert exact.data.tobytes() == noisy.data.tobytes()


def test_the_grid_is_on_for_float64_alone_unless_given() -> None:
    for dtype, expected in ((np.float64, nn.GRID), (np.float32, 0.0)):
        p = nn.Parameter(np.zeros(2, dtype))
        assert nn.SGD([p], 0.1).grid == expected
        assert nn.SGD([p], 0.1, grid=0.5).grid == 0.5
    np.testing.assert_array_equal(run(nn.SGD([p], 1, grid=0.5), p, np.array([[0.3, 0.2]], np.float32)), [-0.5, 0])


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_denormals_are_forgotten(kind: type[nn.Optimizer]) -> None:
    p = nn.Parameter(np.ones(3, np.float32))
    optimizer = kind([p], 1e-3)
    run(optimizer, p, np.array([[1e-25, 1, 0]], np.float32))
    run(optimizer, p, np.tile(np.array([[0, 1, 0]], np.float32), (400, 1)))
    for slot in optimizer.slots:
        assert (slot[[0, 2]] == 0).all()
        assert slot[1] > 0


def test_only_the_newest_optimizer_of_a_parameter_may_step() -> None:
    model = nn.Sequential([nn.Linear(3, 2, rng=0)])
    older, newer = nn.SGD(model.parameters(), 0.1), nn.Adam(model.parameters(), 0.1)
    before = [p.data.copy() for p in model.parameters()]
    model.backward(model.forward(np.ones((1, 3))))
    with pytest.raises(StateError, match="another optimizer"):
        older.step()
    for p, data in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, data)
    newer.step()


def test_a_copied_optimizer_does_not_train_in_vain() -> None:
    model = nn.Sequential([nn.Linear(3, 2, rng=0)])
    twin, optimizer = copy.deepcopy((model, nn.SGD(model.parameters(), 0.1)))
    twin.backward(twin.forward(np.ones((1, 3))))
    with pytest.raises(StateError, match="copied"):
        optimizer.step()


def test_a_step_needs_a_gradient() -> None:
    p, q = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    optimizer = nn.SGD([p, q], 0.1)
    with pytest.raises(StateError, match="without a gradient"):
        optimizer.step()
    p.accumulate(np.ones(2))
    optimizer.step()
    np.testing.assert_allclose([p.data, q.data], [[0.9, 0.9], [1, 1]])
    with pytest.raises(StateError, match="without a gradient"):
        optimizer.step()


def test_a_gradient_is_used_once() -> None:
    """q has none in the second step: the one of the first must not come back."""
    p, q = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    optimizer = nn.SGD([p, q], 0.1, momentum=0)
    for parameters in ([p, q], [p]):
        for each in parameters:
            each.accumulate(np.ones(2))
        optimizer.step()
    np.testing.assert_allclose([p.data, q.data], [[0.8, 0.8], [0.9, 0.9]])


def test_a_frozen_trunk_does_not_move() -> None:
    trunk, head = nn.Linear(3, 4, rng=0), nn.Linear(4, 2, rng=1)
    model, before = nn.Sequential([trunk, head]), trunk.weight.data.tobytes()
    optimizer, start = nn.SGD(head.parameters(), 0.1), head.weight.data.copy()
    for _ in range(3):
        model.backward(model.forward(np.ones((2, 3))))
        optimizer.step()
    assert trunk.weight.data.tobytes() == before
    assert (head.weight.data != start).all()


def test_a_parameter_given_twice_moves_once() -> None:
    p = nn.Parameter(np.ones(2))
    optimizer = nn.SGD([p, p], 0.1)
    assert optimizer.parameters == [p]
    np.testing.assert_allclose(run(optimizer, p, np.ones((1, 2))), [0.9, 0.9])


def test_what_an_optimizer_refuses() -> None:
    p = nn.Parameter(np.ones(2))
    with pytest.raises(ShapeError, match="no parameters"):
        nn.SGD([], 0.1)
    with pytest.raises(DTypeError, match="different dtypes"):
        nn.SGD([p, nn.Parameter(np.ones(2, np.float32))], 0.1)
    with pytest.raises(RangeError):
        nn.SGD([p], 0.1, grid=-1)


def test_settings_are_what_was_chosen() -> None:
    p = nn.Parameter(np.ones(1))
    optimizer = nn.Adam([p], 0.1, beta1=0.5)
    before = optimizer.settings()
    run(optimizer, p, np.ones((3, 1)))
    assert optimizer.settings() == before
    assert before == {"lr": 0.1, "weight_decay": 0.0, "grid": nn.GRID, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8}
    assert nn.SGD([p], 0.1, nesterov=True).settings() == {
        "lr": 0.1, "weight_decay": 0.0, "grid": nn.GRID, "momentum": 0.9, "nesterov": True}


def test_schedules() -> None:
    assert [nn.constant(t) for t in (0, 0.5)] == [1, 1]
    assert [nn.linear(t) for t in (0, 0.25)] == [1, 0.75]
    assert [nn.cosine(t) for t in (0, 0.5, 1)] == [1, 0.5, 0]
    assert nn.cosine(0.3) * 2**20 == round((1 + math.cos(0.3 * math.pi)) * 2**19)
