"""Units that lead nowhere are found through a chain of layers, and nothing else is touched."""

import numpy as np

from minicompress.nn import SGD, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential, cross_entropy
from minicompress.pruning.dead_units import prune_dead_units
from minicompress.pruning.masks import apply_mask


def network(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(6, 8, rng=rng), ReLU(), Linear(8, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng)])


def train_a_little(model, steps=20, optimizer=SGD):
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(30, 6)), rng.integers(0, 3, 30)
    opt = optimizer(model.parameters(), 0.1)
    for _ in range(steps):
        _, dz = cross_entropy(model(x), labels)
        model.backward(dz)
        opt.step()
    return x


def test_dead_units_go_with_their_incoming_weights_and_biases_and_outputs_stay():
    model = network()
    x = train_a_little(model)
    first, second, third = model.weights()
    mask = np.ones((3, 5), bool)
    mask[:, [1, 4]] = False
    apply_mask(third, mask)
    mask = np.ones((5, 8), bool)
    mask[[0, 2, 3], 6] = False  # unit 6 now leads only to units 1 and 4, which are dead: it must go too
    apply_mask(second, mask)
    before = model(x) if not model.train(False) else None
    assert prune_dead_units(model) == 3
    assert np.array_equal(before, model(x))
    assert not second.forward()[[1, 4]].any() and not first.forward()[6].any()
    assert model.layers[2].bias.forward()[[1, 4]].tolist() == [0, 0] and model.layers[0].bias.forward()[6] == 0
    assert np.count_nonzero(first.forward()) == 7 * 6


def test_dead_units_are_found_through_convolution_and_flatten():
    rng = np.random.default_rng(0)
    model = Sequential([Conv2d(1, 3, 3, rng=rng), ReLU(), MaxPool2d(), Flatten(), Linear(3 * 9, 4, rng=rng)])
    mask = np.ones((4, 27), bool)
    mask[:, 9:18] = False
    apply_mask(model.weights()[1], mask)
    model.train(False)
    x = rng.normal(size=(2, 1, 8, 8))
    before = model(x)
    assert prune_dead_units(model) == 1 and np.array_equal(before, model(x))
    assert not model.weights()[0].forward()[1].any()


def test_a_container_in_the_chain_keeps_what_leads_into_it():
    rng = np.random.default_rng(0)
    first, inner, last = Linear(4, 5, rng=rng), Linear(5, 5, rng=rng), Linear(5, 2, rng=rng)
    for layer in (inner, last):  # unit 1 seems dead to the inner layer, but the shortcut carries it on
        mask = np.ones(layer.weight.shape, bool)
        mask[:, 1 if layer is inner else 3] = False
        apply_mask(layer.weight, mask)
    model = Sequential([first, Residual(Sequential([inner, ReLU()])), last])
    model.train(False)
    x = rng.normal(size=(3, 4))
    before = model(x)
    assert prune_dead_units(model) == 0 and np.array_equal(before, model(x))
