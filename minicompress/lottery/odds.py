"""Lecture 05: more tickets, better odds. How often does a small network learn XOR, for each width of its hidden layer?

    y = v · max(0, W x + b) + c      x in {0, 1}², w hidden units; right when y > 0 just where x₁ ≠ x₂

Two hidden units suffice; whether training finds such a solution depends on the start. Frankle & Carbin open the first
version of their paper with this example (2018, arXiv:1803.03635v1, section 2).
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..inputs import as_generator, as_integer
from ..nn import Adam, Linear, ReLU, Sequential, mean_squared_error, predict
from ..nn.layers import Seed, uniform_init
from ..pruning.masks import Masked

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
Y = np.array([-1, 1, 1, -1], float)


def starts(count: int, width: int, rng: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Initial weights of many 2-width-1 networks: hidden (count, width, 2), output (count, width); Glorot's."""
    rng = as_generator(rng)
    return (uniform_init((count, width, 2), 2 + width, rng, np.float64),
            uniform_init((count, width), width + 1, rng, np.float64))


def train_apart(hidden: np.ndarray, output: np.ndarray, *, steps: int = 300, lr: float = 0.01
                ) -> tuple[np.ndarray, np.ndarray]:
    """Which of the networks are right on all four inputs after training (count,), and |v| ‖w‖ of each unit then.

    hidden (count, width, 2), output (count, width): their starts. They train as one network with two layers, whose
    second has a mask that keeps them apart: no gradient of one reaches another, and Adam treats every weight alone.
    Mean squared error of each network, full batches.   Raises ShapeError, and RangeError for steps or lr.
    """
    if hidden.shape != (*output.shape, 2):
        raise ShapeError(f"hidden weights have shape {hidden.shape}, output weights {output.shape}; allowed: "
                         f"(count, width, 2) and (count, width).")
    count, width = output.shape
    own = np.repeat(np.eye(count, dtype=bool), width, axis=1)
    first, second = Linear(2, output.size, rng=0), Linear(output.size, count, rng=0)
    first.weight.become(hidden.reshape(-1, 2).copy())
    second.weight.become(own * output.ravel(), [Masked(own)])
    model = Sequential([first, ReLU(), second])
    optimizer, target = Adam(model.parameters(), lr), np.repeat(Y[:, None], count, axis=1)
    for _ in range(as_integer(steps, "steps", 1)):
        _, dy = mean_squared_error(model.forward(X), target)
        model.learn(dy * count)  # the mean is over the networks, too
        optimizer.step()
    sizes = np.linalg.norm(first.weight.forward().reshape(hidden.shape), axis=2)
    right = ((predict(model, X) > 0) == (target > 0)).all(0)
    return right, sizes * np.abs(second.weight.forward()[own].reshape(output.shape))


def xor_successes(width: int, *, rng: Seed, networks: int = 100, steps: int = 300, lr: float = 0.01) -> int:
    """How many of the 2-width-1 networks, each from its own start, are right on all four inputs after training."""
    width, networks = as_integer(width, "width", 1), as_integer(networks, "networks", 1)
    return int(train_apart(*starts(networks, width, rng), steps=steps, lr=lr)[0].sum())
