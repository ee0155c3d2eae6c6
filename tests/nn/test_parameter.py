"""The weight and the trained numbers: chains, gradients, changes, ties. The maps here are made for these tests."""

import copy
from collections.abc import Callable

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import NonFiniteError, ShapeError, StateError


class Scaled(nn.Parametrization):
    """w = c x,   dx = c dw"""

    factor: float

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, data: np.ndarray) -> np.ndarray:
        return self.factor * data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.factor * dw


class Squared(nn.Parametrization):
    """w = x²,   dx = 2 x dw;   x stays in [-1, 1]"""

    x: np.ndarray = np.empty(0)

    def forward(self, data: np.ndarray) -> np.ndarray:
        self.x = data
        return data * data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return 2 * self.x * dw

    def project(self, data: np.ndarray) -> np.ndarray:
        return np.clip(data, -1, 1)


class Twice(nn.Parametrization):
    """w = (x, x),   dx = dw's first half + its second      x (n,)   w (2 n,)"""

    def forward(self, data: np.ndarray) -> np.ndarray:
        return np.concatenate([data, data])

    def backward(self, dw: np.ndarray) -> np.ndarray:
        first, second = np.split(dw, 2)
        return first + second

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 1:
            raise ShapeError(f"{shape} is not (n,)")
        return (2 * shape[0],)


class Coin(nn.Parametrization):
    """w = m ∘ x, m drawn once a step: Bernoulli(1/2)"""

    rng: np.random.Generator
    m: np.ndarray | None = None

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def forward(self, data: np.ndarray) -> np.ndarray:
        if self.m is None:
            self.m = self.rng.random(data.shape) < 0.5
        return self.m * data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.m * dw

    def renew(self) -> None:
        self.m = None


def test_maps_apply_from_left_to_right_and_back() -> None:
    p = nn.Parameter([1.0, 2.0], [Squared(), Scaled(3)])
    np.testing.assert_array_equal(p.forward(), [3, 12])
    p.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(p.grad, [2 * 1 * 3, 2 * 2 * 3 * 10])
    np.testing.assert_array_equal(nn.Parameter([1.0, 2.0], [Scaled(3), Squared()]).forward(), [9, 36])


def test_maps_may_change_the_shape() -> None:
    for maps in ([Squared(), Twice()], [Twice(), Squared()]):
        p = nn.Parameter([1.0, 2.0], maps)
        assert p.shape == (4,)
        np.testing.assert_array_equal(p.forward(), [1, 4, 1, 4])
        p.backward(np.array([1.0, 10, 100, 1000]))
        np.testing.assert_array_equal(p.grad, [2 * 101, 4 * 1010])


def test_without_maps_the_weight_is_the_data_itself() -> None:
    p = nn.Parameter([[1.0, 2.0]])
    assert p.forward() is p.data
    assert p.shape == (1, 2)


def test_the_numbers_given_are_copied() -> None:
    given = np.ones(3)
    p = nn.Parameter(given)
    p.data += 1
    assert given.sum() == 3


def test_gradients_add_up_until_a_step_is_over() -> None:
    a, b = np.random.default_rng(0).random((2, 3, 4))
    for maps in ([], [Scaled(2)]):
        p = nn.Parameter(np.zeros((3, 3)), maps)
        p.backward_matmul(a, b.T)
        p.backward_matmul(a, b.T)
        p.backward(np.ones((3, 3)))
        np.testing.assert_allclose(p.grad, (2 * a @ b.T + 1) * (2 if maps else 1))
        p.clear()
        p.accumulate(np.full((3, 3), 5.0))
        assert (p.grad == 5).all(), "the gradient before `clear` is forgotten"


@pytest.mark.parametrize("wrong", [(1,), (3, 1), (2, 3), ()])
def test_a_gradient_of_another_shape_is_not_repeated_to_fit(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="gradient of shape"):
        nn.Parameter(np.zeros((3, 2))).backward(np.ones(wrong))


def test_the_first_map_alone_projects_after_a_step() -> None:
    p = nn.Parameter([3.0, -0.5], [Squared(), Scaled(1)])
    data = p.data
    p.clear()
    assert p.data is data
    np.testing.assert_array_equal(data, [1, -0.5])
    p = nn.Parameter([3.0, -0.5], [Scaled(1), Squared()])
    p.clear()
    np.testing.assert_array_equal(p.data, [3, -0.5])


@pytest.mark.parametrize("change", [
    lambda p: p.become(p.data), lambda p: p.become(p.data, [Scaled(1)]), lambda p: p.become(np.ones(7)),
    lambda p: p.bake(), lambda p: p.freeze(), lambda p: p.validate(),
], ids=["same data", "other maps", "other shape", "bake", "freeze", "validate"])
def test_an_optimizer_built_before_is_stale(change: Callable[[nn.Parameter], None]) -> None:
    p, other = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])
    optimizer = nn.SGD([p, other], 0.1)
    change(p)
    other.accumulate(np.ones(1))
    with pytest.raises(StateError, match="build a new optimizer"):
        optimizer.step()
    assert other.data == 3


def test_bake_makes_the_weight_the_data() -> None:
    p = nn.Parameter([1.0, 2.0], [Squared(), Scaled(3)])
    p.bake()
    assert p.parametrizations == []
    np.testing.assert_array_equal(p.data, [3, 12])


def test_become_refuses_what_does_not_fit_and_changes_nothing() -> None:
    p = nn.Parameter([1.0, 2.0], [Scaled(2)])
    before, maps = p.data, p.parametrizations
    with pytest.raises(ShapeError):
        p.become(np.ones((3, 1)), [Scaled(1), Twice()])
    with pytest.raises(NonFiniteError):
        p.become([1.0, np.nan])
    assert p.data is before
    assert p.parametrizations is maps


def test_tied_weights_are_one_parameter() -> None:
    first, second = nn.Linear(3, 3, bias=False, rng=0), nn.Linear(3, 3, bias=False, rng=1)
    second.weight = first.weight
    model = nn.Sequential([first, nn.Tanh(), second])
    assert model.parameters() == [first.weight]
    assert model.weights() == [first.weight]
    x, dy = np.random.default_rng(2).uniform(-1, 1, (2, 4, 3))
    model.forward(x)
    model.backward(dy)
    h = np.tanh(x @ first.weight.data.T)
    dh = dy @ first.weight.data * (1 - h * h)
    np.testing.assert_allclose(first.weight.grad, dy.T @ h + dh.T @ x)
    twin = copy.deepcopy(model)
    assert twin.layers[0].weight is twin.layers[2].weight
    assert twin.layers[0].weight is not first.weight


def test_a_random_map_draws_once_a_step_and_its_generator_is_state() -> None:
    layer = nn.Linear(8, 8, bias=False, rng=0)
    layer.weight.become(np.ones((8, 8)), [coin := Coin(5)])
    model = nn.Sequential([layer, nn.Linear(8, 8, bias=False, rng=1)])
    model.layers[1].weight = layer.weight
    optimizer, x = nn.SGD(model.parameters(), 0.0), np.ones((2, 8))
    draws = []
    for _ in range(3):
        model.backward(model.forward(x))
        draws.append(coin.m)
        np.testing.assert_array_equal(model.layers[0].saved[1], model.layers[1].saved[1])
        optimizer.step()
    stream = np.random.default_rng(5)
    for m in draws:
        np.testing.assert_array_equal(m, stream.random((8, 8)) < 0.5)
    assert model.state()["layers.0.weight.parametrizations.0.rng"] is coin.rng
