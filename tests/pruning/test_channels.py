"""Cuts of single layers: which rows, columns and statistics stay, and where the cut goes on."""

import itertools

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import DTypeError, RangeError, ShapeError
from minicompress.pruning.channels import keep_inputs, keep_outputs, width

RNG = np.random.default_rng(0)


def test_a_linear_layer_loses_rows_or_columns():
    layer = nn.Linear(6, 4, rng=0)
    layer.bias.data[...] = np.arange(4)
    W = layer.weight.data.copy()
    assert keep_outputs(layer, np.array([True, False, True, True])) is None
    assert np.array_equal(layer.weight.data, W[[0, 2, 3]]) and layer.bias.data.tolist() == [0, 2, 3]
    assert keep_inputs(layer, np.array([True, False, True])) is None  # three channels of two flattened pixels each
    assert np.array_equal(layer.weight.data, W[[0, 2, 3]][:, [0, 1, 4, 5]])
    assert layer.bias.data.tolist() == [0, 2, 3] and width(layer) == 3


@pytest.mark.parametrize(("groups", "side"), itertools.product([1, 2, 3], ["in", "out"]))
def test_a_grouped_convolution_is_cut_within_its_groups(groups, side):
    """Equal to the large layer with zeros in (or without) the removed channels, for the same number in each group."""
    layer, x = nn.Conv2d(6, 12, 3, rng=0, groups=groups), RNG.normal(size=(2, 6, 5, 5))
    per_group = (6 if side == "in" else 12) // groups
    kept = np.concatenate([RNG.permutation(np.arange(per_group) < 1) for _ in range(groups)])
    if side == "in":
        expected = layer.forward(x * kept[:, None, None])
        assert keep_inputs(layer, kept) is None
        x = x[:, kept]
    else:
        expected = layer.forward(x)[:, kept]
        assert keep_outputs(layer, kept) is None
    layer.validate()
    layer.train()
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-13)


def test_groups_must_stay_equal():
    layer = nn.Conv2d(6, 6, 3, rng=0, groups=2)
    uneven = np.array([True, True, False, True, False, False])
    for keep in (keep_inputs, keep_outputs):
        with pytest.raises(ShapeError, match=r"\[2, 1\].*as many in each"):
            keep(layer, uneven)


@pytest.mark.parametrize("keep", [keep_inputs, keep_outputs])
def test_what_treats_channels_alone_passes_the_cut_on(keep):
    kept = np.array([True, False, True])
    depthwise, x = nn.Conv2d(3, 3, 3, rng=0, groups="channels"), RNG.normal(size=(2, 3, 5, 5))
    expected = depthwise.forward(x)[:, kept]
    assert keep(depthwise, kept).tolist() == kept.tolist()
    depthwise.train()
    assert np.array_equal(depthwise.forward(x[:, kept]), expected)
    norm, gate = nn.BatchNorm(3), nn.Gate(3)
    arrays = norm.scale.data, norm.shift.data, norm.mean, norm.variance, gate.gate.data
    for i, array in enumerate(arrays):
        array[...] = 10 * i + np.arange(3)
    for layer in (norm, gate, nn.ReLU(), nn.Dropout(0.5, rng=0), nn.MaxPool2d(), nn.GlobalAvgPool()):
        assert keep(layer, kept).tolist() == kept.tolist()
    cut = norm.scale.data, norm.shift.data, norm.mean, norm.variance, gate.gate.data
    assert [a.tolist() for a in cut] == [[10 * i, 10 * i + 2] for i in range(5)]
    norm.validate()
    assert width(norm) == width(gate) == 2 and width(nn.ReLU()) is None


def test_batch_norm_behind_flatten_has_a_block_for_each_channel():
    norm = nn.BatchNorm(6)
    norm.mean[...] = np.arange(6)
    assert keep_inputs(norm, np.array([False, True, True])).tolist() == [False, False, True, True, True, True]
    assert norm.mean.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize(("kept", "error"), [
    (np.array([1, 0, 1, 0]), DTypeError), (np.zeros(4, bool), RangeError), (np.ones(3, bool), ShapeError),
    (np.ones((2, 2), bool), ShapeError), (np.ones(5, bool), ShapeError)])
def test_bad_masks(kept, error):
    for layer in (nn.Linear(4, 4, rng=0), nn.Conv2d(4, 4, 3, rng=0)):
        for keep in (keep_outputs, keep_inputs):
            if isinstance(layer, nn.Linear) and keep is keep_inputs and kept.shape == (2, 2):
                continue  # flattened to four features it would fit; surgery never makes one
            with pytest.raises(error):
                keep(layer, kept)
            assert layer.weight.shape[:2] == (4, 4)


def test_a_layer_without_a_rule():
    class Odd(nn.Layer):
        pass

    for keep in (keep_inputs, keep_outputs):
        with pytest.raises(DTypeError, match="register"):
            keep(Odd(), np.ones(2, bool))
    with pytest.raises(DTypeError, match="register"):
        keep_outputs(nn.Flatten(), np.ones(2, bool))
