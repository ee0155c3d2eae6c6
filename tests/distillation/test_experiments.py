"""Experiments: every student starts alike, sees what its name says, and follows from the seed."""

import copy
import pickle

import numpy as np
import pytest

from minicompress.distillation.experiments import (
    HARD,
    LOGITS,
    ONE,
    PROBABILITIES,
    SMOOTHED,
    at,
    by_size,
    compare,
    copied,
    ensembles,
    mislabel,
    never_seen,
    pruned,
    shares,
    ways,
)
from minicompress.distillation.losses import soft
from minicompress.distillation.targets import ensemble, from_labels, one_hot, teach
from minicompress.errors import RangeError, ShapeError
from minicompress.nn import Adam, Linear, ReLU, Sequential, cross_entropy, error, predict, softmax, train
from minicompress.pruning.masks import Masked

RNG = np.random.default_rng(0)
LABELS = np.arange(300) % 3
ANGLE = LABELS * 2 * np.pi / 3  # three clouds: the centre of each is the same distance from the others
X = 2 * np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1) + RNG.uniform(-1.2, 1.2, (300, 2))


def net(hidden=8, seed=0):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(2, hidden, rng=rng), ReLU(), Linear(hidden, 3, rng=rng)])


def fit(model, way, epochs=20):
    for _ in train(model, Adam(model.parameters(), 0.02), (way.x, way.target), epochs=epochs, rng=0, batch=20,
                   loss=way.loss, progress=False):
        pass


def measure(model):
    return error(model, X, LABELS)


@pytest.fixture(scope="module")
def teacher():
    model = net(32, 1)
    fit(model, from_labels(X, LABELS, 3), 40)
    return model


def test_the_ways_are_what_their_names_say(teacher):
    v = teach(teacher, X)
    found = ways(X, LABELS, v, [1, 4, np.inf], smoothing=0.2)
    assert list(found) == [HARD, SMOOTHED, "T = 1", at(4), "T = inf"]
    assert np.array_equal(found[HARD].target, np.eye(3)[LABELS])
    assert np.array_equal(found[SMOOTHED].target, one_hot(LABELS, 3, smoothing=0.2))
    assert all(np.array_equal(found[at(T)].target, v) for T in (1, 4, np.inf))
    mixed = ways(X, LABELS, v, [4], alpha=0.9)[at(4)]
    assert np.array_equal(mixed.target, np.hstack([np.eye(3)[LABELS], v]))
    logits = [teach(net(8, s), X) for s in range(5)]
    averaged = ensembles(X, logits, 2)
    assert np.array_equal(averaged[ONE].target, logits[0])
    assert np.array_equal(averaged[LOGITS].target, ensemble(logits))
    assert np.array_equal(averaged[PROBABILITIES].target, ensemble(logits, "probabilities", 2))
    for way in averaged.values():
        assert way.loss(v, way.target)[0] == soft(2)(v, way.target)[0]
    q, members = softmax(averaged[PROBABILITIES].target / 2), np.array([softmax(z / 2) for z in logits])
    np.testing.assert_allclose(q, members.mean(0), atol=1e-12)
    value = found[at(4)].loss(logits[1], v)[0]
    assert value == soft(4)(logits[1], v)[0] and mixed.loss(logits[1], mixed.target)[0] == pytest.approx(
        0.1 * cross_entropy(logits[1], LABELS)[0] + 0.9 * value)


def test_every_student_starts_alike_and_is_trained_once(teacher):
    starts = []

    def note(model, way):
        starts.append((copy.deepcopy(model.state()), way))
        model.layers[0].bias.data += len(starts)

    taught = ways(X, LABELS, teach(teacher, X), [1, 4])
    results = compare(net, note, lambda model: model.layers[0].bias.data[0], taught)
    assert [way is taught[name] for name, (_, way) in zip(taught, starts, strict=True)] == [True] * 4
    assert all(np.array_equal(state[k], net().state()[k]) for state, _ in starts for k in state)
    assert list(results.values()) == [1, 2, 3, 4]


def test_students_learn_and_results_follow_from_the_seed(teacher):
    taught = ways(X, LABELS, teach(teacher, X), [4])
    builds = {h: lambda h=h: net(h) for h in (2, 16)}
    found = by_size(builds, fit, measure, taught)
    assert max(found[16].values()) < 0.1
    assert found == by_size(builds, fit, measure, taught)


def test_a_pruned_student_stays_pruned_and_its_teacher_dense(teacher):
    before = copy.deepcopy(teacher.state())
    build = pruned(teacher, 0.5)

    def left(model):
        return sum(np.count_nonzero(w.forward()) for w in model.weights()), measure(model)

    found = compare(build, fit, left, ways(X, LABELS, teach(teacher, X), [4]))
    assert {count for count, _ in found.values()} == {80} and found[at(4)][1] < 0.1
    assert all(np.array_equal(teacher.state()[k], before[k]) for k in before)
    assert build() is not build() and any(isinstance(p, Masked) for w in build().weights() for p in w.parametrizations)


def test_a_class_never_seen_comes_from_the_teacher_and_the_prior(teacher):
    """Class 2 is missing: without a shift only the teacher's student knows it, and it needs the smaller one."""
    seen = []

    def watch(model, way):
        seen.append(way)
        fit(model, way, 60)

    def recall(model):
        return float(np.mean(predict(model, X[LABELS == 2]).argmax(1) == 2))

    prior = shares(LABELS, [2])
    assert prior == {2: pytest.approx(1 / 3)}
    found = never_seen(net, watch, recall, ways(X, LABELS, teach(teacher, X), [4]), LABELS, [0, 1], X, prior)
    assert all(len(way.x) == 200 and np.array_equal(way.x, X[LABELS != 2]) for way in seen)
    soft, hard = found[at(4)], found[HARD]
    assert hard.before == 0 and soft.before > 0.8 and soft.after >= soft.before and soft.shift[2] < hard.shift[2]
    assert all(not u.shift[:2].any() and u.shift[2] != 0 for u in found.values())
    pickle.dumps(found)


def test_the_shift_is_made_before_the_second_measurement(teacher):
    """On the unlabelled inputs, which are not those of the transfer set, the shares are met."""
    unlabelled = np.random.default_rng(5).uniform(-3, 3, (70, 2))

    def mean_probability(model):
        return softmax(predict(model, unlabelled)).mean(0)

    taught = ways(X, LABELS, teach(teacher, X), [])
    found = never_seen(net, fit, mean_probability, taught, LABELS, [0], unlabelled, {1: 0.3, 2: 0.2})
    for unseen in found.values():
        assert not np.allclose(unseen.before[1:], [0.3, 0.2], atol=0.05)
        np.testing.assert_allclose(unseen.after[1:], [0.3, 0.2], atol=1e-6)


def test_no_class_is_no_transfer_set(teacher):
    with pytest.raises(RangeError, match="no sample"):
        never_seen(net, fit, measure, ways(X, LABELS, teach(teacher, X), []), LABELS, [5], X, {2: 0.3})
    with pytest.raises(ShapeError):
        never_seen(net, fit, measure, ways(X, LABELS, teach(teacher, X), []), LABELS[1:], [0], X, {2: 0.3})


def test_mistakes_are_made_as_often_as_asked_and_swaps_do_not_chase_each_other():
    wrong = mislabel(LABELS, {0: 1}, 0.7, rng=0)
    assert np.sum(wrong != LABELS) == 70 and set(wrong[wrong != LABELS]) == {1}
    swapped = mislabel(LABELS, {0: 1, 1: 0}, rng=0)
    assert np.array_equal(swapped, np.array([1, 0, 2])[LABELS])
    assert np.array_equal(wrong, mislabel(LABELS, {0: 1}, 0.7, rng=0))
    assert np.array_equal(LABELS, np.arange(300) % 3)
    with pytest.raises(RangeError):
        mislabel(LABELS, {0: 1}, 70, rng=0)


def test_copied_errors_need_the_same_wrong_class():
    labels = np.array([0, 0, 0, 1])
    teacher, student = np.eye(3)[[1, 2, 0, 0]], np.eye(3)[[1, 1, 2, 0]]
    assert copied(student, teacher, labels) == pytest.approx(2 / 3)
    assert np.isnan(copied(student, np.eye(3)[labels], labels))


@pytest.mark.filterwarnings("ignore:the teacher is right in")
def test_a_wrong_teacher_is_copied(teacher):
    wrong = net(32, 1)
    fit(wrong, from_labels(X, mislabel(LABELS, {0: 1, 1: 0}, rng=0), 3), 40)
    v = teach(wrong, X)
    share = compare(net, fit, lambda model: copied(predict(model, X), v, LABELS), ways(X, LABELS, v, [1, 4]))
    assert min(share[at(1)], share[at(4)]) > 0.9 and share[HARD] < 0.1
