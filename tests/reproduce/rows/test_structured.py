"""Structured sparsity: what a run gives, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.nn import predict
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.structured import (
    MNIST,
    STRUCTURED,
    Recipe,
    difference,
    perceptron,
    products,
    protocol,
    shrink,
    sparsify,
)

RECIPE = Recipe(10, (5, 0.05, 1e-4), (8, 0.1, 0.2), (5, 0.05, 1e-4))


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    figures = sparsify(quarters(10, dtype=np.float32, noise=0.5), RECIPE, np.random.default_rng(0))
    assert {claim.figure for claim in STRUCTURED.claims} == {*figures, "seconds"}
    widths = figures["inputs"], figures["first"], figures["second"]
    assert all(0 < w <= full for w, full in zip(widths, (100, 500, 300), strict=True)) and widths[1] < 500
    macs = widths[0] * widths[1] + widths[1] * widths[2] + widths[2] * 4
    assert figures["gone"] == 1 - macs / (100 * 500 + 500 * 300 + 300 * 4)
    assert figures["error"] < 0.1 and figures["equal"] == (figures["difference"] <= 1e-12) == 1


def test_what_leads_nowhere_goes_and_nothing_else():
    rng = np.random.default_rng(0)
    model, x = perceptron(20, 4, rng), rng.random((6, 20)).astype(np.float32)
    for weight, dead in zip(model.weights(), ([3], [0, 7], [299]), strict=True):
        weight.data[:, dead] = 0
    before = predict(model, x)
    large, dense = perceptron(20, 4, np.random.default_rng(0)), products(model, x)
    pixels = shrink(model)
    assert np.flatnonzero(~pixels).tolist() == [3]
    assert [w.shape for w in model.weights()] == [(498, 19), (299, 498), (4, 299)]
    np.testing.assert_allclose(predict(model, x[:, pixels]), before, rtol=1e-4, atol=1e-5)
    assert dense - products(model, x[:, pixels]) == 500 * 20 + 500 * 300 + 1200 - (498 * 19 + 299 * 498 + 4 * 299)
    assert difference(large, x, large, x) == 0 < 1e-3 < difference(large, x, model, x[:, pixels])


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    value = getattr(MNIST, field)
    parts = value if isinstance(value, tuple) else (value,)
    for i in range(len(parts)):
        other = tuple(v / 2 if i == j else v for j, v in enumerate(parts))
        assert protocol(MNIST._replace(**{field: other if isinstance(value, tuple) else other[0]})) != protocol(MNIST)


GOOD = {"dense": 0.0143, "lasso": 0.02, "error": 0.016, "inputs": 469, "first": 294, "second": 166, "gone": 0.6,
        "difference": 1e-13, "equal": 1.0, "seconds": 300}


@pytest.mark.parametrize(("figure", "value"), [(None, None), ("error", 0.01601), ("gone", 0.599), ("equal", 0.0)])
def test_the_criteria_are_those_of_the_course(figure, value):
    figures = {k: np.full(3, float(value if k == figure else v)) for k, v in GOOD.items()}
    lines = [line for claim in STRUCTURED.claims for line in claim_lines(claim, figures, "")]
    assert [line[-1] for line in lines].count("no") == (figure is not None)
