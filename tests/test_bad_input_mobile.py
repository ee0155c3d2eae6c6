"""Bad input to architecture and dynamic computation: each row of the table gets the error that says what to do."""

import functools

import numpy as np
import pytest

from minicompress import nn
from minicompress.architecture import blocks, low_rank, mobile, zoo
from minicompress.architecture.moments import input_moments
from minicompress.distillation.losses import soft
from minicompress.dynamic import exits, routing, skipping, slicing, slimmable, thresholds
from minicompress.errors import DTypeError, RangeError, ShapeError, StorageError
from minicompress.storage.file import to_bytes

X = np.random.default_rng(0).random((6, 1, 8, 8))
ROWS = X.reshape(6, 64)


def mlp():
    return nn.Sequential([nn.Linear(64, 8, rng=0), nn.ReLU(), nn.Linear(8, 4, rng=1)])


def two_exits():
    stages = [nn.Linear(64, 8, rng=0), nn.Linear(8, 8, rng=1)]
    return nn.MultiExit(stages, [nn.Linear(8, 4, rng=2), nn.Linear(8, 4, rng=3)])


def train_once(loss):
    return loss((np.zeros((2, 3)), np.ones((2, 3))), np.array([0, 1]))


LAYER = nn.Linear(64, 8, rng=0)
OUTPUTS = [np.zeros((3, 4)), np.ones((3, 4))]
REFUSED = {
    "row21 conv of a Linear": (RangeError, "conv", lambda: low_rank.low_rank(LAYER, 3, conv="bogus")),
    "row40 all moments for one layer": (
        DTypeError, r"\[path\]", lambda: low_rank.low_rank(LAYER, 3, input_moments(mlp(), ROWS))),
    "row40 a covariance for moments": (DTypeError, "Moments", lambda: low_rank.low_rank(LAYER, 3, np.eye(64))),
    "row40 one rank for all": (DTypeError, "path → rank", lambda: low_rank.factorize(mlp(), 3)),
    "row40 a bare layer": (DTypeError, "low_rank", lambda: low_rank.factorize(LAYER, {"": 3})),
    "row20 stride 0": (RangeError, "stride", lambda: blocks.fire(8, 8, rng=0, stride=0)),
    "row18 expansion 0": (RangeError, "expansion", lambda: blocks.inverted_residual(8, 8, rng=0, expansion=0)),
    "row18 expansion as text": (DTypeError, "expansion", lambda: blocks.inverted_residual(8, 8, rng=0, expansion="6")),
    "row18 channels below 1": (RangeError, "C is -1", lambda: blocks.kernel_weights(-1, 4, 3)),
    "row18 a size of 4.5": (DTypeError, "O is 4.5", lambda: blocks.kernel_weights(2, 4.5, 3)),
    "row21 a block by its name": (DTypeError, "block", lambda: mobile.network("full", 8, rng=0)),
    "row21 groups as text": (DTypeError, "groups", lambda: zoo.shufflenet("3")),
    "row8 shares of nothing": (ShapeError, "at least one", lambda: zoo.shares([])),
    "row8 no classes": (ShapeError, "class", lambda: routing.entropy(np.zeros((3, 0)))),
    "row8 a budget on no curve": (ShapeError, "candidates", lambda: thresholds.within_budget([], 10)),
    "row8 the cheapest of none": (ShapeError, "candidates", lambda: thresholds.cheapest([], 0.1)),
    "row21 a measure by its name": (
        DTypeError, "measure", lambda: routing.route(two_exits(), ROWS, 0.5, measure="entropy")),
    "row1 a measure of all classes": (
        ShapeError, "one number", lambda: thresholds.uncertainties(OUTPUTS, lambda z: z)),
    "row21 a loss by its name": (DTypeError, "loss", lambda: exits.joint(loss="mse")),
    "row21 a teacher by its name": (DTypeError, "teach", lambda: slimmable.in_place("soft")),
    "row21 gates of a plain network": (DTypeError, "SkipNet", lambda: skipping.skip(mlp(), ROWS)),
    "row21 no gates to open": (DTypeError, "SkipNet", lambda: skipping.all_on(mlp())),
    "row21 errors without gates": (
        DTypeError, "SkipNet", lambda: skipping.gated_error(mlp(), ROWS, np.zeros(6, int))),
    "row18 blocks without gates": (DTypeError, "Skippable", lambda: skipping.SkipNet(mlp(), [mlp()], mlp())),
    "row18 a sandwich of one": (
        RangeError, "two widths", lambda: slimmable.Slimmable(slicing.slim(mlp(), [1]), sandwich=0, rng=0)),
    "row21 a width for its number": (
        DTypeError, "number of a width", lambda: slicing.export(slicing.slim(mlp(), [0.5, 1]), 0.5)),
    "row49 a file of all widths at once": (
        StorageError, "its body", lambda: to_bytes(slimmable.Slimmable(slicing.slim(mlp(), [0.5, 1])))),
}


@pytest.mark.parametrize("row", REFUSED)
def test_refused(row):
    error, text, act = REFUSED[row]
    with pytest.raises(error, match=text):
        act()


def test_a_loss_without_a_name_can_teach():
    total = slimmable.in_place(functools.partial(soft(1.0)))
    assert np.isfinite(train_once(total)[0]) and "partial" in total.__name__
