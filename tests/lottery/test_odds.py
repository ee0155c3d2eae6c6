"""XOR: networks trained together are the networks one by one; wider ones succeed more often."""

import numpy as np
import pytest

from minicompress.errors import RangeError, ShapeError
from minicompress.lottery import odds
from minicompress.lottery.odds import X, Y, starts, train_apart, xor_successes
from minicompress.nn import Adam, Linear, ReLU, Sequential, mean_squared_error, predict


def test_one_hidden_unit_fails_and_wider_networks_win_more_often():
    won = [xor_successes(width, rng=0, networks=50) for width in (1, 2, 4, 16)]
    assert won[0] == 0 and won == sorted(set(won)) and won[-1] >= 48


def test_together_as_one_by_one(monkeypatch):
    built = []
    monkeypatch.setattr(odds, "Sequential", lambda layers: built.append(layers) or Sequential(layers))
    xor_successes(3, rng=1, networks=4, steps=40)
    together = predict(Sequential(built[0]), X)
    xor_successes(3, rng=1, networks=4, steps=1, lr=0)  # the same starts, not moved
    hidden, _, output = built[1]
    for i in range(4):
        units = slice(3 * i, 3 * i + 3)
        alone = Sequential([Linear(2, 3, rng=0), ReLU(), Linear(3, 1, rng=0)])
        for p, start in zip(alone.weights(), (hidden.weight.data[units], output.weight.data[i : i + 1, units]),
                            strict=True):
            p.become(start)
        optimizer = Adam(alone.parameters(), 0.01)
        for _ in range(40):
            alone.learn(mean_squared_error(alone.forward(X), Y[:, None])[1])
            optimizer.step()
        assert np.abs(predict(alone, X)[:, 0] - together[:, i]).max() < 1e-5


def test_starts_have_glorots_scale():
    """Uniform within ±√(6 / (n_in + n_out)), which large samples nearly reach."""
    for width in (2, 6):
        hidden, output = starts(4000, width, 0)
        for start, both in ((hidden, 2 + width), (output, width + 1)):
            limit = np.sqrt(6 / both)
            assert 0.99 * limit < np.abs(start).max() <= limit
            assert start.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def test_shapes_must_fit():
    with pytest.raises(ShapeError, match="count, width"):
        train_apart(np.zeros((3, 2)), np.zeros((3, 2)))


def test_a_seed_gives_one_answer():
    assert xor_successes(3, rng=5, networks=30) == xor_successes(3, rng=5, networks=30)
    with pytest.raises(RangeError):
        xor_successes(0, rng=0)
