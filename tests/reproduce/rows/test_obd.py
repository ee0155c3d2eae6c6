"""Optimal brain damage's row: what a run gives, what its protocol says, when it counts."""

import numpy as np
import pytest

from minicompress import data
from minicompress.nn import Linear
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows import obd
from minicompress.reproduce.rows.obd import OBD, as_regression, cost, run


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(obd, "EPOCHS", 30)
        patch.setattr(obd, "MORE", 5)
        return run(0)


def test_a_run_gives_every_figure_that_is_claimed(figures):
    assert {claim.figure for claim in OBD.claims} <= set(figures)
    for level in (0.3, 0.5):
        assert figures[f"ten rounds {level}"] < figures[f"magnitude {level}"] < figures[f"random {level}"]
    assert figures["longer"] < figures["dense"] and figures["dense error"] < 0.2
    assert figures["restored"] < figures["one shot 0.5"]


def test_all_rules_delete_as_many_of_the_same_network():
    samples = as_regression(data.digits().train)
    assert set(np.unique(samples[1])) == {-0.8, 0.8} and (samples[1].sum(1) == pytest.approx(-6.4))
    model = Linear(64, 10, rng=0)
    before = model.weight.data.copy()
    for rule in obd.RULES:
        predicted, actual = cost(model, samples, 0.3, rule, np.random.default_rng(0))
        assert np.isfinite([predicted, actual]).all()
    assert np.array_equal(model.weight.data, before) and not model.weight.parametrizations


GOOD = {f"{rule} {level}{rest}": 0.5 for rule in obd.RULES for level in obd.LEVELS
        for rest in ("", " / magnitude", " / predicted")}
GOOD |= {"restored": 0.1, "dense": 0.5, "pruned": 0.5, "longer": 0.3, "dense error": 0.04, "pruned error": 0.04,
         "longer error": 0.03}


def failing(**changes):
    columns = {key: np.full(5, value) for key, value in GOOD.items()}
    for key, value in changes.items():
        columns[key][2] = value  # one seed is enough
    lines = [line for claim in OBD.claims for line in claim_lines(claim, columns, "")]
    return [line[-2] for line in lines if line[-1] == "no"]


def test_the_criteria_are_those_of_the_course():
    assert OBD.seeds == 5 and not failing()
    for level in obd.LEVELS:
        assert failing(**{f"ten rounds {level} / magnitude": 0.501}) == ["≤ 1/2 on every seed"]
        for ratio in (3.01, 0.33, -1.0):
            assert failing(**{f"ten rounds {level} / predicted": ratio}) == ["within 3x on every seed"]
        assert not failing(**{f"ten rounds {level} / predicted": 2.99, f"one shot {level} / magnitude": 9.0})
    assert failing(pruned=0.501) == ["≤ dense on every seed"]


def test_the_protocol_says_what_is_done():
    for number in (obd.HIDDEN, obd.TARGET, obd.LR, obd.BATCH, obd.EPOCHS, obd.MORE, obd.RESTORED, 10, 60):
        assert f"{number:g}" in OBD.protocol
