"""Folded batch norm: the same outputs from fewer layers, or an error that says which layer stands wrong."""

import copy

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import StateError
from minicompress.nn import BatchNorm, Conv2d, Flatten, Linear, ReLU, Sequential, predict
from minicompress.pruning.masks import Masked
from minicompress.quantization.folding import fold_batch_norm

RNG = np.random.default_rng(0)


def used(model: nn.Layer) -> nn.Layer:
    """With statistics, scales, shifts and biases that are not 0 and 1."""
    for _, node in model.walk():
        if isinstance(node, BatchNorm):
            C = len(node.mean)
            node.mean, node.variance = RNG.normal(size=C), RNG.uniform(0.01, 4, C)
            node.eps = 0.1  # large enough to be missed
            node.scale.become(RNG.normal(size=C))
            node.shift.become(RNG.normal(size=C))
        elif isinstance(node, (Linear, Conv2d)) and node.bias is not None:
            node.bias.become(RNG.normal(size=node.bias.shape))
    return model


def cnn() -> nn.Layer:
    inner = Sequential([Conv2d(4, 4, 3, rng=1, padding=1, groups="channels"), BatchNorm(4), ReLU()])
    return used(Sequential([Conv2d(2, 4, 3, rng=0, padding=1, bias=False), BatchNorm(4), ReLU(), nn.Residual(inner),
                            Conv2d(4, 6, 3, rng=2, groups=2, stride=2), BatchNorm(6), Flatten(), Linear(54, 5, rng=3),
                            BatchNorm(5)]))


def test_outputs_are_equal_and_no_batch_norm_is_left() -> None:
    model, x = cnn(), RNG.normal(size=(7, 2, 8, 8))
    folded, before = fold_batch_norm(model), copy.deepcopy(model.state())
    np.testing.assert_allclose(predict(folded, x), predict(model, x), rtol=1e-10, atol=1e-10)
    assert not [node for _, node in folded.walk() if isinstance(node, BatchNorm)]
    assert [type(layer) for layer in folded.layers] == [Conv2d, ReLU, nn.Residual, Conv2d, Flatten, Linear]
    for path, value in before.items():  # the model itself is not touched
        assert np.array_equal(model.state()[path], value)


def test_single_precision_stays_single() -> None:
    model = Sequential([Linear(3, 4, rng=0, dtype=np.float32), BatchNorm(4, dtype=np.float32)])
    folded = fold_batch_norm(model)
    assert {p.data.dtype for p in folded.parameters()} == {np.dtype(np.float32)}
    assert len(folded.parameters()) == 2


def test_a_masked_weight_is_baked_and_keeps_its_zeros() -> None:
    model = used(Sequential([Linear(3, 4, rng=0), BatchNorm(4)]))
    mask = np.arange(12).reshape(4, 3) % 3 > 0
    model.layers[0].weight.become(model.layers[0].weight.data, [Masked(mask)])
    folded, x = fold_batch_norm(model), RNG.normal(size=(5, 3))
    np.testing.assert_allclose(predict(folded, x), predict(model, x), rtol=1e-12)
    assert np.array_equal(folded.layers[0].weight.data != 0, mask)
    assert folded.layers[0].weight.parametrizations == []


def shared_layer() -> nn.Layer:
    layer = Linear(4, 4, rng=0)
    return Sequential([layer, BatchNorm(4), layer, BatchNorm(4)])


def shared_weight() -> nn.Layer:
    layers = [Linear(4, 4, rng=n) for n in (0, 1)]
    layers[1].weight = layers[0].weight
    return Sequential([layers[0], BatchNorm(4), layers[1]])


def shared_norm() -> nn.Layer:
    norm = BatchNorm(4)
    return Sequential([Linear(4, 4, rng=0), norm, Linear(4, 4, rng=1), norm])


@pytest.mark.parametrize(("build", "message"), [
    (lambda: Sequential([BatchNorm(4), Linear(4, 4, rng=0)]), "layers.0 is a batch norm that does not follow"),
    (lambda: Sequential([Linear(4, 4, rng=0), ReLU(), BatchNorm(4)]), "layers.2 is a batch norm"),
    (lambda: Sequential([Linear(4, 4, rng=0), Sequential([BatchNorm(4)])]), "layers.1.layers.0 is a batch norm"),
    (shared_layer, "layers.0, layers.2 are one"),
    (shared_weight, "layers.0.weight, layers.2.weight are one"),
    (shared_norm, "layers.1, layers.3 are one"),
])
def test_what_cannot_be_folded_is_named(build, message: str) -> None:
    with pytest.raises(StateError, match=message):
        fold_batch_norm(build())
