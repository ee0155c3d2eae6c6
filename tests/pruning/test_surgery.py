"""Surgery: the shrunk network computes what the large one computes with the same units closed, and refuses cleanly."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.errors import DTypeError, MiniCompressError, RangeError, ShapeError, StateError
from minicompress.pruning.masks import Masked
from minicompress.pruning.surgery import removable, remove_inputs, remove_units
from minicompress.storage import from_bytes, to_bytes

IMAGES = (5, 3, 9, 8)


def maker(kind, n_in, n_out, rng):
    if kind == "linear":
        return nn.Linear(n_in, n_out, rng=rng, bias=rng.random() < 0.7)
    return nn.Conv2d(n_in, n_out, (3, 2), rng=rng, padding=1, bias=rng.random() < 0.7)


def block(kind, n_in, n_out, rng):
    """A maker, what passes its channels on, and a gate where the next layer reads them."""
    parts = [maker(kind, n_in, n_out, rng)]
    if rng.random() < 0.5:
        parts.append(nn.BatchNorm(n_out))
    parts.append([nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Dropout(0.5, rng=0)][rng.integers(4)])
    if kind == "conv" and rng.random() < 0.3:
        parts.append(nn.Conv2d(n_out, n_out, 3, rng=rng, padding=1, groups="channels"))
    return [*parts, nn.Gate(n_out)]


def inside(kind, width, rng):
    """A layer with a cut of its own inside: residual, side by side, switched, or just in a chain."""
    hidden = int(rng.integers(2, 6))
    body = nn.Sequential([*block(kind, width, hidden, rng), maker(kind, hidden, width, rng)])
    body.layers[-1].padding = (1, 0) if kind == "conv" else None
    body.layers[0].padding = (1, 1) if kind == "conv" else None
    shortcut = nn.Sequential([maker(kind, width, width, rng)]) if kind == "linear" and rng.random() < 0.5 else None
    choice = rng.integers(4)
    if choice == 0:
        return nn.Residual(body, shortcut), width
    if choice == 1:
        return nn.Concat([nn.Sequential(block(kind, width, n, rng)) for n in (2, 3)]), 5
    if choice == 2:
        return nn.Switch([body, copy.deepcopy(body)], nn.Selector(0)), width
    return nn.Sequential(block(kind, width, hidden, rng)), hidden


def architecture(rng):
    """A random network on images: convolutions, a bridge, linear layers, with a gate wherever units may be closed."""
    layers, width = [], 3
    for kind in ("conv", "linear"):
        for _ in range(rng.integers(1, 3)):
            n = int(rng.integers(2, 7))
            layers, width = layers + block(kind, width, n, rng), n
            if rng.random() < 0.6:
                part, width = inside(kind, width, rng)
                layers.append(part)
        if kind == "conv":
            layers.append([nn.MaxPool2d(2), nn.AvgPool2d(3, 2)][rng.integers(2)])
            layers.append([nn.Flatten(), nn.GlobalAvgPool()][rng.integers(2)])
            shape = nn.predict(nn.Sequential(layers), np.zeros(IMAGES)).shape
            width = shape[1]
    model = nn.Sequential([*layers, nn.Linear(width, 4, rng=rng)])
    for _, node in model.walk():
        if isinstance(node, nn.BatchNorm):
            node.mean[...], node.variance[...] = rng.normal(size=node.mean.shape), rng.random(node.mean.shape) + 0.5
        if isinstance(node, nn.Parameter):
            node.data += 0.3 * rng.normal(size=node.data.shape)
    return model


def gate_behind(model, path):
    """The gate in the same chain as the layer at a path, before the next layer that makes channels."""
    *way, _, place = path.split(".")
    layers = dict(model.walk())[".".join(way)].layers
    return next(layer for layer in layers[int(place) + 1 :] if isinstance(layer, nn.Gate))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_shrunk_network_computes_what_the_gated_one_does(seed):
    rng = np.random.default_rng(seed)
    model = architecture(rng)
    model.train(False)
    x = rng.normal(size=IMAGES)
    paths = removable(model)
    assert f"layers.{len(model.layers) - 1}" not in paths
    for path in rng.permutation(paths)[:3]:
        reference, before = copy.deepcopy(model), {p: n.shape for p, n in model.walk() if isinstance(n, nn.Parameter)}
        kept = rng.random(dict(model.walk())[path].weight.shape[0]) < 0.6
        kept[rng.integers(len(kept))] = True
        gate_behind(reference, path).gate.data[~kept] = 0
        remove_units(model, str(path), kept)
        expected = nn.predict(reference, x)
        np.testing.assert_allclose(nn.predict(model, x), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
        assert dict(model.walk())[path].weight.shape == (kept.sum(), *before[f"{path}.weight"][1:])
        assert gate_behind(model, path).gate.shape == (kept.sum(),)
    again = from_bytes(to_bytes(model))  # an ordinary network: it is stored and trained like any other
    assert np.array_equal(nn.predict(again, x), nn.predict(model, x))
    optimizer = nn.SGD(model.parameters(), 0.01)
    model.train(False)
    model.backward(model.forward(x))
    optimizer.step()


def mlp(seed=0, **options):
    rng = np.random.default_rng(seed)
    return nn.Sequential([nn.Linear(6, 8, rng=rng, **options), nn.ReLU(), nn.Linear(8, 5, rng=rng), nn.ReLU(),
                          nn.Linear(5, 3, rng=rng)])


KEPT = np.arange(8) % 3 > 0


def test_where_zero_stays_zero_weights_and_biases_of_zero_close_a_unit():
    model, x = mlp(), np.random.default_rng(1).normal(size=(7, 6))
    model.layers[0].bias.data += 0.5
    masked = copy.deepcopy(model)
    masked.layers[0].weight.data[~KEPT] = 0
    only_weights = nn.predict(masked, x)
    masked.layers[0].bias.data[~KEPT] = 0
    remove_units(model, model.layers[0], KEPT)
    np.testing.assert_allclose(nn.predict(model, x), nn.predict(masked, x), rtol=1e-12)
    assert np.abs(nn.predict(model, x) - only_weights).max() > 0.01  # a unit without weights still gives its bias
    assert repr(model.layers[0]) == "Linear(6 → 5)" and repr(model.layers[2]) == "Linear(5 → 5)"


def test_inputs_that_nobody_reads_can_go():
    model, x = mlp(), np.random.default_rng(1).normal(size=(7, 6))
    kept = np.array([True, False, True, True, False, True])
    model.layers[0].weight.data[:, ~kept] = 0
    expected = nn.predict(model, x)
    remove_inputs(model, kept)
    np.testing.assert_allclose(nn.predict(model, x[:, kept]), expected, rtol=1e-12)
    with pytest.raises(ShapeError, match="outputs"):
        remove_inputs(nn.Sequential([nn.ReLU()]), kept)


def test_masks_are_baked_and_optimizers_become_stale():
    model = mlp()
    model.layers[2].weight.become(model.layers[2].weight.data, [Masked(np.arange(40).reshape(5, 8) % 2 == 0)])
    weight, optimizer = model.layers[2].weight.forward(), nn.SGD(model.parameters(), 0.1)
    remove_units(model, "layers.0", KEPT)
    assert model.layers[2].weight.parametrizations == []
    assert np.array_equal(model.layers[2].weight.data, weight[:, KEPT])
    model.backward(model.forward(np.ones((2, 6))))
    with pytest.raises(StateError, match="new optimizer"):
        optimizer.step()


def test_keeping_all_changes_nothing():
    model = mlp()
    optimizer, bits = nn.SGD(model.parameters(), 0.1), to_bytes(model)
    remove_units(model, "layers.0", np.ones(8, bool))
    assert to_bytes(model) == bits
    model.backward(model.forward(np.ones((2, 6))))
    optimizer.step()


def tied():
    model = nn.Sequential([nn.Linear(6, 6, rng=0), nn.ReLU(), nn.Linear(6, 6, rng=1), nn.Linear(6, 2, rng=2)])
    model.layers[2].weight = model.layers[0].weight
    return model


def stream(shortcut=None):
    body = nn.Sequential([nn.Linear(8, 4, rng=1), nn.ReLU(), nn.Linear(4, 8, rng=2)])
    return nn.Sequential([nn.Linear(6, 8, rng=0), nn.Residual(body, shortcut), nn.Linear(8, 3, rng=3)])


class Unknown(nn.Layer):
    pass


@pytest.mark.parametrize(("model", "layer", "kept", "error", "match"), [
    (mlp(), "layers.0", KEPT[:7], ShapeError, r"\(7,\) for Linear\(6 → 8\); allowed: \(8,\)"),
    (mlp(), "layers.0", KEPT.astype(int), DTypeError, "bool"),
    (mlp(), "layers.0", np.zeros(8, bool), RangeError, "last unit"),
    (mlp(), "layers.4", KEPT[:3], ShapeError, "outputs of the network"),
    (mlp(), "layers.1", KEPT, ShapeError, "passes channels on"),
    (mlp(), "layer.0", KEPT, RangeError, "Did you mean 'layers.0'"),
    (mlp(), nn.Linear(6, 8, rng=0), KEPT, RangeError, "allowed"),
    (tied(), "layers.0", KEPT[:6], StateError, "several places"),
    (stream(), "layers.0", KEPT, ShapeError, "ties"),
    (stream(), "layers.1.body.layers.2", KEPT, ShapeError, "ties"),
    (stream(), "layers.1", KEPT, ShapeError, "ties"),
    (nn.Sequential([nn.Linear(6, 8, rng=0), Unknown(), nn.Linear(8, 3, rng=0)]), "layers.0", KEPT, DTypeError, "rule"),
    (nn.MultiExit([mlp()], [nn.ReLU()]), "stages.0.layers.0", KEPT, DTypeError, "rule"),
    (nn.Sequential([nn.Linear(6, 8, rng=0), nn.Linear(9, 3, rng=0)]), "layers.0", KEPT, ShapeError, "expected|allowed"),
    (nn.Sequential([nn.Concat([nn.Linear(6, 8, rng=0), nn.ReLU()]), nn.Linear(14, 3, rng=0)]), "layers.0.branches.0",
     KEPT, ShapeError, "width"),
])
def test_errors_come_before_any_change(model, layer, kept, error, match):
    if Unknown not in map(type, getattr(model, "layers", [])):
        before = to_bytes(model)
    with pytest.raises(error, match=match) as caught:
        remove_units(model, layer, kept)
    assert isinstance(caught.value, MiniCompressError)
    if Unknown not in map(type, getattr(model, "layers", [])):
        assert to_bytes(model) == before


def test_a_residual_with_a_layer_as_shortcut_is_cut_as_a_whole():
    model, x = stream(nn.Linear(8, 8, rng=5)), np.random.default_rng(0).normal(size=(4, 6))
    reference = copy.deepcopy(model)
    reference.layers[2].weight.data[:, ~KEPT] = 0
    remove_units(model, "layers.1", KEPT)
    np.testing.assert_allclose(nn.predict(model, x), nn.predict(reference, x), rtol=1e-12)
    assert removable(model) == ["layers.0", "layers.1.body.layers.0"]
