"""The scan prunes one layer at a time and leaves the model, its masks and its optimizer as they were."""

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.nn import SGD, Linear, ReLU, Sequential
from minicompress.pruning.magnitude import prune
from minicompress.pruning.sensitivity import least_densities, sensitivity


def network():
    rng = np.random.default_rng(0)
    return Sequential([Linear(4, 5, rng=rng), ReLU(), Linear(5, 2, rng=rng)])


def nonzero(model):
    return [int(np.count_nonzero(p.forward())) for p in model.weights()]


def test_each_layer_is_pruned_alone_and_put_back():
    model = network()
    optimizer = SGD(model.parameters(), 0.1)
    before, seen = [p.data for p in model.weights()], []
    curves = sensitivity(model, [1, 0.5, 0], lambda: seen.append(nonzero(model)) or float(len(seen)))
    assert seen == [[20, 10], [10, 10], [0, 10], [20, 10], [20, 5], [20, 0]]
    assert curves == {"layers.0.weight": [1, 2, 3], "layers.2.weight": [4, 5, 6]}
    assert all(p.data is x and not p.parametrizations for p, x in zip(model.weights(), before, strict=True))
    model.backward(model(np.ones((1, 4))))
    optimizer.step()


def test_a_mask_that_is_there_counts():
    model, seen = network(), []
    prune(model.weights(), 0.5, scope="layerwise")
    masks = [p.parametrizations[0].mask.copy() for p in model.weights()]
    sensitivity(model, [0.8, 0.2], lambda: seen.append(nonzero(model)) or 0.0)
    assert seen == [[10, 5], [4, 5], [10, 5], [10, 2]]
    assert all(np.array_equal(p.parametrizations[0].mask, m) for p, m in zip(model.weights(), masks, strict=True))


def test_a_failing_measurement_leaves_the_model_whole():
    model = network()
    with pytest.raises(ZeroDivisionError):
        sensitivity(model, [0.5], lambda: 1 / 0)
    assert not any(p.parametrizations for p in model.weights())


def test_the_least_density_is_sought_from_the_dense_side():
    curves = {"a": [0.05, 0.02, 0.30, 0.02], "b": [0.02, 0.02, 0.02, 0.02]}  # at 0.1 layer a is well again, by luck
    assert least_densities(curves, [0.5, 1.0, 0.2, 0.1], 0.05) == [0.5, 0.1]
    with pytest.raises(RangeError, match="a pruned"):
        least_densities(curves, [0.5, 1.0, 0.2, 0.1], 0.01)
