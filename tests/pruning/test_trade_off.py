"""Five curves: each network has had what its name says, and nothing else."""

import numpy as np
import pytest

from minicompress.nn import Linear, ReLU, Sequential
from minicompress.pruning.trade_off import CURVES, ITERATIVE, L1, L1_RETRAINED, L2, L2_RETRAINED, five_curves


def build():
    rng = np.random.default_rng(0)
    return Sequential([Linear(5, 8, rng=rng), ReLU(), Linear(8, 5, rng=rng)])  # 80 weights


class Diary:
    """A fit that does not train but writes down: stage, kept weights, and which penalty acts, on which weights."""

    def __init__(self):
        self.lines = []

    def fit(self, model, penalty, stage):
        value = penalty()
        data = np.concatenate([p.data.ravel() for p in model.weights()])
        norm = "L1" if np.isclose(value, 2 * np.abs(data).sum()) else "L2"
        if norm == "L2":
            assert value == pytest.approx(3 / 2 * (data**2).sum())
        assert all(not p.grad.any() for p in model.parameters() if p.data.ndim == 1)  # biases are left alone
        line = f"{norm} {stage}" + ("" if stage == "dense" else f" {kept(model)}")
        model.history = [*getattr(model, "history", []), line]

    def measure(self, model):
        self.lines.append(model.history)
        return float(kept(model))


def kept(model):
    return sum(np.count_nonzero(p.forward()) for p in model.weights())


def test_every_curve_tells_its_name():
    diary = Diary()
    curves = five_curves(build, diary.fit, diary.measure, densities=[1, 0.25], l1=2, l2=3, rounds=2)
    assert set(curves) == set(CURVES) and all(values == [80, 20] for values in curves.values())
    first, again = diary.lines[:5], diary.lines[5:]
    assert first == [["L1 dense"]] * 2 + [["L2 dense"]] * 3  # nothing is removed, nothing retrained
    assert again == [["L1 dense"], ["L1 dense", "L1 retrain 20"], ["L2 dense"], ["L2 dense", "L2 retrain 20"],
                     ["L2 dense", "L2 round 40", "L2 last round 20"]]


def test_the_names_are_in_the_papers_order():
    assert CURVES == (L1, L2, L1_RETRAINED, L2_RETRAINED, ITERATIVE)
