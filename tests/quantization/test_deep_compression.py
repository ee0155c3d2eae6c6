"""Prune, share, code: the stages come in order, and the file holds exactly what is in memory."""

import copy

import numpy as np
import pytest

from minicompress import storage
from minicompress.errors import RangeError
from minicompress.ledger import finished
from minicompress.nn import Adam, Linear, ReLU, Sequential, cross_entropy
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.deep_compression import prune_and_share
from minicompress.quantization.sharing import Codebook


@pytest.fixture
def trained():
    rng = np.random.default_rng(0)
    model = Sequential([Linear(12, 20, rng=rng), ReLU(), Linear(20, 10, rng=rng), ReLU(), Linear(10, 3, rng=rng)])
    x, labels = rng.normal(size=(60, 12)), rng.integers(0, 3, 60)

    def retrain(stage):
        optimizer = Adam(model.parameters(), 1e-2)
        for _ in range(10):
            _, dz = cross_entropy(model(x), labels)
            model.learn(dz)
            optimizer.step()

    retrain("dense")
    return model, x, retrain


def test_the_stages_and_what_each_leaves(trained):
    model, _, retrain = trained
    called = []
    stages = prune_and_share(model, lambda stage: (called.append(stage), retrain(stage)), densities=[0.5, 0.2], bits=2)
    for stage in stages:
        kinds = [[type(p) for p in w.parametrizations] for w in model.weights()]
        if stage == "prune":
            assert all(k == [Masked] for k in kinds)
        elif stage in ("share", "train centroids"):
            assert all(k == [Codebook, Scatter] for k in kinds) and all(w.data.size <= 4 for w in model.weights())
    assert called == ["prune", "prune", "train centroids"]
    assert sum(int(np.count_nonzero(w.forward())) for w in model.weights()) <= round(0.2 * (240 + 200 + 30))


def test_training_centroids_moves_them_and_keeps_zeros_and_codes(trained):
    model, _, retrain = trained
    before = {}
    for stage in prune_and_share(model, retrain, densities=[0.3], bits=2):
        if stage == "share":
            before = copy.deepcopy(model)
    for a, b in zip(before.weights(), model.weights(), strict=True):
        assert not np.array_equal(a.data, b.data)
        assert np.array_equal(a.parametrizations[0].codes, b.parametrizations[0].codes)
        assert np.array_equal(a.forward() == 0, b.forward() == 0)


def test_the_file_gives_the_same_network_and_the_same_file_again(trained, tmp_path):
    model, x, retrain = trained
    list(prune_and_share(model, retrain, densities=[0.3], bits=3))
    final = finished(model, "half")
    final.train(False)
    size = storage.save(tmp_path / "a.mcz", final)
    again = storage.load(tmp_path / "a.mcz")
    again.train(False)
    assert np.array_equal(again(x), final(x))
    assert storage.save(tmp_path / "b.mcz", again) == size
    assert (tmp_path / "a.mcz").read_bytes() == (tmp_path / "b.mcz").read_bytes()
    assert sum(part.bytes for part in storage.inspect(tmp_path / "a.mcz")) == size


def test_bits_out_of_range_are_refused_before_anything_happens(trained):
    model, _, retrain = trained
    for bits in (0, 17):
        with pytest.raises(RangeError, match="bits"):
            next(prune_and_share(model, retrain, densities=[0.5], bits=bits))
    assert not any(w.parametrizations for w in model.weights())
