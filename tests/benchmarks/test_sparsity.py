"""The contenders of the sparsity benchmark are what they are called; a small run fills the table and the figure."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import sparsity


@pytest.mark.parametrize("name", ["LeNet-300-100", "256 x 256"])
@pytest.mark.parametrize("density", sparsity.DENSITIES)
def test_the_smaller_network_has_as_many_weights_or_a_few_less(name: str, density: float):
    sizes = sparsity.NETWORKS[name]
    small = sparsity.narrower(sizes, density)
    share = sparsity.weight_count(small) / sparsity.weight_count(sizes)
    assert 0.9 * density < share <= density
    if len(sizes) > 2:
        assert (small[0], small[-1]) == (sizes[0], sizes[-1])


def test_contenders_compute_what_they_should():
    found = sparsity.contenders((20, 12, 10), 0.2, 3)()
    assert tuple(found) == ("dense", *sparsity.CONTENDERS)
    outputs = {name: call() for name, call in found.items()}
    assert all(y.shape == (3, 10) and y.dtype == np.float32 for y in outputs.values())
    assert np.allclose(outputs["zeros"], outputs["CSR"], rtol=1e-5, atol=1e-6)
    assert not np.allclose(outputs["zeros"], outputs["dense"])


def test_pruned_weights_are_zeros_in_arrays_of_the_same_shape():
    model = sparsity.pruned((20, 12, 10), 0.2)
    counts = [(w.data.size, np.count_nonzero(w.data), len(w.parametrizations)) for w in model.weights()]
    assert counts == [(240, 48, 0), (120, 24, 0)]


def test_a_small_run_fills_table_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sparsity, "NETWORKS", {"small": (8, 6, 4), "single": (6, 6)})
    records = [r for name in sparsity.NETWORKS for batch in sparsity.BATCHES for density in sparsity.DENSITIES
               for r in sparsity.measure(name, batch, density, 1)]
    assert all(r["low"] <= r["speedup"] <= r["high"] for r in records)
    assert sparsity.records_table(records).count("\n") == 1 + 2 * len(sparsity.BATCHES)
    sparsity.draw(records, tmp_path / "sparsity.png")
    assert (tmp_path / "sparsity.png").stat().st_size > 1000
