"""Skipped blocks on MNIST: the network, what a run gives, when it counts, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.dynamic.skipping import all_on, skip
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.skipnet import MNIST, SKIPNET, Recipe, compare, protocol, skipnet

RECIPE = Recipe(160, 4, 3, (6, 6), (0.02, 0.02), 0.5, 10)


def test_the_network_and_what_it_costs():
    model = skipnet(MNIST, 28, 10, np.random.default_rng(0))
    x = np.random.default_rng(1).random((3, 1, 28, 28), np.float32)
    C, B = MNIST.channels, MNIST.blocks
    costs, done = layer_macs(all_on(model), x[:1]), skip(model, x)
    assert sum(costs.values()) == 9 * C * 14**2 + B * 9 * C * C * 7**2 + 10 * C * 7**2
    assert done.in_blocks == 3 * B * 9 * C * C * 7**2 and done.macs == 3 * (sum(costs.values()) + B * C)


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    samples = quarters(side=8, dtype=np.float32, noise=0.5, shape=(1, 8, 8))
    figures = compare(samples, RECIPE, 0)
    assert {claim.figure for claim in SKIPNET.claims} == {*figures, "seconds"}
    assert figures["all on"] < 0.1 and 0 < figures["skipped"] <= 1 and 0 < figures["macs"] < 1
    assert figures["shuffling"] == pytest.approx(figures["shuffled"] - figures["error"])
    assert compare(samples, RECIPE, 0) == figures


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    value = getattr(MNIST, field)
    half = tuple(part / 2 for part in value) if isinstance(value, tuple) else value / 2
    assert protocol(MNIST._replace(**{field: half})) != protocol(MNIST)


@pytest.mark.parametrize(("figure", "value"), [(None, 0), ("error", 0.0251), ("skipped", 0.299)])
def test_the_criteria_are_those_of_the_course(figure, value):
    good = {claim.figure: 0.02 for claim in SKIPNET.claims} | {"error": 0.025, "skipped": 0.3}
    figures = {k: np.full(3, float(value if k == figure else v)) for k, v in good.items()}
    words = [line[-1] for claim in SKIPNET.claims for line in claim_lines(claim, figures, "")]
    assert words.count("no") == (figure is not None) and words.count("yes") == 2 - (figure is not None)
