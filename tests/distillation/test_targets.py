"""Targets: smoothing, averages of teachers, and outputs that are no logits."""

import math
import pickle
import warnings

import numpy as np
import pytest
from scipy.special import rel_entr
from scipy.special import softmax as scipy_softmax

from minicompress.distillation.losses import soft
from minicompress.distillation.targets import ensemble, from_labels, from_teacher, one_hot, teach
from minicompress.errors import LabelError, RangeError, ShapeError
from minicompress.nn import Adam, BatchNorm, Dropout, Linear, ReLU, Sequential, cross_entropy, predict, train

RNG = np.random.default_rng(0)
X = RNG.random((30, 4))
LABELS = np.arange(30) % 3
LOGITS = RNG.uniform(-3, 3, (4, 30, 3))


def net(seed, *last):
    return Sequential([Linear(4, 8, rng=seed), ReLU(), Linear(8, 3, rng=seed + 1), *last])


def test_smoothed_labels_are_distributions():
    t = one_hot(LABELS, 3, smoothing=0.3)
    np.testing.assert_allclose(t.sum(1), 1)
    np.testing.assert_allclose(t[1], [0.1, 0.8, 0.1])
    assert np.array_equal(one_hot(LABELS, 3), np.eye(3)[LABELS])
    assert np.array_equal(one_hot([1], 2, smoothing=1), [[0.5, 0.5]])
    with pytest.raises(LabelError):
        one_hot([3], 3)
    with pytest.raises(RangeError):
        one_hot(LABELS, 3, smoothing=10)


@pytest.mark.parametrize("T", [0.01, 1, 4, 100])
def test_averages_are_the_arithmetic_and_the_geometric_mean(T):
    members = scipy_softmax(LOGITS / T, 2)
    arithmetic = scipy_softmax(ensemble(LOGITS, "probabilities", T) / T, 1)
    np.testing.assert_allclose(arithmetic, members.mean(0), atol=1e-12)
    geometric = np.exp(np.log(members).mean(0))
    geometric /= geometric.sum(1, keepdims=True)
    np.testing.assert_allclose(scipy_softmax(ensemble(LOGITS, "logits") / T, 1), geometric, atol=1e-12)


def test_averages_differ_and_agree_in_the_heat():
    def gap(T):
        v = ensemble(LOGITS, "probabilities", T) - ensemble(LOGITS, "logits")
        return np.abs(v - v.mean(1, keepdims=True)).max()

    assert gap(1) > 0.1 and gap(1000) < 0.01 and gap(math.inf) == 0
    one = ensemble(LOGITS[:1], "probabilities", 2.0) - LOGITS[0]
    np.testing.assert_allclose(one, one[:, :1].repeat(3, 1), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_averages_keep_their_digits_at_every_temperature(dtype):
    """T log mean exp(v / T) = mean v + var v / (2 T) + …, centred: a second-order distance from the mean of logits."""
    logits = LOGITS.astype(dtype)
    z = (LOGITS - LOGITS.mean(2, keepdims=True)).astype(dtype).astype(np.float64)
    for T in (1e4, 1e8, 1e16, 1e90, 1e300):
        v = ensemble(logits, "probabilities", T)
        assert v.dtype == dtype
        expected = z.mean(0) + z.var(0) / (2 * T)
        expected -= expected.mean(1, keepdims=True)
        tolerance = 1e-6 if dtype == np.float32 else 1e-7 if T == 1e4 else 1e-14
        assert np.abs(v - v.mean(1, keepdims=True) - expected).max() < tolerance


def test_averages_survive_certain_teachers():
    v = ensemble(1000 * LOGITS, "probabilities", 0.01)
    np.testing.assert_allclose(scipy_softmax(v / 0.01, 1), scipy_softmax(1e5 * LOGITS, 2).mean(0), atol=1e-12)


@pytest.mark.parametrize("layer", [Dropout(0.5, rng=0), BatchNorm(8)])
def test_teachers_are_asked_in_evaluation_mode(layer):
    """Training mode would drop units, or normalise by the batch and move the running statistics."""
    teachers = [Sequential([Linear(4, 8, rng=s), layer, ReLU(), Linear(8, 3, rng=s + 1)]) for s in (0, 7)]
    before = pickle.dumps(teachers[0].state())
    plain = []
    for teacher in teachers:
        teacher.train(False)
        plain.append(teacher.forward(X))
        teacher.train()
    np.testing.assert_allclose(teach(teachers, X), np.mean(plain, 0), rtol=1e-12)
    np.testing.assert_allclose(teach(teachers[0], X), plain[0], rtol=1e-12)
    assert pickle.dumps(teachers[0].state()) == before and layer.training


@pytest.mark.parametrize("T", [1.0, 3.0])
def test_the_temperature_reaches_the_average(T):
    teachers = [net(0), net(7)]
    members = [scipy_softmax(10 * predict(t, X) / T, 1) for t in teachers]
    for t in teachers:
        t.layers[2].weight.data *= 10
        t.layers[2].bias.data *= 10
    v = teach(teachers, X, "probabilities", T)
    np.testing.assert_allclose(scipy_softmax(v / T, 1), np.mean(members, 0), atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("alpha", [None, 0.7])
def test_a_supervisions_loss_is_the_formula(alpha, reverse):
    """α is the teacher's share, and `reverse` arrives in the loss, with labels and without."""
    z, v, T = LOGITS[0], LOGITS[1] + 2 * np.eye(3)[LABELS], 3.0
    p, q = scipy_softmax(v / T, 1), scipy_softmax(z / T, 1)
    soft_part = T**2 * (rel_entr(q, p) if reverse else rel_entr(p, q)).sum(1).mean()
    hard_part = -np.log(scipy_softmax(z, 1)[np.arange(30), LABELS]).mean()
    if alpha is None:
        way, expected = from_teacher(X, v, T, reverse=reverse), soft_part
    else:
        way = from_teacher(X, v, T, labels=LABELS, alpha=alpha, reverse=reverse)
        expected = 0.3 * hard_part + 0.7 * soft_part
    assert way.loss(z, way.target)[0] == pytest.approx(expected, rel=1e-12)


def test_outputs_that_are_no_logits_are_noticed():
    with pytest.raises(RangeError, match="probabilities"):
        from_teacher(X, scipy_softmax(LOGITS[0], 1), 2)
    with pytest.warns(UserWarning, match="ReLU"):
        teach(net(0, ReLU()), X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teach(net(0), X)


def test_supervision_trains_as_it_is():
    v = LOGITS[0] + 3 * np.eye(3)[LABELS]
    ways = [from_labels(X, LABELS, 3), from_labels(X, LABELS, 3, smoothing=0.1), from_teacher(X, v, 2),
            from_teacher(X, v, math.inf), from_teacher(X, v, 2, labels=LABELS, alpha=0.7, reverse=True)]
    for way in ways:
        assert way.target.dtype == np.float64 and len(way.target) == 30
        student = net(3)
        *_, last = train(student, Adam(student.parameters(), 0.01), (way.x, way.target), epochs=20, rng=0, batch=10,
                         loss=way.loss, progress=False)
        assert last.loss < way.loss(predict(net(3), X), way.target)[0]
    assert np.array_equal(ways[4].target, np.hstack([np.eye(3)[LABELS], v]))
    assert ways[0].loss is cross_entropy


def test_a_selection_keeps_rows_together():
    way = from_teacher(X, LOGITS[0], 2)
    part = way.only(LABELS == 1)
    assert np.array_equal(part.x, X[1::3]) and np.array_equal(part.target, LOGITS[0, 1::3]) and part.loss is way.loss


def test_a_linear_student_reaches_a_linear_teacher_but_not_through_a_relu():
    """The mistake in a network: with a ReLU behind the logits the teacher cannot be matched."""
    teacher = Sequential([Linear(4, 3, rng=5)])
    way = from_teacher(X, teach(teacher, X), 2)
    reached = []
    for last in ([], [ReLU()]):
        student = Sequential([Linear(4, 3, rng=6), *last])
        for _ in train(student, Adam(student.parameters(), 0.05), (way.x, way.target), epochs=300, rng=0, batch=10,
                       loss=way.loss, progress=False):
            pass
        reached.append(soft(2)(predict(student, X), way.target)[0])
    assert 100 * reached[0] < reached[1]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="equal"):
        ensemble([LOGITS[0], LOGITS[0, :5]])
    with pytest.raises(ShapeError, match="one or more"):
        ensemble([])
    with pytest.raises(RangeError, match="average"):
        ensemble(LOGITS, "logit")
    for given in ({"labels": LABELS}, {"alpha": 0.5}):
        with pytest.raises(RangeError, match="go together"):
            from_teacher(X, LOGITS[0], 2, **given)
    with pytest.raises(ShapeError):
        from_teacher(X, LOGITS[0], 2, labels=LABELS[:-1], alpha=0.5)
