"""Fields, walking, modes, state and restoring of the parts of a model."""

import copy
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import ShapeError


class Leaf(nn.Node):
    values: np.ndarray
    note: str
    passing: int = 3

    def __init__(self, n: int) -> None:
        self.values, self.note = np.arange(float(n)), "a note"


class Branch(nn.Node):
    first: Leaf
    several: list
    rng: np.random.Generator
    rate: float

    def __init__(self, first: Leaf, several: list[Any]) -> None:
        self.first, self.several, self.rng, self.rate = first, several, np.random.default_rng(3), 0.5


class Longer(Leaf):
    more: np.ndarray
    training: bool = False

    def __init__(self) -> None:
        super().__init__(2)
        self.more = np.zeros((2, 2))


def tree() -> Branch:
    shared = Leaf(1)
    return Branch(shared, [Leaf(2), shared, Branch(Leaf(3), [Longer()])])


def test_fields_are_annotations_without_a_value_base_classes_first() -> None:
    assert Leaf.fields() == ["values", "note"]
    assert Longer.fields() == ["values", "note", "more"]
    assert nn.Parameter.fields() == ["data", "parametrizations"]
    assert nn.Linear.fields() == ["weight", "bias"]


def test_walk_meets_each_node_once_with_its_path() -> None:
    top = tree()
    paths = dict(top.walk())
    assert list(paths) == ["", "first", "several.0", "several.2", "several.2.first", "several.2.several.0"]
    assert paths[""] is top
    assert paths["several.2.several.0"] is top.several[2].several[0]


def test_mode_reaches_every_node() -> None:
    top = tree()
    top.train(False)
    assert not any(node.training for _, node in top.walk())
    top.train()
    assert all(node.training for _, node in top.walk())


def test_mode_reaches_parametrizations() -> None:
    inner = nn.Parametrization()
    model = nn.Sequential([nn.Linear(2, 2, rng=0)])
    model.layers[0].weight.become(np.ones((2, 2)), [inner])
    model.train(False)
    assert not inner.training


def test_state_names_all_that_can_change() -> None:
    state = tree().state()
    assert list(state)[:6] == ["first.values", "several.0.values", "several.1.values", "several.2.first.values",
                               "several.2.several.0.values", "several.2.several.0.more"]
    assert isinstance(state["rng"], np.random.Generator)
    assert state["rate"] == 0.5


def test_state_goes_round() -> None:
    one, other = tree(), tree()
    one.several[0].values += 10
    one.several[2].rate = 0.25
    one.rng.random(5)
    arrays = [node.values for _, node in other.walk() if isinstance(node, Leaf)]
    other.restore(copy.deepcopy(one.state()))
    np.testing.assert_array_equal(other.several[0].values, [10, 11])
    assert other.several[2].rate == 0.25
    assert other.rng.random() == one.rng.random()
    others = [node.values for _, node in other.walk() if isinstance(node, Leaf)]
    assert all(a is b for a, b in zip(arrays, others, strict=True)), "written in place"


def test_a_bool_and_an_integer_are_restored() -> None:
    one, other = nn.Selector(2), nn.Selector(0)
    other.restore(one.state())
    assert other.index == 2


@pytest.mark.parametrize("broken", [
    pytest.param(lambda s: s.pop("several.0.values"), id="missing"),
    pytest.param(lambda s: s.update({"several.3.values": np.zeros(2)}), id="additional"),
])
def test_restore_names_the_first_difference(broken: Any) -> None:
    state = copy.deepcopy(tree().state())
    broken(state)
    with pytest.raises(ShapeError, match=r"first difference: several\.[03]\.values"):
        tree().restore(state)


def test_restore_of_another_shape_changes_nothing() -> None:
    target, source = tree(), tree()
    source.first.values += 7
    source.several[2].first.values = np.zeros(5)
    before = copy.deepcopy(target.state())
    with pytest.raises(ShapeError, match=r"several\.2\.first\.values has shape \(3,\) here, \(5,\) in the state"):
        target.restore(source.state())
    for path, value in target.state().items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, before[path])


def test_a_model_of_other_layers_is_refused() -> None:
    small = nn.Sequential([nn.Linear(3, 2, rng=0)])
    large = nn.Sequential([nn.Linear(3, 2, rng=0), nn.BatchNorm(2)])
    with pytest.raises(ShapeError, match=r"layers\.1\.scale\.data"):
        small.restore(large.state())
    with pytest.raises(ShapeError, match=r"layers\.1\.scale\.data"):
        large.restore(small.state())


def test_a_part_is_exchanged_in_every_place():
    old, new = nn.ReLU(), nn.Tanh()
    model = nn.Sequential([old, nn.Residual(old, nn.Sequential([old])), nn.Sigmoid()])
    model.exchange({id(old): new})
    inner = model.layers[1]
    assert model.layers[0] is inner.body is inner.shortcut.layers[0] is new and isinstance(model.layers[2], nn.Sigmoid)
