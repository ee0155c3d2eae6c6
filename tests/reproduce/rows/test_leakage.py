"""Nothing is chosen on test images: with others in their place, rows choose the same thresholds and blocks."""

import numpy as np
import pytest

from minicompress.data import Samples
from minicompress.reproduce.rows import branchynet, msdnet, skipnet


@pytest.mark.parametrize(("row", "recipe", "name", "place"), [
    (branchynet, branchynet.Recipe(3, 0.01, 10, 0.5), "route", 2),
    (msdnet, msdnet.Recipe(160, 2, 4, 4, 2, 6, 0.02, 10), "route", 2),
    (skipnet, skipnet.Recipe(160, 4, 3, (6, 12), (0.02, 0.02), 0.05, 10), "majority", 0)],
    ids=["branchynet", "msdnet", "skipnet"])
def test_other_test_images_change_no_choice(row, recipe, name, place, quarters, monkeypatch):
    call, found = getattr(row, name), []

    def watched(*args, **kwargs):
        found.append(np.copy(args[place]))
        return call(*args, **kwargs)

    monkeypatch.setattr(row, name, watched)
    samples = quarters(side=8, dtype=np.float32, noise=0.5, bright=0.3, shape=(1, 8, 8))
    x, labels = samples.test
    grey = np.full_like(x, 0.3) + 0.1 * x  # hard to tell apart: other thresholds, other gates
    for test in (samples.test, Samples(grey, labels[::-1].copy())):
        row.compare(samples._replace(test=test), recipe, 0)
    half = len(found) // 2
    assert half and len(found) == 2 * half
    for first, second in zip(found[:half], found[half:], strict=True):
        np.testing.assert_array_equal(first, second)
