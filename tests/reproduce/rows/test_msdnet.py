"""MSDNet on MNIST: what a run gives, when it counts, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.msdnet import MNIST, MSDNET, Recipe, compare, protocol

RECIPE = Recipe(160, 2, 4, 4, 2, 6, 0.02, 10)


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    samples = quarters(side=8, dtype=np.float32, noise=0.5, bright=0.3, shape=(1, 8, 8))
    figures = compare(samples, RECIPE, 0)
    assert {claim.figure for claim in MSDNET.claims} == {*figures, "seconds"}
    costs = [figures[f"macs {k}"] for k in range(1, 5)]
    assert costs == sorted(costs) and 0 < figures["no loss, macs"] <= 1
    assert figures["off"] < 0.5 and min(figures["exit 4"], figures["routed 3"]) < 0.1
    assert compare(samples, RECIPE, 0) == figures


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    assert protocol(MNIST._replace(**{field: getattr(MNIST, field) / 2})) != protocol(MNIST)


@pytest.mark.parametrize(("figure", "value", "missed"), [
    (None, 0, 0), ("routed 2", 0.0301, 1), ("routed 3", 0.0201, 1),
    ("off", 0.0301, 2), ("off", [0.02, 0.0301, 0.02], 1)])
def test_the_criteria_are_those_of_the_course(figure, value, missed):
    good = {claim.figure: 0.03 for claim in MSDNET.claims} | {"exit 3": 0.02, "routed 3": 0.02}
    figures = {k: np.full(3, value if k == figure else v, float) for k, v in good.items()}
    words = [line[-1] for claim in MSDNET.claims for line in claim_lines(claim, figures, "")]
    assert words.count("no") == missed and words.count("yes") == 4 - missed
