"""Scratch or pruned on MNIST: what a run gives, when it counts, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.lottery.rethinking import QUARTER, SCRATCH_B, TUNED
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.rethinking import EPOCHS, MNIST, RETHINKING, Recipe, compare, protocol

RECIPE = Recipe(4, 0.05, 10, 1e-4, 0.5)


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    figures = compare(quarters(dtype=np.float32, noise=0.5), RECIPE, 0)
    assert {claim.figure for claim in RETHINKING.claims} == {*figures, "seconds"}
    assert figures["macs, dense"] == 36 * 500 + 500 * 300 + 300 * 4
    assert figures["macs"] == 36 * 250 + 250 * 150 + 150 * 4
    assert figures[EPOCHS] == 4 * figures["macs, dense"] // figures["macs"] > 8
    assert max(figures[name] for name in ("dense", TUNED, SCRATCH_B)) < 0.1
    assert compare(quarters(dtype=np.float32, noise=0.5), RECIPE, 0) == figures


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    assert protocol(MNIST._replace(**{field: getattr(MNIST, field) / 2})) != protocol(MNIST)


@pytest.mark.parametrize(("error", "word"), [(0.0179, "yes"), (0.0181, "no")])
def test_scratch_counts_against_the_long_fine_tuning(error, word):
    figures = {claim.figure: np.full(3, 0.015) for claim in RETHINKING.claims}
    figures |= {QUARTER: np.full(3, 0.03), SCRATCH_B: np.full(3, error)}
    words = [line[-1] for claim in RETHINKING.claims for line in claim_lines(claim, figures, "")]
    assert [w for w in words if w] == [word]
