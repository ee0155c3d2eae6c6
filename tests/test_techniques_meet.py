"""Every chain of parametrizations trains, freezes, is saved, reloads equal and trains on; wrong orders are refused."""

import itertools

import numpy as np
import pytest

from minicompress import data, storage
from minicompress.errors import StateError, StorageError
from minicompress.ledger import finished
from minicompress.nn import Adam, BatchNorm, Linear, Parameter, ReLU, Sequential, error, predict, train
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked, Scatter, apply_mask
from minicompress.quantization.binary import Binary, Signed, binarize
from minicompress.quantization.sharing import Codebook, share
from minicompress.quantization.uniform import Scaled, Uniform, quantize

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


# What each act is: the parametrizations that live in training only must freeze into those that a file may hold.

ACTS = {"prune": lambda w: prune([w], 0.6), "freeze": lambda w: w.freeze(), "share": lambda w: share(w, 8),
        "4 bits": lambda w: quantize(w, 4, per_channel=True), "binary": lambda w: binarize([w]),
        "binary channels": lambda w: binarize([w], "channel"), "stochastic": lambda w: binarize([w], rng=0),
        "prune again": lambda w: prune([w], 0.8)}

CHAINS = {  # acts: the chain in training, in a finished network, and how many bits it needs for a weight of the layer
    "binary": ([Binary], [Signed], 1),
    "binary channels": ([Binary], [Signed], 1),
    "stochastic": ([Binary], [], 16),
    "prune, binary": ([Binary, Masked], [Signed, Scatter], 0.97 + 0.4),
    "prune, binary channels": ([Binary, Masked], [Signed, Scatter], 0.97 + 0.4),
    "binary, prune": ([Binary, Masked], [Signed, Scatter], 0.97 + 0.4),
    "prune, freeze, binary": ([Binary, Scatter], [Signed, Scatter], 0.97 + 0.4),
    "4 bits": ([Uniform], [Scaled], 4),
    "binary, 4 bits": ([Binary, Uniform], [Scaled], 1),
    "prune, 4 bits": ([Masked, Uniform], [Scaled, Scatter], 0.97 + 0.4 * 4),
    "4 bits, prune": ([Uniform, Masked], [Scaled, Scatter], 0.97 + 0.4 * 4),
    "prune, freeze, 4 bits": ([Scatter, Uniform], [Scaled, Scatter], 0.97 + 0.4 * 4),
    "prune, 4 bits, prune again": ([Masked, Uniform, Masked], [Scaled, Scatter], 0.72 + 0.2 * 4),
    "4 bits, freeze, prune": ([Scaled, Masked], [Scaled, Scatter], 0.97 + 0.4 * 4),
    "binary channels, freeze, prune": ([Signed, Masked], [Signed, Scatter], 0.97 + 0.4),
    "prune, share, prune again": ([Codebook, Scatter, Masked], [Codebook, Scatter], 0.72 + 0.2 * 3),
}


def kinds(parameter):
    return [type(link) for link in parameter.parametrizations]


@pytest.mark.parametrize("acts", CHAINS)
def test_a_chain_trains_freezes_and_is_saved(acts):
    (training, frozen, bits), rng = CHAINS[acts], np.random.default_rng(0)
    model = Sequential([Linear(64, 48, rng=rng), BatchNorm(48), ReLU(), Linear(48, 48, rng=rng), BatchNorm(48), ReLU(),
                        Linear(48, 10, rng=rng)])
    weight, x = model.layers[3].weight, data.digits().test.x
    for act in acts.split(", "):
        ACTS[act](weight)
    fit(model, 3, 0)
    model.train(False)
    assert kinds(weight) == training and error(model, *data.digits().test) < 0.15
    masks = [link.mask for link in weight.parametrizations if isinstance(link, (Masked, Scatter))]
    assert not any(weight.forward()[~mask].any() for mask in masks), "what was pruned stays so"
    if Binary in training or Uniform in training:
        with pytest.raises(StorageError, match=r"Binary|Uniform"):
            storage.to_bytes(model)
    for precision in ("single", "half"):
        small = finished(model, precision)
        q = small.layers[3].weight
        assert kinds(q) == frozen
        few = frozen and (Binary in training or Uniform in training)  # a trained scale has all its bits, others few
        np.testing.assert_allclose(q.forward(), weight.forward(), rtol=0 if few else 1e-3, atol=0 if few else 1e-7)
        blob = storage.to_bytes(small)
        again = storage.from_bytes(blob)
        assert np.array_equal(predict(small, x), predict(again, x)) and storage.to_bytes(again) == blob
    assert len(storage.to_bytes(Sequential([small.layers[3]]))) < 48 * 48 * bits / 8 + 400


@pytest.mark.parametrize("acts", ["binary, binary", "4 bits, binary", "share, binary", "share, 4 bits",
                                  "4 bits, 4 bits", "4 bits, share", "binary, share", "share, share",
                                  "prune, share, binary"])
def test_a_wrong_order_is_refused_and_nothing_is_changed(acts):
    weight = Linear(12, 12, rng=0).weight
    *first, last = acts.split(", ")
    for act in first:
        ACTS[act](weight)
    before, optimizer = storage.to_bytes(finished(Sequential([holder(weight)]), "single")), Adam([weight], 1e-3)
    with pytest.raises(StateError, match="already"):
        ACTS[last](weight)
    assert storage.to_bytes(finished(Sequential([holder(weight)]), "single")) == before
    weight.backward(np.ones_like(weight.forward()))
    optimizer.step()  # not stale


def holder(weight):
    layer = Linear(12, 12, rng=0)
    layer.weight = weight
    return layer


def test_signs_outside_of_a_mask_revive_what_was_pruned():
    """The one wrong order that a chain cannot see: `binarize` puts signs first, whoever builds a chain must do so."""
    x, mask = np.random.default_rng(0).normal(size=(9, 9)), np.arange(81).reshape(9, 9) % 3 > 0
    right, wrong = Parameter(x, [Binary(), Masked(mask)]), Parameter(x, [Masked(mask), Binary()])
    for _ in range(2):
        assert not right.forward()[~mask].any() and (wrong.forward()[~mask] == 1).all()
        right.freeze(), wrong.freeze()
