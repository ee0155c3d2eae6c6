"""The slimmable row: what a run gives, when it counts, and that its protocol says it."""

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.slimmable import MNIST, SLIMMABLE, WIDTHS, Recipe, compare, perceptron, protocol

RECIPE = Recipe(16, 6, 0.02, 10)


def test_the_network():
    model = perceptron(784, 256, 10, np.random.default_rng(0))
    x = np.zeros((1, 784), np.float32)
    assert sum(layer_macs(model, x).values()) == 784 * 256 + 256**2 + 2560


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    figures = compare(quarters(dtype=np.float32, noise=0.5), RECIPE, 0)
    assert {claim.figure for claim in SLIMMABLE.claims} == {*figures, "seconds"}
    learned = [f"{kind}, {name}" for kind in ("own", "switchable", "recalibrated") for name in ("1/2", "1")]
    assert max(figures[name] for name in learned) < 0.1
    assert figures["collapse"] == max(figures[f"shared, {n}"] - figures[f"own, {n}"] for n in WIDTHS.values())
    assert figures["bytes, shared"] < figures["bytes, switchable"] < figures["bytes, own"]


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    assert protocol(MNIST._replace(**{field: getattr(MNIST, field) * 2})) != protocol(MNIST)


GOOD = {claim.figure: 0.02 for claim in SLIMMABLE.claims} | {"collapse": 0.05}


@pytest.mark.parametrize(("figure", "value"), [(None, 0), ("switchable, 1/4", 0.02701), ("switchable, 1", 0.02701),
                                               ("collapse", 0.0499)])
def test_the_criteria_are_those_of_the_course(figure, value):
    figures = {k: np.full(3, float(value if k == figure else v)) for k, v in GOOD.items()}
    lines = [line for claim in SLIMMABLE.claims for line in claim_lines(claim, figures, "")]
    assert [line[-1] for line in lines].count("no") == (figure is not None)
