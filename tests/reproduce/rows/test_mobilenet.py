"""MobileNet's cost: every figure that is claimed is counted, every criterion is met, and each can fail."""

import numpy as np
import pytest

from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.mobilenet import MOBILENET, ratio_holds, run

FIGURES = run(100)


def verdicts(figures: dict[str, float]) -> list[str]:
    columns = {key: np.array([value], float) for key, value in figures.items()}
    return [line[-1] for claim in MOBILENET.claims for line in claim_lines(claim, columns, "")]


def test_a_run_gives_every_figure_that_is_claimed_and_no_other():
    assert {claim.figure for claim in MOBILENET.claims} == set(FIGURES) - {"small weights"}
    assert run(101) == FIGURES
    assert ratio_holds()


def test_every_criterion_is_met():
    assert "no" not in verdicts(FIGURES)
    assert verdicts(FIGURES).count("yes") == sum(bool(claim.criteria) for claim in MOBILENET.claims) == 11


@pytest.mark.parametrize("claim", [claim for claim in MOBILENET.claims if claim.criteria], ids=lambda c: c.figure)
def test_ten_percent_more_or_less_is_not_what_was_published(claim):
    for change in (0.9, 1.1) if claim.figure != "ratio" else (0.9,):
        assert "no" in verdicts(FIGURES | {claim.figure: FIGURES[claim.figure] * change})
