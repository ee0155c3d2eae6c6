"""Rounding in the model: the file gets smaller, and the outputs are those of the file."""

import copy

import numpy as np
import pytest

from minicompress import nn
from minicompress.storage import from_bytes, round_to, to_bytes


@pytest.mark.parametrize(("precision", "item_bytes"), [("single", 4), ("half", 2)])
def test_rounding_in_the_model_is_what_makes_the_file_small(precision: str, item_bytes: int) -> None:
    model = nn.Sequential([nn.Linear(50, 40, rng=0), nn.BatchNorm(40), nn.Linear(40, 10, rng=1)])
    model.layers[1].mean[...] = np.linspace(-1, 1, 40)
    optimizer, whole = nn.SGD(model.parameters(), 0.1), len(to_bytes(model))
    x = np.random.default_rng(0).random((9, 50))
    round_to(model, precision)
    logits, data = nn.predict(model, x), to_bytes(model)
    assert whole - len(data) >= (8 - item_bytes) * (50 * 40 + 40 * 10)
    assert nn.predict(from_bytes(data), x).tobytes() == logits.tobytes()
    model.train()
    model.backward(model.forward(x))
    optimizer.step()  # the data were rounded in place: the optimizer still owns them
    again = copy.deepcopy(model)
    round_to(model, precision)
    round_to(model, precision)
    assert all(np.array_equal(a.data, b.data.astype(f"f{item_bytes}")) for a, b in
               zip(model.parameters(), again.parameters(), strict=True))
