"""The lottery row: what a run gives, how its criteria read, and that the protocol says what is done."""

import numpy as np
import pytest

from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows import lottery
from minicompress.reproduce.rows.lottery import CONTROLLED, LOTTERY, NAMES, network, protocol, search


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    figures = search(quarters(train=240, dtype=np.float32), 0, 20, 10)
    assert {claim.figure for claim in LOTTERY.claims} <= {*figures, "seconds"}
    assert figures["dense"] < 0.2 and figures["dense, gain"] == figures["dense, last gain"] == 0
    for n in CONTROLLED:
        name = NAMES[n]
        assert figures[f"{name}, gain"] == figures["dense"] - figures[name]
        assert figures[f"{name}, lead"] == figures[f"{name}, other"] - figures[name]
    assert search(quarters(train=240, dtype=np.float32), 0, 20, 10) == figures


def test_the_network_starts_as_glorot_and_bengio_say():
    model = network(784, 10, np.random.default_rng(0))
    for p, (fan_out, fan_in) in zip(model.weights(), [(300, 784), (100, 300), (10, 100)], strict=True):
        assert p.shape == (fan_out, fan_in) and p.data.dtype == np.float32
        assert p.data.std() == pytest.approx(np.sqrt(2 / (fan_in + fan_out)), rel=0.1)


def test_the_rounds_are_named_after_what_they_leave():
    sizes, rates = np.array([235_200, 30_000, 1_000]), np.array([0.2, 0.2, 0.1])
    for n, name in NAMES.items():
        share = (sizes * (1 - rates) ** n).sum() / sizes.sum()
        assert name == (f"{100 * share:.1f} %" if n else "dense")


@pytest.mark.parametrize(("name", "value"), [("RATE", 0.3), ("OUTPUT_RATE", 0.2), ("STEPS", 4000), ("EVERY", 50),
                                             ("BATCH", 100), ("LR", 1e-3), ("FEW", 16)])
def test_other_settings_are_another_protocol(name, value, monkeypatch):
    monkeypatch.setattr(lottery, name, value)
    assert protocol() != LOTTERY.protocol


def words(**changes):
    figures = {claim.figure: np.full(3, 0.02) for claim in LOTTERY.claims}
    figures |= {"21.1 %, gain": np.full(3, 0.001), "3.6 %, gain": np.full(3, -0.004),
                "21.1 %, lead": np.full(3, 0.005), "3.6 %, lead": np.full(3, 0.015), **changes}
    return [line[-1] for claim in LOTTERY.claims for line in claim_lines(claim, figures, "") if line[-1]]


def test_the_criteria_stand_where_they_were_written():
    assert words() == ["yes"] * 4
    for name, value in (("21.1 %, gain", 0.0009), ("3.6 %, gain", -0.0041), ("21.1 %, lead", 0.0049),
                        ("3.6 %, lead", 0.0149)):
        assert sorted(words(**{name: np.full(3, value)})) == ["no", "yes", "yes", "yes"]
