"""Layers made of layers: what comes out, where gradients go, and what is refused."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import RangeError, ShapeError, StateError


class Weighed(nn.Layer):
    """y = c x"""

    factor: float

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x)
        return self.factor * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.recall()
        return self.factor * dy


x = np.arange(6.0).reshape(2, 3)
dy = np.ones((2, 3))


def test_sequential_runs_in_order_and_backwards() -> None:
    order: list[str] = []

    class Traced(nn.Layer):
        def __init__(self, name: str) -> None:
            self.name = name

        def forward(self, x: np.ndarray) -> np.ndarray:
            order.append(f"{self.name} forward")
            return x

        def backward(self, dy: np.ndarray) -> np.ndarray:
            order.append(f"{self.name} backward")
            return dy

        def learn(self, dy: np.ndarray) -> None:
            order.append(f"{self.name} learn")

    model = nn.Sequential([Traced("a"), nn.Sequential([Traced("b")]), Traced("c")])
    model.forward(x)
    model.backward(x)
    assert order == ["a forward", "b forward", "c forward", "c backward", "b backward", "a backward"]
    order.clear()
    model.learn(x)
    assert order == ["c backward", "b backward", "a learn"], "the first layer's input gradient is nobody's"


def test_an_empty_sequential_is_the_identity() -> None:
    model = nn.Sequential([])
    np.testing.assert_array_equal(model.forward(x), x)
    np.testing.assert_array_equal(model.backward(dy), dy)
    assert model.parameters() == []


def test_residual_adds_the_way_around() -> None:
    block = nn.Residual(Weighed(3))
    np.testing.assert_array_equal(block.forward(x), 4 * x)
    np.testing.assert_array_equal(block.backward(dy), 4 * dy)
    block = nn.Residual(Weighed(3), Weighed(5))
    np.testing.assert_array_equal(block.forward(x), 8 * x)
    np.testing.assert_array_equal(block.backward(dy), 8 * dy)


def test_two_readers_of_one_array_do_not_disturb_each_other() -> None:
    """Were a layer to write into its input, the shortcut would add the wrong numbers."""
    for inner in (nn.ReLU(), nn.Sign(), nn.Tanh(), nn.Dropout(0.5, rng=0), nn.BatchNorm(3), nn.Gate(3)):
        given = x - 2
        y = nn.Residual(nn.Sequential([inner])).forward(given)
        inner.train(inner.training)
        np.testing.assert_array_equal(given, x - 2)
        if not isinstance(inner, nn.Dropout):  # draws anew
            np.testing.assert_array_equal(y, x - 2 + inner.forward(x - 2))


def test_residual_refuses_ways_of_other_shapes() -> None:
    block = nn.Residual(nn.Linear(3, 1, rng=0))
    with pytest.raises(ShapeError, match=r"gives \(2, 1\) and its shortcut \(2, 3\)"):
        block.forward(x)  # NumPy alone would repeat the column


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)])
def test_concat_puts_channels_side_by_side(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random(shape)
    layer = nn.Concat([Weighed(1), Weighed(10)])
    np.testing.assert_array_equal(layer.forward(x), np.concatenate([x, 10 * x], axis=1))
    d = np.random.default_rng(1).random((2, 6, *shape[2:]))
    np.testing.assert_allclose(layer.backward(d), d[:, :3] + 10 * d[:, 3:])


def test_concat_of_branches_of_unlike_widths() -> None:
    layer = nn.Concat([nn.Linear(3, 1, rng=0), nn.Linear(3, 4, rng=1), nn.Linear(3, 2, rng=2)])
    assert layer.forward(x).shape == (2, 7)
    d = np.random.default_rng(1).random((2, 7))
    dx = sum(part @ branch.weight.data
             for part, branch in zip((d[:, :1], d[:, 1:5], d[:, 5:]), layer.branches, strict=True))
    np.testing.assert_allclose(layer.backward(d), dx)


def test_concat_refuses_images_of_other_sizes() -> None:
    layer = nn.Concat([nn.Conv2d(1, 2, 1, rng=0), nn.Conv2d(1, 2, 3, rng=0)])
    with pytest.raises(ShapeError, match=r"\(2, 2, 5, 5\), \(2, 2, 3, 3\)"):
        layer.forward(np.ones((2, 1, 5, 5)))


def test_gradients_of_all_exits_add_up() -> None:
    model = nn.MultiExit([Weighed(2), Weighed(3), Weighed(5)], [nn.Sequential([]), Weighed(7), Weighed(11)])
    outputs = model.forward(x)
    for y, factor in zip(outputs, (2, 2 * 3 * 7, 2 * 3 * 5 * 11), strict=True):
        np.testing.assert_array_equal(y, factor * x)
    dx = model.backward((dy, 10 * dy, 100 * dy))
    np.testing.assert_array_equal(dx, (2 + 10 * 42 + 100 * 330) * dy)


def test_exits_and_gradients_are_counted() -> None:
    model = nn.MultiExit([Weighed(2), Weighed(3)], [Weighed(5), Weighed(7)])
    model.forward(x)
    with pytest.raises(ShapeError, match="1 gradients came for 2 exits"):
        model.backward((dy,))
    for stages, exits in (([Weighed(1)], []), ([], [])):
        with pytest.raises(ShapeError, match="allowed: as many"):
            nn.MultiExit(stages, exits)


def test_a_switch_runs_the_layer_in_force_alone() -> None:
    selector, layers = nn.Selector(), [Weighed(2), Weighed(3)]
    one, other = nn.Switch(layers, selector), nn.Switch([Weighed(5), Weighed(7)], selector)
    model = nn.Sequential([one, other])
    for index, factor in ((0, 10), (1, 21), (0, 10)):
        selector.index = index
        np.testing.assert_array_equal(model.forward(x), factor * x)
        np.testing.assert_array_equal(model.backward(dy), factor * dy)
    selector.index = 1
    one.forward(x)
    assert layers[0].pending is False


@pytest.mark.parametrize("index", [1, -1])
def test_a_selector_past_the_ends_is_refused(index: int) -> None:
    selector = nn.Selector()
    layer = nn.Switch([Weighed(2)], selector)
    selector.index = index
    with pytest.raises(RangeError, match=rf"selector is {index}; allowed: ≥ 0 and ≤ 0"):
        layer.forward(x)
    with pytest.raises(RangeError):
        nn.Selector(-1)
    with pytest.raises(ShapeError):
        nn.Concat([])


def test_a_layer_in_two_places_may_not_run_twice_in_one_pass() -> None:
    shared = nn.Tanh()
    model = nn.Sequential([shared, shared])
    with pytest.raises(StateError, match="called twice"):
        model.forward(x)
