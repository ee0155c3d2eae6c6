"""Rewrites, losses and routing meet masks, codebooks, signs and grids: no family of techniques knows of another."""

import copy
import itertools

import numpy as np
import pytest

from minicompress import data, storage
from minicompress.architecture.low_rank import factorize
from minicompress.architecture.moments import input_moments
from minicompress.distillation.targets import from_teacher, teach
from minicompress.dynamic.exits import exit_errors, joint
from minicompress.dynamic.routing import ALWAYS, NEVER, exit_macs, route
from minicompress.ledger import count, finished
from minicompress.nn import Adam, BatchNorm, Linear, MultiExit, ReLU, Sequential, cross_entropy, error, predict, train
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked, Scatter
from minicompress.quantization.binary import Signed, binarize
from minicompress.quantization.conversion import to_integers
from minicompress.quantization.folding import fold_batch_norm
from minicompress.quantization.integer import simulated
from minicompress.quantization.sharing import Codebook, share
from minicompress.quantization.uniform import Scaled, Uniform, quantize

TRAIN, TEST = data.digits().train, data.digits().test


def network(seed, hidden=64):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(64, hidden, rng=rng), BatchNorm(hidden), ReLU(), Linear(hidden, hidden, rng=rng),
                       BatchNorm(hidden), ReLU(), Linear(hidden, 10, rng=rng)])


def fit(model, epochs, target=TRAIN.labels, loss=cross_entropy, lr=5e-3):
    optimizer = Adam(model.parameters(), lr)
    list(train(model, optimizer, (TRAIN.x, target), epochs=epochs, rng=0, loss=loss, progress=False))
    model.train(False)


def saved_and_loaded(model, x=TEST.x):
    """The bytes of the model's file, after a reload with equal outputs and a second save with equal bytes."""
    blob = storage.to_bytes(model)
    again = storage.from_bytes(blob)
    assert storage.to_bytes(again) == blob
    for y, z in zip(np.atleast_3d(predict(model, x)), np.atleast_3d(predict(again, x)), strict=True):
        assert np.array_equal(y, z)
    return blob


def kinds(model):
    return [[type(link) for link in weight.parametrizations] for weight in model.weights()]


@pytest.fixture(scope="module")
def dense():
    model = network(0)
    fit(model, 5)
    assert error(model, *TEST) < 0.07
    return model


def test_low_rank_then_pruned_then_shared_then_saved(dense):
    """Each stage makes the file smaller and leaves the work of the one before in place."""
    model = copy.deepcopy(dense)
    sizes = [len(saved_and_loaded(finished(model, "half")))]
    factorize(model, {"layers.0": 16, "layers.3": 16}, input_moments(model, TRAIN.x))
    assert error(model, *TEST) < error(dense, *TEST) + 0.1
    fit(model, 2)
    sizes.append(len(saved_and_loaded(finished(model, "half"))))
    prune(model.weights(), 0.5)
    fit(model, 2)
    zeros = [weight.forward() == 0 for weight in model.weights()]
    sizes.append(len(saved_and_loaded(finished(model, "half"))))
    for weight in model.weights():
        share(weight, 16)
    fit(model, 2)
    small = finished(model, "half")
    sizes.append(len(saved_and_loaded(small)))
    assert kinds(small) == [[Codebook, Scatter]] * 5
    assert all(np.array_equal(w.forward() == 0, zero) for w, zero in zip(small.weights(), zeros, strict=True))
    assert np.linalg.matrix_rank(small.weights()[1].forward() @ small.weights()[0].forward()) <= 16
    assert all(b < 0.75 * a for a, b in itertools.pairwise(sizes)), sizes
    assert error(small, *TEST) < 0.1


def test_pruned_then_low_rank_ends_the_mask(dense):
    """The other order is allowed, and pruning is then in vain: a product of thin factors has no zeros."""
    model = copy.deepcopy(dense)
    prune(model.weights(), 0.5)
    factorize(model, {"layers.0": 16})
    U, V = (layer.weight for layer in model.layers[0].layers[::-1])
    assert kinds(model) == [[], [], [Masked], [Masked]] and (U.forward() @ V.forward()).all()


def test_folded_then_quantized(dense):
    folded = fold_batch_norm(dense)
    np.testing.assert_allclose(predict(folded, TEST.x), predict(dense, TEST.x), atol=1e-9)
    assert [type(layer) for layer in folded.layers] == [Linear, ReLU, Linear, ReLU, Linear]
    whole = len(storage.to_bytes(finished(folded, "single")))
    prune(folded.weights(), 0.3)
    for weight in folded.weights():
        quantize(weight, 8, per_channel=True)
    integers = to_integers(folded, TRAIN.x)
    assert np.array_equal(integers(TEST.x), simulated(integers, TEST.x))
    assert np.mean(integers(TEST.x).argmax(1) != TEST.labels) < error(dense, *TEST) + 0.02
    small = finished(folded, "single")
    assert kinds(small) == [[Scaled]] * 3 and error(small, *TEST) < error(dense, *TEST) + 0.02
    assert len(saved_and_loaded(small)) < 0.35 * whole


def test_quantized_then_folded_leaves_the_grid(dense):
    """A rewrite bakes: the numbers are those of the grid, times each row's factor, and no longer codes."""
    model = copy.deepcopy(dense)
    prune([model.layers[0].weight], 0.5)
    quantize(model.layers[0].weight, 4)
    levels = len(np.unique(model.layers[0].weight.forward()))
    folded = fold_batch_norm(model)
    np.testing.assert_allclose(predict(folded, TEST.x), predict(model, TEST.x), atol=1e-9)
    assert kinds(folded)[0] == [] and len(np.unique(folded.layers[0].weight.forward())) > 10 * levels
    assert kinds(model)[0] == [Masked, Uniform]


STUDENTS = {  # how a small network is made smaller, what its weights are in a file, the bits of all in a dense one's 32
    "low rank": (lambda m: factorize(m, {"layers.0": 8, "layers.3": 8}), [[]] * 5, 18),
    "pruned": (lambda m: prune(m.weights(), 0.7), [[Scatter]] * 3, 14),
    "binary": (lambda m: binarize(m.weights()), [[Signed]] * 3, 8),
    "low rank, pruned": (lambda m: (STUDENTS["low rank"][0](m), prune(m.weights(), 0.5)), [[Scatter]] * 5, 13),
    "pruned, binary": (lambda m: (prune(m.weights(), 0.5), STUDENTS["binary"][0](m)), [[Signed, Scatter]] * 3, 8),
    "shared": (lambda m: [share(w, 8) for w in m.weights()], [[Codebook]] * 3, 10),
}


@pytest.fixture(scope="module")
def thin():
    model = network(1, hidden=32)
    fit(model, 3)
    return model


@pytest.mark.parametrize("way", STUDENTS)
def test_a_student_of_any_kind_learns_from_a_teacher(way, thin, dense):
    make, expected, bits = STUDENTS[way]
    student, before = copy.deepcopy(thin), storage.to_bytes(dense)
    full = len(storage.to_bytes(finished(student, "single")))
    make(student)
    start = error(student, *TEST)
    zeros = [weight.forward() == 0 for weight in student.weights()]
    logits = teach(dense, TRAIN.x)
    task = from_teacher(TRAIN.x, logits, 4.0)
    fit(student, 4, task.target, task.loss)
    assert error(student, *TEST) < min(start - 0.02, 0.15)
    assert np.mean(predict(student, TRAIN.x).argmax(1) == logits.argmax(1)) > 0.85
    small = finished(student, "single")
    assert kinds(small) == expected
    assert all(np.array_equal(w.forward() == 0, zero) for w, zero in zip(small.weights(), zeros, strict=True))
    assert len(saved_and_loaded(small)) < full * bits / 32
    assert storage.to_bytes(dense) == before, "the teacher stays as it was"


def exits():
    """Three stages: one that will be pruned, a binary one, and one of low rank."""
    rng, stages, leave = np.random.default_rng(0), [], []
    for n_in in (64, 40, 40):
        stages.append(Sequential([Linear(n_in, 40, rng=rng), BatchNorm(40), ReLU()]))
        leave.append(Linear(40, 10, rng=rng))
    return MultiExit(stages, leave)


def test_exits_on_stages_of_all_kinds_route_as_they_compute():
    model = exits()
    full, dear = len(storage.to_bytes(finished(model, "single"))), exit_macs(model, TEST.x[:1])
    factorize(model, {"stages.2.layers.0": 8})
    prune([model.stages[0].layers[0].weight, *(leave.weight for leave in model.exits)], 0.6)
    binarize([model.stages[1].layers[0].weight])
    fit(model, 4, loss=joint())
    assert (exit_errors(model, *TEST) < 0.15).all()
    cheap = exit_macs(model, TEST.x[:1])
    assert (dear - cheap).tolist() == [0, 0, 40 * 40 - 8 * (40 + 40)], "a low rank is fewer products, a mask is not"
    small = finished(model, "single")
    assert kinds(small) == [[Scatter], [Signed], [], [], [Scatter], [Scatter], [Scatter]]
    blob = saved_and_loaded(small)
    assert len(blob) < 0.6 * full
    again = storage.from_bytes(blob)
    outputs = predict(small, TEST.x)
    for thresholds in (NEVER, ALWAYS, 0.5, [0.2, 0.8]):
        first, second = route(small, TEST.x, thresholds), route(again, TEST.x, thresholds)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        same = np.stack(outputs)[first.exits, np.arange(len(TEST.x))]
        np.testing.assert_allclose(first.outputs, same, rtol=1e-4, atol=1e-4)
        assert first.macs == cheap[first.exits].sum()
        if thresholds == 0.5:
            assert len(np.unique(first.exits)) == 3 and first.macs < len(TEST.x) * cheap[-1]
    assert count(small.weights())[2] < 0.7 * count(model.weights())[0]
