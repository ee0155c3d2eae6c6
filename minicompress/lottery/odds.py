"""Lecture 05: more tickets, better odds. How often does a small network learn XOR, for each width of its hidden layer?

    y = v · max(0, W x + b) + c      x in {0, 1}², w hidden units; right when y > 0 just where x₁ ≠ x₂

Two hidden units suffice; whether training finds such a solution depends on the start. Frankle & Carbin open the first
version of their paper with this example (2018, arXiv:1803.03635v1, section 2).
"""

from __future__ import annotations

import numpy as np

from ..inputs import as_generator, as_integer
from ..nn import Adam, Linear, ReLU, Sequential, mean_squared_error, predict
from ..nn.layers import Seed, uniform_init
from ..pruning.masks import Masked

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
Y = np.array([-1, 1, 1, -1], float)


def xor_successes(width: int, *, rng: Seed, networks: int = 100, steps: int = 300, lr: float = 0.01) -> int:
    """How many of the 2-width-1 networks, each from its own start, are right on all four inputs after training.

    They train as one network with two layers, whose second has a mask that keeps them apart: no gradient of one reaches
    another, and Adam treats every weight alone. Glorot's uniform initialization, mean squared error, full batches.
    """
    width, networks, rng = as_integer(width, "width", 1), as_integer(networks, "networks", 1), as_generator(rng)
    units = width * networks
    own = np.repeat(np.eye(networks, dtype=bool), width, axis=1)
    hidden, output = Linear(2, units, rng=rng), Linear(units, networks, rng=rng)
    hidden.weight.become(uniform_init((units, 2), 2 + width, rng, np.float64))
    output.weight.become(uniform_init((networks, units), width + 1, rng, np.float64), [Masked(own)])
    model = Sequential([hidden, ReLU(), output])
    optimizer, target = Adam(model.parameters(), lr), np.repeat(Y[:, None], networks, axis=1)
    for _ in range(as_integer(steps, "steps", 1)):
        _, dy = mean_squared_error(model.forward(X), target)
        model.learn(dy)
        optimizer.step()
    return int(((predict(model, X) > 0) == (target > 0)).all(0).sum())
