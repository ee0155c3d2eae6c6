"""One network made of every chain of parametrizations: it trains, is saved, reloads equal, and trains on."""

import itertools

import numpy as np
import pytest

from minicompress import data, storage
from minicompress.ledger import finished
from minicompress.nn import Adam, Linear, Parameter, ReLU, Sequential, error, predict, train
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked, Scatter, apply_mask
from minicompress.quantization.sharing import Codebook, share

SIZES = [64, 24, 24, 24, 24, 24, 24, 24, 10]


def network():
    """A layer for each chain: plain, Masked, Scatter, Codebook, and their products in both orders."""
    rng = np.random.default_rng(0)
    layers = [Linear(a, b, rng=rng) for a, b in itertools.pairwise(SIZES)]
    _, masked, scattered, shared, both, outside, inside, twice = [layer.weight for layer in layers]
    prune([masked, scattered, both], 0.5, scope="layerwise")
    scattered.freeze()
    share(shared, 16)
    share(both, 16)  # [Codebook, Scatter]
    share(outside, 16)
    apply_mask(outside, rng.random(outside.shape) < 0.7)  # [Codebook, Masked]: a mask on shared weights
    share(inside, 16)
    inside.become(inside.data, [Masked(np.arange(16) % 4 > 0), *inside.parametrizations])  # pruned codebook entries
    prune([twice], 0.4)
    twice.become(twice.data, [*twice.parametrizations, Masked(rng.random(twice.shape) < 0.8)])
    model = Sequential([part for layer in layers for part in (layer, ReLU())][:-1])
    kinds = [[type(p) for p in layer.weight.parametrizations] for layer in layers]
    assert kinds == [[], [Masked], [Scatter], [Codebook], [Codebook, Scatter], [Codebook, Masked], [Masked, Codebook],
                     [Masked, Masked]]
    return model


def fit(model, epochs, seed):
    list(train(model, Adam(model.parameters(), 3e-3), data.digits().train, epochs=epochs, rng=seed, progress=False))


@pytest.fixture(scope="module")
def trained():
    model = network()
    before = error(model, *data.digits().test)
    fit(model, 12, 0)
    assert error(model, *data.digits().test) < 0.25 < before
    return model


@pytest.mark.parametrize("prepare", [lambda model: model, lambda model: finished(model, "half")])
def test_the_network_is_saved_whole(trained, prepare, tmp_path):
    model, x = prepare(trained), data.digits().test.x
    storage.save(tmp_path / "a.mcz", model)
    again = storage.load(tmp_path / "a.mcz")
    assert np.array_equal(predict(model, x), predict(again, x))
    storage.save(tmp_path / "b.mcz", again)
    assert (tmp_path / "a.mcz").read_bytes() == (tmp_path / "b.mcz").read_bytes()


def test_a_reloaded_network_trains_on_to_the_same_bits(trained):
    blob = storage.to_bytes(trained)
    one, other = storage.from_bytes(blob), storage.from_bytes(blob)
    fit(one, 2, 1)
    fit(other, 2, 1)
    assert storage.to_bytes(one) == storage.to_bytes(other) != blob
    for p, q in zip(trained.weights(), one.weights(), strict=True):
        assert not np.any(q.forward()[p.forward() == 0]) and np.array_equal(structure(p), structure(q))


def structure(parameter):
    """All masks and codes of a parameter, one after the other: what training must not touch."""
    arrays = [value for _, value in parameter.leaves() if isinstance(value, np.ndarray)][1:]
    return np.concatenate([a.ravel().astype(int) for a in arrays] or [np.zeros(1)])


def test_finished_weights_are_equal_and_smaller(trained):
    done = finished(trained, "single")
    assert not any(isinstance(p, Masked) for w in done.weights() for p in w.parametrizations)
    for p, q in zip(trained.weights(), done.weights(), strict=True):
        assert np.array_equal(p.forward().astype(np.float32), q.forward().astype(np.float32))
        assert q.data.size <= p.data.size
    assert len(storage.to_bytes(done)) < len(storage.to_bytes(trained))


def test_tied_weights_stay_tied_through_a_file():
    rng = np.random.default_rng(0)
    tied = Parameter(rng.normal(size=(24, 24)) / 5)
    share(tied, 8)
    model = Sequential([Linear(64, 24, rng=rng), ReLU(), Linear(24, 24, rng=rng), ReLU(), Linear(24, 24, rng=rng),
                        ReLU(), Linear(24, 10, rng=rng)])
    model.layers[2].weight = model.layers[4].weight = tied
    again = storage.from_bytes(storage.to_bytes(model))
    assert again.layers[2].weight is again.layers[4].weight
    fit(model, 1, 0)
    fit(again, 1, 0)
    assert np.array_equal(tied.data, again.layers[2].weight.data)
