"""The benchmark of cheaper layers: both sides fit the same inputs and outputs, and fewer MACs are counted for one."""

import numpy as np
import pytest

from benchmarks import architecture


@pytest.mark.parametrize("pair", [architecture.factors(9, 12, 2), architecture.block(8, 8, 4), architecture.digits()])
def test_both_sides_have_the_same_ends(pair) -> None:
    one, other, shape = pair
    x = np.ones((2, *shape), architecture.FLOAT)
    y, z = one.forward(x), other.forward(x)
    assert y.shape == z.shape and y.dtype == z.dtype == architecture.FLOAT


def test_a_record_compares_times_and_macs(monkeypatch) -> None:
    monkeypatch.setattr(architecture, "JOBS", {"small": lambda: architecture.factors(9, 12, 2)})
    monkeypatch.setattr(architecture, "turns", lambda make, repetitions: {
        "full": np.array([2.0, 9.0, 5.0]), "other": np.array([1.0, 3.0, 5.0])})
    record = architecture.measure("small", 1, 3)
    assert [record[name] for name in ("low", "speedup", "high")] == [1, 2, 3], "the medians' ratio would be 5 / 3"
    assert record["macs"] == 9 * 12 / (2 * (9 + 12))
    assert "small" in architecture.records_table([record])
