"""The table: every claim with its criteria, decided only over enough seeds."""

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.reproduce.report import report
from minicompress.reproduce.row import Claim, Criterion, Row, at_least, at_most, count, minutes, near, points
from minicompress.table import percent

CLAIMS = [
    Claim("error, dense", "1.64 %", "dense"),
    Claim("error", "1.59 %", "pruned", percent, [at_most(0.02, percent), near("dense", 0.001)]),
    Claim("weights", "14", "weights", count, [at_least(10, count)], np.median),
    Claim("time", "-", "seconds", minutes),
]
ROW = Row("tiny", "Nobody 2000, table 1", "Prune it.", lambda seed: {}, CLAIMS)
DENSE, PRUNED, WEIGHTS = (0.014, 0.016, 0.018), (0.016, 0.016, 0.019), (11.0, 50.0, 12.0)
FOUND = {100 + i: {"figures": {"dense": DENSE[i], "pruned": PRUNED[i], "weights": WEIGHTS[i]}, "seconds": 60.0 * i}
         for i in range(3)}


def run(found, wanted=(100, 101, 102), row=ROW):
    said = []
    met = report(row, found, wanted, said.append)
    return met, "\n".join(said).splitlines()


def test_published_ours_criterion_met():
    met, lines = run(FOUND)
    assert met and lines[1] == "tiny: Nobody 2000, table 1" and lines[2] == "Prune it. Seeds: 100, 101, 102."
    cells = [line.split("  ") for line in lines[4:]]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    assert cells[0] == ["claim", "published", "ours", "lowest", "highest", "criterion", "met"]
    assert cells[2] == ["error, dense", "1.64 %", "1.60 %", "1.40 %", "1.80 %"]
    assert cells[3] == ["error", "1.59 %", "1.70 %", "1.60 %", "1.90 %", "≤ 2.00 %", "yes"]
    assert cells[4] == ["≤ dense + 0.1", "yes"]
    assert cells[5] == ["weights", "14", "12", "11", "50", "≥ 10", "yes"], "the median"
    assert cells[6] == ["time", "-", "1.0 min", "0.0 min", "2.0 min"]


def test_a_criterion_that_fails_is_a_no_and_the_others_are_shown():
    found = {**FOUND, 102: {"figures": {"dense": 0.018, "pruned": 0.0191, "weights": 12.0}, "seconds": 0.0}}
    met, lines = run(found)
    assert not met and [line.split()[-1] for line in lines if "≤" in line or "≥" in line] == ["yes", "no", "yes"]


def test_too_few_seeds_decide_nothing():
    met, lines = run({100: FOUND[100]})
    assert met and sum(line.endswith("1 of 3 seeds") for line in lines) == 3 and not any("yes" in s for s in lines)
    met, lines = run({}, [100])
    assert met and lines[-1] == "Prune it. Seeds: none yet."


def test_only_the_wanted_seeds_count():
    _, lines = run({**FOUND, 7: {"figures": {"dense": 1.0, "pruned": 1.0, "weights": 1.0}, "seconds": 1.0}})
    assert not any("100.00 %" in line for line in lines)


def test_a_criterion_may_look_at_every_seed():
    def decide(text, holds):
        return run(FOUND, row=ROW._replace(claims=[Claim("x", "-", "pruned", percent, [Criterion(text, holds)])]))[0]

    assert decide("≥ dense on every seed", lambda ours, all: (all["pruned"] >= all["dense"]).all())
    assert not decide("> dense on every seed", lambda ours, all: (all["pruned"] > all["dense"]).all())


GAINS = {"up": (1, 2, 3, 2, 1), "small": (5, 6, 5, 4, 5), "mixed": (-3, 2, -1, 2, 1), "down": (-1, -2, -3, -2, -1)}


def decide(*claims, seeds=5, wanted=5):
    found = {i: {"figures": {k: v[i] / 100 for k, v in GAINS.items()}, "seconds": 1.0} for i in range(5)}
    return run(found, range(wanted), ROW._replace(claims=claims, seeds=seeds))


def test_an_ordering_gets_a_verdict_and_never_fails_the_row():
    met, lines = decide(*(Claim(k, "yes", k, points, verdict=True) for k in GAINS))
    words = [line.split("  verdict  ")[1].strip() for line in lines[-4:]]
    assert met and words == ["REPRODUCED", "REPRODUCED", "INCONCLUSIVE", "NOT REPRODUCED"]
    assert lines[-1].split()[:5] == ["down", "yes", "-1.80", "-3.00", "-1.00"]


def test_a_margin_stated_beforehand_is_shown_and_must_be_exceeded():
    _, lines = decide(Claim("x", "yes", "small", points, verdict=True, margin=0.03), seeds=3, wanted=3)
    assert lines[-1].endswith("verdict, > +3.00  REPRODUCED")
    _, lines = decide(Claim("x", "yes", "small", points, verdict=True, margin=0.05))
    assert lines[-1].endswith("verdict, > +5.00  INCONCLUSIVE")


def test_a_verdict_waits_for_enough_seeds():
    claim = Claim("x", "yes", "up", points, verdict=True)
    met, lines = decide(claim, wanted=4)
    assert met and lines[-1].endswith("4 of 5 seeds")
    with pytest.raises(RangeError, match="no margin"):
        decide(claim, seeds=3, wanted=3)
