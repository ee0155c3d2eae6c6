"""Low rank on MNIST: what a run gives, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.low_rank import LOW_RANK, MNIST, Recipe, compare, protocol, tail_difference, thin
from minicompress.tour import lenet_300_100

RECIPE = Recipe(3, 10, 1e-4, (6, 0.02), (3, 0.02))


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    figures = compare(quarters(10, dtype=np.float32, noise=0.5), RECIPE, 0)
    assert {claim.figure for claim in LOW_RANK.claims} == {*figures, "seconds"}
    assert figures["macs, dense"] - figures["macs"] == 100 * 300 - 3 * 400 and figures["exact"] == 1
    assert figures["weighted"] <= figures["plain"] and figures["weighted, kept"] > figures["plain, kept"] > 0
    assert figures["dense"] < 0.1 and figures["scratch"] < 0.1 and figures["plain, tuned"] < 0.1


def test_the_truncation_error_is_that_of_the_best_product():
    W = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    assert tail_difference(W, 5) < 1e-12


def test_the_network_from_scratch_has_the_same_shape_and_no_weights_in_common():
    rng = np.random.default_rng(0)
    dense = lenet_300_100(20, 4, rng, np.float32)
    new = thin(dense, 3, rng)
    assert [w.shape for w in new.weights()] == [(3, 20), (300, 3), (100, 300), (4, 100)]
    assert new.layers[0].bias is None and new.layers[2] is not dense.layers[1]
    assert not set(map(id, new.parameters())) & set(map(id, dense.parameters()))


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    value = getattr(MNIST, field)
    parts = value if isinstance(value, tuple) else (value,)
    for i in range(len(parts)):
        other = tuple(v / 2 if i == j else v for j, v in enumerate(parts))
        assert protocol(MNIST._replace(**{field: other if isinstance(value, tuple) else other[0]})) != protocol(MNIST)


GOOD = {"dense": 0.016, "plain": 0.021, "plain, tuned": 0.017, "weighted": 0.021, "weighted, tuned": 0.017,
        "scratch": 0.02, "plain, kept": 0.5, "weighted, kept": 0.98, "difference": 1e-16, "exact": 1.0, "macs": 64_520,
        "macs, dense": 266_200, "seconds": 60}
LIMITS = {"plain": 0.02101, "plain, tuned": 0.01701, "weighted": 0.02101, "weighted, tuned": 0.01701, "exact": 0.0}


@pytest.mark.parametrize(("figure", "value"), [(None, None), *LIMITS.items()])
def test_the_criteria_are_those_of_the_course(figure, value):
    figures = {k: np.full(3, float(value if k == figure else v)) for k, v in GOOD.items()}
    lines = [line for claim in LOW_RANK.claims for line in claim_lines(claim, figures, "")]
    assert [line[-1] for line in lines].count("no") == (figure is not None)
