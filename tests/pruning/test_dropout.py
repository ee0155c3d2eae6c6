"""Dropout rates follow the density of the layer before them."""

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.nn import Dropout, Linear, ReLU, Sequential
from minicompress.pruning.dropout import adapt_dropout, sparse_dropout
from minicompress.pruning.magnitude import prune


def test_the_rate_is_the_papers():
    assert sparse_dropout(0.5, 25, 100) == 0.25  # a quarter of the connections: as half the units
    assert sparse_dropout(0.5, 100, 100) == 0.5 and sparse_dropout(0.5, 0, 100) == 0


@pytest.mark.parametrize(("p", "kept", "total"), [(1.0, 1, 2), (-0.1, 1, 2), (0.5, 3, 2), (0.5, 0, 0), (0.5, -1, 2)])
def test_impossible_numbers_are_refused(p, kept, total):
    with pytest.raises(RangeError):
        sparse_dropout(p, kept, total)


def test_each_dropout_follows_the_weight_before_it():
    rng = np.random.default_rng(0)
    model = Sequential([Dropout(0.2, rng=0), Linear(10, 10, rng=rng), ReLU(), Dropout(0.5, rng=0),
                        Linear(10, 4, rng=rng), ReLU(), Dropout(0.5, rng=0), Linear(4, 2, rng=rng)])
    prune(model.weights(), [0.36, 0.75, 0.5], scope="layerwise")
    assert adapt_dropout(model, 0.5) == pytest.approx([0.4, 0.25])
    assert [model.layers[i].p for i in (0, 3, 6)] == pytest.approx([0.2, 0.4, 0.25])
    adapt_dropout(model, 0.5)  # a second time, after no pruning: from the dense rate again, not from the last one
    assert model.layers[3].p == pytest.approx(0.4)
