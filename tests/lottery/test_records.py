"""Records: measuring, early stopping, the controls of a search, averages over seeds."""

import functools
import math

import numpy as np
import pytest

from minicompress.errors import RangeError
from minicompress.lottery.records import ARMS, Curve, Result, averages, compare, learn, search_again
from minicompress.lottery.tickets import densities, find_tickets, overlap
from minicompress.nn import Linear, ReLU, Sequential, error

TICKET, REINITIALIZED, RANDOM_MASK, LONGER = ARMS


def samples(n, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 4))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


TRAIN, VALIDATION, TEST = samples(200, 0), samples(60, 1), samples(80, 2)


def build(rng):
    return Sequential([Linear(4, 16, rng=rng), ReLU(), Linear(16, 2, rng=rng)])


def fit(steps=60, every=25, rng=0):
    return functools.partial(learn, samples=TRAIN, validation=VALIDATION, test=TEST, steps=steps, every=every, rng=rng,
                             batch=20, lr=1e-2)


def test_a_curve_is_measured_on_the_way_and_at_the_end():
    model = build(np.random.default_rng(0))
    curve = fit()(model)
    assert curve.steps.tolist() == [25, 50, 60]
    assert curve.tests[-1] == error(model, *TEST) and curve.errors[-1] == error(model, *VALIDATION)
    assert curve.losses[-1] < curve.losses[0] < math.log(2) + 0.1


def test_measuring_oftener_does_not_change_the_training():
    models = [build(np.random.default_rng(0)) for _ in range(2)]
    for model, every in zip(models, (60, 7), strict=True):
        fit(every=every)(model)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(*(m.parameters() for m in models), strict=True))


def test_stopping():
    curve = Curve(np.array([10, 20, 30, 40]), np.array([3, 1, 1, 2]), np.array([0.4, 0.2, 0.3, 0.1]), np.zeros(4))
    assert curve.stop() == 1
    assert [curve.first(level) for level in (0.5, 0.3, 0.1)] == [10, 20, 40]
    assert math.isnan(curve.first(0.05))


def test_every_round_has_its_controls():
    starts = []

    def watched(model):
        starts.append([p.forward().copy() for p in model.weights()])
        return fit()(model)

    results = compare(build, watched, 3, densities(2, 2))
    assert [(r.arm, r.round) for r in results] == [(TICKET, 0), *((arm, n) for n in (1, 2) for arm in ARMS)]
    dense, ticket, other, random, longer = (start[0] for start in starts[:5])
    assert np.array_equal(ticket != 0, other != 0) and not np.array_equal(ticket, other)
    assert np.count_nonzero(random) == np.count_nonzero(ticket) and np.array_equal(random, dense * (random != 0))
    assert not np.array_equal(longer, dense) and (longer != 0).all()  # it goes on from where it was
    for r in results:
        assert r.seed == 3 and (r.density < 1) == (r.round > 0 and r.arm != LONGER)
        assert r.layers == ((1, 1) if r.density == 1 else pytest.approx((0.8**r.round, 0.9**r.round), abs=0.02))
    assert repr(compare(build, fit(), 3, densities(2, 2))) == repr(results)  # as text, because of NaN


def test_controls_where_they_are_wanted():
    results = compare(build, fit(), 0, densities(2, 3), arms=(REINITIALIZED,), at=(2,))
    assert [(r.arm, r.round) for r in results if r.arm != TICKET] == [(REINITIALIZED, 2)]
    dense = next(r for r in results if r.round == 0)
    assert dense.first <= 60 and math.isnan(compare(build, fit(), 0, [[0.02, 0.1]], arms=())[1].first)


def test_a_search_again_changes_one_thing_at_a_time():
    calls = []

    def watched(model, rng):
        calls.append((model.weights()[0].forward().copy(), rng))
        return fit()(model)

    masks = search_again(build, watched, 1, densities(2, 2))
    (start, order), (same, another), (other, again) = calls  # three dense networks, and no ticket
    assert np.array_equal(start, same) and order != another
    assert not np.array_equal(start, other) and order == again
    assert list(masks) == ["first", "other order", "other start"]
    assert all([m.sum() for m in found] == counts for rounds in masks.values()
               for found, counts in zip(rounds, ([51, 29], [41, 26]), strict=True))
    assert all((after <= before).all() for before, after in zip(*masks["first"], strict=True))
    shared = {name: overlap(masks["first"][0][0], found[0][0]).shared for name, found in masks.items()}
    assert shared["first"] == 51 == shared["other order"] > shared["other start"]  # this fit ignores the order
    _, dense = find_tickets(build(np.random.default_rng(1)), fit(), densities(2, 1), one_shot=True)
    assert all(np.array_equal(a, b) for a, b in zip(dense.masks, masks["first"][0], strict=True))


def by_hand(*curves):
    """A fit that does not train, and answers with one curve after another."""
    answers = iter(curves)
    return lambda model: next(answers)


DENSE = Curve(np.array([10, 20, 30]), np.array([3.0, 1.0, 2.0]), np.array([0.30, 0.20, 0.25]),
              np.array([0.01, 0.28, 0.26]))
LATER = Curve(np.array([10, 20, 30]), np.array([3.0, 2.0, 1.0]), np.array([0.30, 0.26, 0.24]),
              np.array([0.02, 0.31, 0.33]))


def test_errors_are_read_off_where_the_validation_loss_is_least():
    dense, ticket = compare(build, by_hand(DENSE, LATER), 0, densities(2, 1), arms=())
    assert (dense.error, dense.last, dense.stop) == (0.28, 0.26, 20)  # not the least on the test images
    assert (ticket.error, ticket.last, ticket.stop) == (0.33, 0.33, 30)


@pytest.mark.parametrize(("margin", "first"), [(0.0, math.nan), (0.05, 30), (0.07, 20), (0.1, 10)])
def test_near_the_dense_network_means_within_the_margin(margin, first):
    _, ticket = compare(build, by_hand(DENSE, LATER), 0, densities(2, 1), arms=(), margin=margin)
    assert ticket.first == first or (math.isnan(ticket.first) and math.isnan(first))


def test_early_stopping_goes_back_to_the_least_validation_loss():
    models = [build(np.random.default_rng(0)) for _ in range(3)]
    settings = {"samples": TRAIN, "validation": VALIDATION, "test": TEST, "every": 5, "rng": 0, "batch": 20, "lr": 0.3}
    last = learn(models[0], steps=200, **settings)
    stopped = learn(models[1], steps=200, early_stopping=True, **settings)
    assert all(np.array_equal(a, b) for a, b in zip(last, stopped, strict=True))  # only read off
    stop = int(last.steps[last.stop()])
    assert stop < 200
    learn(models[2], steps=stop, **settings)  # trained so long and no longer
    plain, early, short = ([p.data for p in model.parameters()] for model in models)
    assert all(np.array_equal(a, b) for a, b in zip(early, short, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(early, plain, strict=True))


def test_what_early_stopping_kept_is_pruned():
    ends = []

    def stopped(model):
        curve = learn(model, TRAIN, VALIDATION, TEST, steps=200, every=5, rng=0, batch=20, lr=0.3, early_stopping=True)
        ends.append([p.forward().copy() for p in model.weights()])
        return curve

    _, ticket = find_tickets(build(np.random.default_rng(0)), stopped, [[0.5, 0.5]])
    for mask, w in zip(ticket.masks, ends[0], strict=True):
        assert np.abs(w[mask]).min() >= np.abs(w[~mask]).max()


def test_a_grid_reaches_the_optimizer():
    model = build(np.random.default_rng(0))
    before = [p.data.copy() for p in model.parameters()]
    learn(model, TRAIN, VALIDATION, TEST, steps=3, every=3, rng=0, grid=1e6)  # every gradient is rounded to 0
    assert all(np.array_equal(p.data, b) for p, b in zip(model.parameters(), before, strict=True))


def row(seed, arm, round, error, first=1.0):
    return Result(seed, arm, round, 0.5, (0.5,), error, 0.0, 10, first)


def test_averages_over_seeds():
    results = [row(seed, arm, 1, 0.1 * seed, math.nan if arm == RANDOM_MASK and seed == 2 else seed)
               for seed in (1, 2, 3) for arm in (TICKET, RANDOM_MASK)]
    ticket, random = averages(results, "error")
    assert (ticket.arm, ticket.round, ticket.density) == (TICKET, 1, 0.5) and random[1:] == ticket[1:]
    assert ticket.mean == pytest.approx(0.2) and ticket.half == pytest.approx(4.302653 * 0.1 / math.sqrt(3))
    ticket, random = averages(results, "first")
    assert ticket.mean == 2 and math.isnan(random.mean) and math.isnan(random.half)
    with pytest.raises(RangeError, match="at least 3"):
        averages(results[:4], "error")
    with pytest.raises(RangeError, match="error"):
        averages(results, "eror")
