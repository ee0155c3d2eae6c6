"""The training that rows share: the rate falls to nothing, and a seed is an order of batches."""

import numpy as np

from minicompress.nn import Adam, Linear, cosine, mean_squared_error, train
from minicompress.reproduce.training import fit

X = np.random.default_rng(0).uniform(-1, 1, (40, 3))
SAMPLES = X, X @ np.array([[1.0], [-2.0], [0.5]])


def trained(**changed):
    model = Linear(3, 1, rng=0)
    fit(model, SAMPLES, **{"epochs": 2, "lr": 0.01, "batch": 8, "seed": 1, "loss": mean_squared_error, **changed})
    return model.weight.data


def test_it_is_adam_with_a_cosine_schedule(capfd):
    model = Linear(3, 1, rng=0)
    list(train(model, Adam(model.parameters(), 0.01), SAMPLES, epochs=2, rng=1, batch=8, loss=mean_squared_error,
               schedule=cosine, progress=False))
    np.testing.assert_array_equal(trained(), model.weight.data)
    assert capfd.readouterr() == ("", "")


def test_every_argument_counts():
    others = {"epochs": 3, "lr": 0.02, "batch": 10, "seed": 2}
    assert all((trained(**{name: value}) != trained()).any() for name, value in others.items())
