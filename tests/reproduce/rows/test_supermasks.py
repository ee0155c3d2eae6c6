"""The row of supermasks: what a run gives, when its claims count, and that the protocol says what is done."""

import numpy as np
import pytest

from minicompress.nn import Linear, ReLU, Sequential, constant, cosine
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows import supermasks
from minicompress.reproduce.rows.supermasks import BEST, BOTH, STAGES, SUPERMASKS, compare, protocol


def network():
    rng = np.random.default_rng(0)
    a, b, c = (Linear(m, n, rng=rng, init="glorot") for m, n in ((36, 40), (40, 20), (20, 4)))
    return Sequential([a, ReLU(), b, ReLU(), c])


@pytest.mark.filterwarnings("ignore:a weight of shape")
def test_a_run_gives_every_figure_that_is_claimed(quarters, monkeypatch):
    monkeypatch.setattr(supermasks, "STAGES", {"weights": (20, 5e-3, constant), "scores": (30, 0.1, cosine)})
    monkeypatch.setattr(supermasks, "ROUNDS", 8)
    figures = compare(network(), quarters(train=300, bright=0.8), 0)
    assert {claim.figure for claim in SUPERMASKS.claims} == {*figures, "seconds"}
    assert figures["trained"] > 0.9 and figures["rewind"] > 0.8
    assert figures[BEST] > figures["random, init"] and figures[BOTH] > 0.8
    assert compare(network(), quarters(train=300, bright=0.8), 0) == figures


def words(**changed):
    figures = {claim.figure: np.full(3, 0.97) for claim in SUPERMASKS.claims}
    figures |= {f"random, {kind}": np.full(3, 0.1) for kind in ("init", "signed constant")}
    figures |= {name.replace("_", " "): np.full(3, value) for name, value in changed.items()}
    return [line[-1] for claim in SUPERMASKS.claims for line in claim_lines(claim, figures, "")]


def test_every_criterion_can_fail():
    assert words().count("yes") == 8 and "no" not in words()
    for name, value in {BEST: 0.79, "random, init": 0.26, "learned, init": 0.89, BOTH: 0.95,
                        "constant, same sign": 0.9659, "re-init, same sign": 0.9}.items():
        assert words(**{name: value}).count("no") == 1
    assert words(rewind=0.9741).count("no") == 3


@pytest.mark.parametrize(("name", "value"), [
    ("BATCH", 50), ("DRAWS", 5), ("ROUNDS", 20), ("RESET", 6),
    *(("STAGES", {**STAGES, stage: change}) for stage, (epochs, lr, schedule) in STAGES.items()
      for change in [(epochs + 1, lr, schedule), (epochs, lr / 2, schedule)])])
def test_other_settings_are_another_protocol(name, value, monkeypatch):
    monkeypatch.setattr(supermasks, name, value)
    assert protocol() != SUPERMASKS.protocol
