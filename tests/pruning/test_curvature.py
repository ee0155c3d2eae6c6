"""The curvature pass against brute force: equal where the recursion is exact, a known gap where it is not."""

import copy

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import MiniCompressError, RangeError
from minicompress.nn import Linear, Sequential, Sigmoid, Tanh, cross_entropy, mean_squared_error
from minicompress.pruning.curvature import LOSSES, back, curvature
from minicompress.pruning.masks import Masked

X = np.random.default_rng(0).normal(size=(12, 4))
T = np.random.default_rng(1).normal(size=(12, 3))
LABELS = np.random.default_rng(2).integers(0, 3, 12)
SHARES = np.random.default_rng(3).dirichlet(np.ones(3), 12)


def second_differences(value, array, eps=1e-4):
    """∂²value/∂array² for each entry alone, by central differences of fourth order."""
    found, flat = np.empty(array.size), array.reshape(-1)
    for i in range(array.size):
        kept, sums = flat[i], 0.0
        for step, factor in ((-2, -1), (-1, 16), (0, -30), (1, 16), (2, -1)):
            flat[i] = kept + step * eps
            sums += factor * value()
        flat[i], found[i] = kept, sums / (12 * eps * eps)
    return found.reshape(array.shape)


def brute(model, loss, samples):
    return [second_differences(lambda: loss(nn.predict(model, samples[0]), samples[1])[0], p.data)
            for p in model.parameters()]


def mlp(*hidden, out=(), width=5):
    sizes = [4] + [width] * len(hidden)
    layers = [part for i, f in enumerate(hidden) for part in (Linear(sizes[i], width, rng=i), f())]
    return Sequential([*layers, Linear(sizes[-1], 3, rng=9), *out])


@pytest.mark.parametrize("out", [(), (Tanh(),), (Sigmoid(),)])
@pytest.mark.parametrize("hidden", [Tanh, Sigmoid, nn.ReLU])
def test_exact_with_one_hidden_layer_and_a_loss_for_every_output(hidden, out):
    model = mlp(hidden, out=out)
    found = curvature(model, mean_squared_error, (X, T))
    assert list(found) == model.parameters()
    for h, expected in zip(found.values(), brute(model, mean_squared_error, (X, T)), strict=True):
        np.testing.assert_allclose(h, expected, atol=1e-6)


@pytest.mark.parametrize("loss, target", [(mean_squared_error, T), (cross_entropy, LABELS), (cross_entropy, SHARES),
                                          (cross_entropy, 2 * SHARES), (nn.squared_hinge, LABELS)])
def test_exact_in_the_last_layer(loss, target):
    model = mlp(Tanh, Tanh)
    found, expected = list(curvature(model, loss, (X, target)).values()), brute(model, loss, (X, target))
    for h, wanted in zip(found[-2:], expected[-2:], strict=True):
        np.testing.assert_allclose(h, wanted, atol=1e-6)


@pytest.mark.parametrize("model, loss, target", [(mlp(Tanh, Tanh), mean_squared_error, T),
                                                 (mlp(Tanh), cross_entropy, LABELS)])
def test_elsewhere_an_approximation_with_a_gap(model, loss, target):
    """Mixed derivatives are left out: in front of a second hidden layer, and of softmax."""
    h, expected = curvature(model, loss, (X, target))[model.layers[0].weight], brute(model, loss, (X, target))[0]
    gap = np.linalg.norm(h - expected) / np.linalg.norm(expected)
    assert 0.05 < gap < 0.7
    assert np.corrcoef(h.ravel(), expected.ravel())[0, 1] > 0.8


def block():
    return Sequential([nn.Conv2d(2, 2, 1, rng=0), Tanh()])


IMAGES, ROWS = (2, 2, 5, 5), (3, 4)
LAYERS = [
    (Linear(4, 3, rng=0), ROWS), (Linear(4, 3, rng=0, bias=False), ROWS), (Tanh(), ROWS), (Sigmoid(), ROWS),
    (nn.ReLU(), ROWS), (nn.Gate(4), ROWS), (nn.Gate(2), IMAGES), (nn.BatchNorm(4), ROWS), (nn.BatchNorm(2), IMAGES),
    (nn.Dropout(0.5, rng=0), ROWS), (nn.Flatten(), IMAGES), (nn.MaxPool2d(2), IMAGES), (nn.MaxPool2d(3, 1), IMAGES),
    (nn.AvgPool2d((2, 1)), IMAGES), (nn.AvgPool2d(3, 2), IMAGES), (nn.GlobalAvgPool(), IMAGES),
    (nn.Conv2d(2, 3, 3, rng=0), IMAGES), (nn.Conv2d(2, 3, 3, rng=0, padding=1), IMAGES),
    (nn.Conv2d(2, 3, (3, 2), rng=0, stride=2, padding=(1, 0), bias=False), IMAGES),
    (nn.Conv2d(2, 4, 3, rng=0, groups=2), IMAGES), (nn.Conv2d(2, 2, 3, rng=0, groups="channels"), IMAGES),
    (Sequential([]), ROWS), (block(), IMAGES), (Sequential([block(), nn.Flatten()]), IMAGES),
    (nn.Concat([block(), nn.MaxPool2d(1), nn.Conv2d(2, 3, 3, rng=1, padding=1)]), IMAGES),
    (nn.Switch([Tanh(), Sigmoid()], nn.Selector(1)), ROWS),
]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=[repr(layer)[:30] for layer, _ in LAYERS])
def test_every_rule(layer, shape):
    """With E = Σ dy ∘ y + h_y ∘ (y - y₀)² / 2, whose derivatives at y₀ are dy and h_y, one layer is exact."""
    rng = np.random.default_rng(5)
    x, layer = rng.normal(size=shape), copy.deepcopy(layer)
    for node in [node for _, node in layer.walk()]:
        if isinstance(node, nn.BatchNorm):
            node.mean, node.variance = rng.normal(size=node.mean.shape), rng.uniform(0.5, 2, node.mean.shape)
        if isinstance(node, nn.Parameter):
            node.data = rng.normal(size=node.data.shape)
    layer.train(False)
    y0 = layer.forward(x).copy()
    dy, hy, found = rng.normal(size=y0.shape), rng.normal(size=y0.shape), {}

    def energy():
        y = layer.forward(x)
        return float((dy * y + hy * (y - y0) ** 2 / 2).sum())

    hx, dx = back(layer, [hy, dy], found)
    np.testing.assert_allclose(dx, layer.backward(dy), atol=1e-12)
    np.testing.assert_allclose(back(layer, [hy], {})[0], back(layer, [hy, 0 * dy], {})[0], atol=1e-12)
    np.testing.assert_allclose(hx, second_differences(energy, x), atol=1e-5)
    assert list(found) == [] or set(found) == set(layer.parameters())
    for parameter, h in found.items():
        np.testing.assert_allclose(h, second_differences(energy, parameter.data), atol=1e-5)


@pytest.mark.parametrize("shortcut", [None, Linear(4, 4, rng=1)])
def test_a_residual_leaves_out_what_its_ways_have_in_common(shortcut):
    """J = A + B gives (A ∘ A + B ∘ B + 2 A ∘ B)ᵀ h_y; the last term is missing."""
    body, hy = Linear(4, 4, rng=0), np.random.default_rng(0).normal(size=(3, 4))
    layer = nn.Residual(body, shortcut)
    layer.train(False)
    layer.forward(np.ones((3, 4)))
    A, B = body.weight.data, np.eye(4) if shortcut is None else shortcut.weight.data
    hx, dx = back(layer, [hy, hy], {})
    np.testing.assert_allclose(hx, hy @ (A * A + B * B))
    np.testing.assert_allclose(dx, hy @ (A + B))


def test_the_gauss_newton_form():
    model, flat = mlp(Tanh, out=(Tanh(),)), mlp(nn.ReLU)
    whole = curvature(model, mean_squared_error, (X, 3 * T))
    part = curvature(model, mean_squared_error, (X, 3 * T), second_derivative=False)
    assert min(h.min() for h in part.values()) >= 0 > min(h.min() for h in whole.values())
    for h, same in zip(curvature(flat, cross_entropy, (X, LABELS)).values(),
                       curvature(flat, cross_entropy, (X, LABELS), second_derivative=False).values(), strict=True):
        np.testing.assert_array_equal(h, same)


def test_batches_only_change_the_rounding():
    model = Sequential([Linear(4, 6, rng=0), nn.BatchNorm(6), nn.Dropout(0.5, rng=0), Tanh(), Linear(6, 3, rng=1)])
    whole, parts = (curvature(model, cross_entropy, (X, LABELS), batch=batch) for batch in (12, 5))
    for parameter, h in whole.items():
        np.testing.assert_allclose(h, parts[parameter], atol=1e-14)


def test_the_model_is_left_as_it_was():
    model = Sequential([nn.Conv2d(1, 2, 2, rng=0), nn.BatchNorm(2), nn.Flatten(), Linear(2, 3, rng=0)])
    x = X.reshape(-1, 1, 2, 2)
    model.learn(cross_entropy(model.forward(x), LABELS)[1])
    gradients, state = [p.grad.copy() for p in model.parameters()], copy.deepcopy(model.state())
    curvature(model, cross_entropy, (x, LABELS))
    assert all(np.array_equal(p.grad, g) and not p.fresh for p, g in zip(model.parameters(), gradients, strict=True))
    assert all(np.array_equal(state[key], value) for key, value in model.state().items()) and model.training


def test_masked_weights_count_as_the_weights_that_they_are():
    model = mlp(Tanh)
    mask = np.random.default_rng(0).random(model.layers[0].weight.shape) < 0.5
    model.layers[0].weight.become(model.layers[0].weight.data, [Masked(mask)])
    masked = list(curvature(model, mean_squared_error, (X, T)).values())
    model.layers[0].weight.bake()
    for h, baked in zip(masked, curvature(model, mean_squared_error, (X, T)).values(), strict=True):
        np.testing.assert_array_equal(h, baked)


def test_tied_parameters_add_and_unused_ones_are_flat():
    first, second = Linear(4, 4, rng=0), Linear(4, 4, rng=1)
    second.weight = first.weight
    model = Sequential([first, Tanh(), second, nn.Switch([Sequential([]), Linear(4, 4, rng=2)], nn.Selector(0))])
    apart = copy.deepcopy(model)
    apart.layers[2].weight = nn.Parameter(first.weight.data)
    target = np.zeros((12, 4))
    tied, single = (curvature(m, mean_squared_error, (X, target)) for m in (model, apart))
    np.testing.assert_allclose(tied[first.weight], single[apart.layers[0].weight] + single[apart.layers[2].weight])
    assert not tied[model.layers[3].layers[1].weight].any()


def test_single_precision_stays():
    model = Sequential([Linear(4, 3, rng=0, dtype=np.float32), Tanh(), nn.Gate(3, np.float32)])
    for loss in LOSSES:
        target = T.astype(np.float32) if loss is mean_squared_error else LABELS
        found = curvature(model, loss, (X.astype(np.float32), target))
        assert {h.dtype for h in found.values()} == {np.dtype(np.float32)}


def test_what_has_no_rule_is_named():
    with pytest.raises(RangeError, match=r"Sign\(\).*back\.register"):
        curvature(Sequential([Linear(4, 3, rng=0), nn.Sign()]), mean_squared_error, (X, T))
    with pytest.raises(RangeError, match=r"'penalty'.*mean_squared_error, cross_entropy"):
        curvature(mlp(Tanh), penalty, (X, T))
    with pytest.raises(MiniCompressError):
        curvature(nn.MultiExit([Linear(4, 3, rng=0)], [Sequential([])]), mean_squared_error, (X, T))


def penalty(y, target):
    return 0.0, y
