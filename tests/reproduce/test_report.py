"""The table: every claim with its criteria, decided only over enough seeds."""

import numpy as np

from minicompress.reproduce.report import report
from minicompress.reproduce.row import Claim, Criterion, Row, at_least, at_most, count, minutes, near
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
