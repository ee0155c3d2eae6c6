"""A data set for the rows' own functions, small enough that a whole experiment takes a second."""

import numpy as np
import pytest

from minicompress.data import Dataset, Samples


@pytest.fixture
def quarters():
    """quarters(…) gives images with a bright quarter, which is the label."""
    def build(side=6, train=200, dtype=np.float64, noise=1.0, bright=0.5, shape=(-1,)):
        rng, half = np.random.default_rng(0), side // 2

        def draw(n):
            labels = np.arange(n) % 4
            x = rng.uniform(0, noise, (n, side, side))
            for i, label in enumerate(labels):
                x[i, half * (label // 2) :, half * (label % 2) :][:half, :half] += bright
            return Samples(x.reshape(n, *shape).astype(dtype), labels)

        return Dataset("quarters", tuple("0123"), draw(train), draw(40), draw(80))
    return build
