"""Binary networks on MNIST: what a run gives, when it counts, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.quantization.binary_experiments import Budget
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.binary import BINARY, BNN, FLOAT, MNIST, SIGNS, WAYS, compare, protocol

SMALL = Budget((36, 64, 64, 4), 12, 20, dtype=np.float32)


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    samples = quarters(dtype=np.float32, noise=0.5)
    figures = compare(samples, WAYS, SMALL, 0)
    assert {claim.figure for claim in BINARY.claims} == {*figures, "seconds"}
    assert figures["counts"] and figures["same"] and figures["cost"] == 62.27 and figures["ratio"] > 5
    assert max(figures[name] for name in WAYS) < 0.15
    assert compare(samples, WAYS, SMALL, 0) == figures


@pytest.mark.parametrize("field", ["sizes", "epochs", "batch"])
def test_another_budget_is_another_protocol(field):
    assert protocol(WAYS, MNIST._replace(**{field: 2 * getattr(MNIST, field)})) != protocol(WAYS, MNIST)


def test_another_learning_rate_is_another_protocol():
    for name, way in WAYS.items():
        assert protocol(WAYS | {name: way._replace(lr=way.lr / 2)}, MNIST) != protocol(WAYS, MNIST)


def test_errors_count_against_the_float_network():
    figures = {claim.figure: np.full(3, 0.0175) for claim in BINARY.claims} | {FLOAT: np.full(3, 0.0150)}
    figures |= {SIGNS: np.full(3, 0.0191), BNN: np.full(3, 0.0349)}
    words = [line[-1] for claim in BINARY.claims for line in claim_lines(claim, figures, "")]
    assert [w for w in words if w in ("yes", "no")][:2] == ["no", "yes"]
