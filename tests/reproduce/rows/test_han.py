"""The five curves on MNIST: what a run gives, what the orderings say, and that the protocol says what is done."""

import numpy as np
import pytest

from minicompress.nn import Linear, ReLU, Sequential
from minicompress.pruning.trade_off import CURVES, ITERATIVE, L1, L1_RETRAINED, L2, L2_RETRAINED
from minicompress.reproduce import results
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows import han
from minicompress.reproduce.rows.han import DENSITIES, HAN_CURVES, ORDERINGS, SHOWN, STAGES, at, compare, protocol

PAPER = {L2: 0.5, L1: 0.4, L1_RETRAINED: 0.3, L2_RETRAINED: 0.2, ITERATIVE: 0.1}  # errors in its order


def network(seed):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(36, 40, rng=rng), ReLU(), Linear(40, 4, rng=rng)])


@pytest.mark.filterwarnings("ignore:a weight of shape")
def test_a_run_gives_every_figure_that_is_claimed(quarters):
    stages = {stage: (2 * epochs, 1e-2) for stage, (epochs, _) in STAGES.items()}
    figures = compare(lambda: network(0), quarters(), 0, stages)
    assert {claim.figure for claim in HAN_CURVES.claims} <= {*figures, "seconds"}
    assert set(figures) == {*han.DENSE, *(at(what, d) for what in (*CURVES, *ORDERINGS) for d in DENSITIES)}
    assert max(figures[name] for name in han.DENSE) < 0.1 and figures[at(L2, 0.02)] > 0.3
    for density in DENSITIES:
        gain = figures[at(L2, density)] - figures[at(L2_RETRAINED, density)]
        assert figures[at("L2: retraining helps", density)] == gain
    assert compare(lambda: network(0), quarters(), 0, stages) == figures


def test_the_orderings_are_the_papers():
    assert all(gain(PAPER) > 0 for gain in ORDERINGS.values())
    assert all(gain({name: -error for name, error in PAPER.items()}) < 0 for gain in ORDERINGS.values())
    assert ORDERINGS["L2 in rounds is the best of the five"]({**PAPER, L1_RETRAINED: 0.05}) < 0


def test_rounds_have_the_budget_of_retraining():
    epochs = {stage: number for stage, (number, _) in STAGES.items()}
    assert (han.ROUNDS - 1) * epochs["round"] + epochs["last round"] == epochs["retrain"]
    assert set(SHOWN) <= set(DENSITIES)


@pytest.mark.parametrize(("name", "value"), [
    ("DENSITIES", (0.5, 0.2)), ("ROUNDS", 4), ("BATCH", 50),
    *(("STRENGTHS", {**han.STRENGTHS, key: 1e-3}) for key in han.STRENGTHS),
    *(("STAGES", {**STAGES, stage: change}) for stage, (epochs, lr) in STAGES.items()
      for change in [(epochs + 1, lr), (epochs, lr / 2)])])
def test_other_settings_are_another_protocol(name, value, monkeypatch):
    monkeypatch.setattr(han, name, value)
    assert protocol() != HAN_CURVES.protocol


def test_half_of_the_weights_is_a_criterion_and_the_orderings_are_verdicts():
    figures = {claim.figure: 0.016 + np.zeros(5) for claim in HAN_CURVES.claims}
    figures |= {at(name, 0.5): np.full(5, 0.018) for name in (L1, L2)}
    words = [line[-1] for claim in HAN_CURVES.claims for line in claim_lines(claim, figures, "")]
    assert words.count("yes") == 2 and words.count("REPRODUCED") == len(ORDERINGS) * len(SHOWN)
    worse = {**figures, at(L2, 0.5): np.full(5, 0.0181)}
    assert sum(line[-1] == "no" for claim in HAN_CURVES.claims for line in claim_lines(claim, worse, "")) == 1


def test_the_picture_is_the_same_each_time(tmp_path):
    figures = {at(name, density): error for name, error in PAPER.items() for density in DENSITIES}
    for seed in (100, 101):
        results.add(tmp_path, HAN_CURVES, seed, {"figures": figures, "seconds": 1, **results.versions()})
    drawn = []
    for _ in range(2):
        han.picture(tmp_path)
        drawn.append((tmp_path / "han-curves.png").read_bytes())
    assert drawn[0] == drawn[1] and drawn[0].startswith(b"\x89PNG")
