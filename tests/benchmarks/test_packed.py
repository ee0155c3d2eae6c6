"""Both sides of the packed benchmark compute the same; a small run fills the table and the figure."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import packed

SMALL = {
    "product": lambda batch: packed.products(70, 9, batch),
    "layer": lambda batch: packed.layer(70, batch),
    "network": lambda batch: packed.network(batch, (20, 33, 10)),
    "pixels": lambda batch: packed.pixels(20, 9, batch),
    "convolution": lambda batch: packed.convolution(3, 6, batch),
}


@pytest.mark.parametrize("job", SMALL)
@pytest.mark.parametrize("batch", [1, 3])
def test_both_sides_compute_the_same(job: str, batch: int) -> None:
    floats, bits = (call() for call in SMALL[job](batch).values())
    assert floats.dtype == np.float32
    assert np.allclose(floats, np.where(bits, 1, -1) if bits.dtype == bool else bits, rtol=1e-5, atol=1e-5)


def test_a_speed_up_is_the_median_of_the_turns_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"float": np.array([2.0, 9.0, 5.0]), "packed": np.array([1.0, 3.0, 5.0])}
    monkeypatch.setattr(packed, "turns", lambda make, repetitions, least: times)
    record = packed.measure("layer 1024 x 1024", 1, 3)
    assert [record[name] for name in ("low", "speedup", "high")] == [1, 2, 3], "the medians' ratio would be 5 / 3"
    assert (record["float_seconds"], record["packed_seconds"]) == (5, 3)


def test_a_small_run_fills_table_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "JOBS", SMALL)
    records = [packed.measure(job, batch, 1) for job in SMALL for batch in (1, 2)]
    assert packed.records_table(records).count("\n") == 1 + len(records)
    packed.draw(records, tmp_path / "packed.png")
    assert (tmp_path / "packed.png").stat().st_size > 1000
