"""The surgeon: the recursion gives the inverse, its step is the best one, and what is deleted stays deleted."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import storage
from minicompress.errors import RangeError, ShapeError
from minicompress.nn import GRID, SGD, Conv2d, Flatten, Linear, Sequential, Sigmoid, Tanh, predict, train
from minicompress.nn import mean_squared_error as mse
from minicompress.pruning import obs
from minicompress.pruning.magnitude import prune
from minicompress.pruning.obd import saliencies
from minicompress.quantization.sharing import share

SEEDS = st.integers(0, 10_000)


def network(seed=0, outputs=2):
    rng = np.random.default_rng(seed)
    model = Sequential([Linear(4, 3, rng=rng), Tanh(), Linear(3, outputs, rng=rng), Sigmoid()])
    for p in model.parameters():
        p.data[...] = rng.uniform(-1, 1, p.shape)
    return model


def samples(seed=0, n=30, outputs=2):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, 4)), rng.uniform(0, 1, (n, outputs))


def flat(model):
    return np.concatenate([p.forward().ravel() for p in model.parameters()])


def hessian(seed, rows=12, size=6, alpha=1e-3):
    X = np.random.default_rng(seed).uniform(-1, 1, (rows, size))
    return X, X.T @ X + alpha * np.eye(size)


def test_output_gradients_are_the_derivatives_of_each_output():
    model, (x, _) = network(), samples()
    X = obs.output_gradients(model, x)
    assert X.shape == (2 * len(x), flat(model).size)
    column, step = 0, 1e-6
    for p in model.parameters():
        for place in np.ndindex(p.shape):
            kept, sides = p.data[place], []
            for h in (step, -step):
                p.data[place] = kept + h
                sides.append(predict(model, x))
            p.data[place] = kept
            np.testing.assert_allclose(X[:, column], ((sides[0] - sides[1]) / (2 * step)).T.ravel(), atol=1e-8)
            column += 1
    assert all(p.fresh for p in model.parameters()) and model.training


def test_a_shared_parameter_gets_the_sum_of_its_places():
    rng = np.random.default_rng(0)
    first, second = Linear(3, 3, rng=rng, bias=False), Linear(3, 3, rng=rng, bias=False)
    x = rng.uniform(-1, 1, (5, 3))
    second.weight.data[...] = first.weight.data
    apart = obs.output_gradients(Sequential([first, Tanh(), second]), x)
    second.weight = first.weight
    shared = obs.output_gradients(Sequential([first, Tanh(), second]), x)
    np.testing.assert_allclose(shared, apart[:, :9] + apart[:, 9:])


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.sampled_from([1, 2, 5, 100]), st.sampled_from([1e-4, 1e-2, 1.0]), st.sampled_from([8, 30]))
def test_the_recursion_gives_the_inverse_also_with_fewer_rows_than_weights(seed, block, alpha, size):
    X, H = hessian(seed, rows=20, size=size, alpha=alpha)
    inverse = np.linalg.inv(H)
    np.testing.assert_allclose(obs.inverse_hessian(X, alpha, block), inverse, rtol=0, atol=1e-8 * np.abs(inverse).max())


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(0, 5))
def test_a_deleted_weight_leaves_the_inverse_by_its_schur_complement(seed, q):
    _, H = hessian(seed)
    stay = np.arange(len(H)) != q
    np.testing.assert_allclose(obs.without(np.linalg.inv(H), q), np.linalg.inv(H[np.ix_(stay, stay)]), rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_the_surgeon_finds_the_cheapest_change_that_zeroes_a_weight(seed):
    """Against constrained minimization, weight by weight: with w_q fixed at 0 the others solve a linear system."""
    _, H = hessian(seed)
    w = np.random.default_rng(seed + 1).uniform(-1, 1, len(H))
    costs = []
    for i in range(len(H)):
        stay = np.arange(len(H)) != i
        change = -w * ~stay
        change[stay] = np.linalg.solve(H[np.ix_(stay, stay)], H[stay, i] * w[i])
        costs.append(change @ H @ change / 2)
    q, L, change = obs.surgeon(w, np.linalg.inv(H), H.diagonal())
    assert q == np.argmin(costs)
    np.testing.assert_allclose([L, change @ H @ change / 2], min(costs), rtol=1e-6)
    np.testing.assert_allclose(w[q] + change[q], 0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_no_rule_expects_less_than_the_surgeon(seed):
    _, H = hessian(seed)
    w, A, h = np.random.default_rng(seed + 1).uniform(-1, 1, len(H)), np.linalg.inv(H), H.diagonal()
    for rule in (obs.damage, obs.magnitude):
        q, predicted, change = rule(w, A, h)
        assert np.count_nonzero(change) == 1 and w[q] + change[q] == 0
        np.testing.assert_allclose(predicted, change @ H @ change / 2)  # exact for one weight alone
        assert obs.surgeon(w, A, h)[1] <= predicted * (1 + 1e-9)


def test_on_a_diagonal_hessian_surgeon_and_damage_agree():
    w, h = np.array([1.0, -2.0, 0.5]), np.array([1.0, 0.1, 3.0])
    for one, other in zip(obs.surgeon(w, np.diag(1 / h), h), obs.damage(w, np.diag(1 / h), h), strict=True):
        np.testing.assert_allclose(one, other)
    assert obs.damage(w, np.diag(1 / h), h)[0] == 1 and obs.magnitude(w, np.diag(1 / h), h)[0] == 2


def test_a_linear_network_is_quadratic_so_that_the_prediction_is_exact():
    """At the minimum of E + α/2 |w|² the predicted rise is the rise, deletion after deletion."""
    rng, alpha = np.random.default_rng(0), 0.01
    x, target = rng.uniform(-1, 1, (40, 5)), rng.uniform(-1, 1, (40, 1))
    X = np.hstack([x, np.ones((40, 1))]) * np.sqrt(2 / 40)
    best = np.linalg.solve(X.T @ X + alpha * np.eye(6), X.T @ target[:, 0] * np.sqrt(2 / 40))
    model = Linear(5, 1, rng=rng)
    model.weight.data[...], model.bias.data[...] = best[:5], best[5]

    def objective():
        return mse(predict(model, x), target)[0] + alpha / 2 * (flat(model) ** 2).sum()

    before = objective()
    for step in obs.optimal_brain_surgeon(model, (x, target), alpha=alpha):
        after = objective()
        np.testing.assert_allclose(after - before, step.predicted, atol=1e-7)  # the grid
        before = after
    assert not flat(model).any()


@pytest.mark.parametrize("rule", ["surgeon", "damage", "magnitude", obs.damage])
@pytest.mark.parametrize("refresh", [1, 4])
def test_deleted_weights_stay_deleted_one_more_each_step(rule, refresh):
    model, gone = network(), set()
    for i, step in enumerate(obs.optimal_brain_surgeon(model, samples(), rule=rule, refresh=refresh)):
        gone.add(step.q)
        w = flat(model)
        assert not w[list(gone)].any() and step.weights == w.size - i - 1 == w.size - len(gone)
        assert step.loss == mse(predict(model, samples()[0]), samples()[1])[0]
        np.testing.assert_array_equal(w, np.concatenate([p.data.ravel() for p in model.parameters()]))
        if rule == "surgeon":
            np.testing.assert_array_equal(np.rint(w / GRID) * GRID, w)
    assert step.weights == 0


def test_between_refreshes_the_schur_complement_is_the_hessian_of_the_survivors():
    """A linear network's Hessian does not depend on its weights, so that refreshing it changes nothing."""
    every, never = (list(obs.optimal_brain_surgeon(Linear(4, 1, rng=0), samples(outputs=1), refresh=refresh))
                    for refresh in (1, 5))
    assert [s.q for s in every] == [s.q for s in never]
    np.testing.assert_allclose([s.predicted for s in every], [s.predicted for s in never], rtol=1e-5)


def test_it_stops_before_a_deletion_that_costs_too_much():
    whole = list(obs.optimal_brain_surgeon(network(), samples(), alpha=1e-3))
    limit = max(step.predicted for step in whole[:4])
    model = network()
    done = list(obs.optimal_brain_surgeon(model, samples(), alpha=1e-3, most=limit))
    assert done == whole[: len(done)] and 4 <= len(done) < len(whole) and whole[len(done)].predicted > limit
    assert np.count_nonzero(flat(model)) == flat(model).size - len(done)


def test_damage_is_optimal_brain_damage_with_the_gauss_newton_diagonal():
    model, data = network(), samples()
    expected = saliencies(model, mse, data, second_derivative=False)
    s = np.concatenate([expected[p].ravel() for p in model.parameters()])
    step = next(obs.optimal_brain_surgeon(model, data, alpha=1e-12, rule="damage"))
    assert step.q == s.argmin()
    np.testing.assert_allclose(step.predicted, s.min(), rtol=1e-6)


def test_what_is_pruned_already_stays_and_the_result_is_an_ordinary_pruned_model(tmp_path):
    model, (x, target) = network(), samples()
    prune(model.weights(), 0.3)
    zeros = flat(model) == 0
    for step in obs.optimal_brain_surgeon(model, (x, target)):
        assert not flat(model)[zeros].any() and not zeros[step.q]
        if step.weights == 8:
            break
    list(train(model, SGD(model.parameters(), 0.1), (x, target), epochs=4, rng=0, loss=mse, progress=False))
    assert np.count_nonzero(flat(model)) == 8
    outputs = predict(model, x)
    for p in model.parameters():
        p.freeze()
    assert sum(p.data.size for p in model.parameters()) == 8
    storage.save(tmp_path / "small.mcz", model)
    np.testing.assert_array_equal(predict(storage.load(tmp_path / "small.mcz"), x), outputs)


def test_errors_come_before_anything_is_changed():
    data, wide = samples(), (samples()[0], np.zeros((30, 3)))
    shared = network()
    share(shared.layers[0].weight, 4)
    filters = Sequential([Conv2d(1, 1, 1, rng=0), Flatten()]), (np.ones((2, 1, 1, 1)), np.ones((2, 1)))
    for model, data_given, keywords, expected in [
        (shared, data, {}, RangeError), (*filters, {}, RangeError), (network(), wide, {}, ShapeError),
        (network(), data, {"alpha": 0}, RangeError), (network(), data, {"rule": "surgeons"}, RangeError),
        (network(), data, {"refresh": 0}, RangeError)]:
        before = copy.deepcopy(model)
        with pytest.raises(expected):
            next(obs.optimal_brain_surgeon(model, data_given, **keywords))
        for p, q in zip(model.parameters(), before.parameters(), strict=True):
            np.testing.assert_array_equal(p.data, q.data)
            assert len(p.parametrizations) == len(q.parametrizations)
