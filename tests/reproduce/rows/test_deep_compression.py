"""LeNet-300-100 and LeNet-5: what a run gives, and that its protocol says what it does."""

import re

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.deep_compression import (
    CONVOLUTIONAL,
    LENET_5,
    LENET_300_100,
    compress,
    lenet_5,
    protocol,
)
from minicompress.tour import Recipe

RECIPE = Recipe(20, (20, 5e-3), (0.6, 0.35), (5, 5e-3), 1e-5, 3, (2, 1e-3))


def network(rng):
    return Sequential([Conv2d(1, 4, 3, rng=rng, dtype=np.float32), MaxPool2d(2), Flatten(),
                       Linear(64, 20, rng=rng, dtype=np.float32), ReLU(), Linear(20, 4, rng=rng, dtype=np.float32)])


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    def run(seed):
        rng = np.random.default_rng(seed)
        return compress(network(rng), data, RECIPE, rng)

    data = quarters(10, dtype=np.float32, noise=0.5, shape=(1, 10, 10))
    figures = run(0)
    for row in (LENET_300_100, LENET_5):
        assert {claim.figure for claim in row.claims} == {*figures, "seconds"}
    weights = 4 * 9 + 4 + 64 * 20 + 20 + 20 * 4 + 4
    assert figures["fewer"] == weights / figures["weights"]
    assert figures["weights"] <= np.ceil(0.35 * (4 * 9 + 64 * 20 + 20 * 4)) + 28
    assert figures["ratio"] > 4 and figures["bytes"] < 4 * weights / 4 and figures["reloaded"] == 1
    assert figures["dense"] < 0.1 and figures["compressed"] < 0.2
    assert run(0) == figures and run(1) != figures


def test_lenet_5_is_caffes():
    model = lenet_5(np.random.default_rng(0))
    assert sum(p.data.size for p in model.parameters()) == 431_080
    macs = layer_macs(model, np.zeros((1, 1, 28, 28), np.float32))
    assert sum(macs.values()) == 24**2 * 20 * 25 + 8**2 * 50 * 20 * 25 + 800 * 500 + 500 * 10


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    value = getattr(CONVOLUTIONAL, field)
    if isinstance(value, tuple):
        for i in range(len(value)):
            other = CONVOLUTIONAL._replace(**{field: tuple(v / 2 if i == j else v for j, v in enumerate(value))})
            assert protocol(other, "x") != protocol(CONVOLUTIONAL, "x")
    else:
        assert protocol(CONVOLUTIONAL._replace(**{field: 2 * value}), "x") != protocol(CONVOLUTIONAL, "x")


GOOD = {"dense": 0.0160, "half": 0.0180, "pruned": 0.0175, "weights": 22_200, "fewer": 12.0, "compressed": 0.0175,
        "bytes": 26_000, "ratio": 40.0, "reloaded": 1.0, "seconds": 480}
BAD = {"half": 0.01801, "pruned": 0.01751, "weights": 22_201, "compressed": 0.01751, "ratio": 39.9, "reloaded": 0.0,
       "seconds": 481}


def failing(row, figures):
    lines = [line for claim in row.claims
             for line in claim_lines(claim, {k: np.full(3, float(v)) for k, v in figures.items()}, "")]
    return [line[-2] for line in lines if line[-1] == "no"]


def test_the_criteria_are_those_of_the_course():
    assert not failing(LENET_300_100, GOOD)
    for figure, value in BAD.items():
        assert failing(LENET_300_100, {**GOOD, figure: value}), figure
    assert "≤ 1.80 %" in failing(LENET_300_100, {**GOOD, "dense": 0.02, "compressed": 0.0181})
    small = {**GOOD, "dense": 0.009, "half": 0.009, "pruned": 0.01, "compressed": 0.01, "ratio": 39.0, "seconds": 1500}
    assert not failing(LENET_5, small)
    bad = {"pruned": 0.0101, "compressed": 0.0101, "fewer": 11.9, "ratio": 38.9, "seconds": 1501}
    for figure, value in bad.items():
        assert failing(LENET_5, {**small, figure: value}), figure


def test_names_are_those_of_files():
    assert all(re.fullmatch(r"[a-z0-9-]+", row.name) for row in (LENET_300_100, LENET_5))
