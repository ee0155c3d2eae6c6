"""Masks remove exactly what they should, for good, and a finished network stores only what is left."""

import copy
import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicompress.errors import RangeError, ShapeError
from minicompress.nn import SGD, Adam, Linear, Parameter, ReLU, Sequential, train
from minicompress.pruning.magnitude import (
    cubic,
    geometric,
    keep_largest,
    kept_count,
    prune,
    prune_gradually,
    prune_iteratively,
)
from minicompress.pruning.masks import Scatter
from minicompress.quantization.sharing import Codebook, share


def network(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(6, 8, rng=rng), ReLU(), Linear(8, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng)])


def samples():
    rng = np.random.default_rng(1)
    return rng.normal(size=(30, 6)), rng.integers(0, 3, 30)


def kept(model):
    return sum(np.count_nonzero(p.forward()) for p in model.weights())


def fit(model, optimizer=SGD, epochs=20, batch=30, **settings):
    """The records of a training."""
    return train(model, optimizer(model.parameters(), 0.1), samples(), epochs=epochs, batch=batch, rng=0,
                 progress=False, **settings)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.data())
def test_counts_are_exact_under_ties_and_the_lower_index_stays(values, data):
    scores = np.array(values, float)
    count = data.draw(st.integers(0, len(values)))
    mask = keep_largest(scores, count)
    assert mask.sum() == count
    ranked = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert set(np.flatnonzero(mask)) == set(ranked[:count])


def test_large_negative_weights_stay():
    parameter = Parameter(np.array([-5.0, 0.1, 2.0, -0.2]))
    prune([parameter], 0.5)
    assert parameter.forward().tolist() == [-5.0, 0, 2.0, 0]  # a threshold on w instead of |w| would cut -5


@pytest.mark.parametrize(("size", "sparsity", "kept"), [
    (10, 0.0, 10), (10, 1.0, 0), (7, 0.5, 3), (266_200, 0.9, 26_620),
])
def test_the_kept_count_is_the_rounded_one(size, sparsity, kept):
    assert kept_count(size, sparsity) == kept


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_pruned_weights_stay_zero_through_training(optimizer):
    model = network()
    prune(model.weights(), 0.6)
    before = [p.forward() == 0 for p in model.weights()]
    list(fit(model, optimizer))
    for p, zero in zip(model.weights(), before, strict=True):
        assert (p.forward()[zero] == 0).all() and (p.forward()[~zero] != 0).any()


def test_a_global_ranking_joins_the_layers_and_a_layerwise_one_does_not():
    model = network()
    model.weights()[0].data[...] *= 3
    prune(model.weights(), 0.5)
    shares = [np.count_nonzero(p.forward()) / p.data.size for p in model.weights()]
    assert kept(model) == kept_count(6 * 8 + 8 * 5 + 5 * 3, 0.5) and shares[0] > 0.7 > shares[1]
    model = network()
    prune(model.weights(), [0.5, 0.25, 0.2], scope="layerwise")
    assert [np.count_nonzero(p.forward()) for p in model.weights()] == [24, 30, 12]


def test_what_is_pruned_never_comes_back_even_beside_zero_survivors():
    parameter = Parameter(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    prune([parameter], 0.4)
    parameter.data[2:] = 0  # survivors that training brought to zero: |w| is 0 for them and for the pruned
    prune([parameter], 0.6)
    assert parameter.parametrizations[-1].mask.tolist() == [False, False, True, True, False]
    assert len(parameter.parametrizations) == 1


def test_sparsity_zero_changes_nothing_and_one_warns():
    model = network()
    before = [p.forward().copy() for p in model.weights()]
    prune(model.weights(), 0.0)
    assert all(np.array_equal(a, p.forward()) for a, p in zip(before, model.weights(), strict=True))
    with pytest.warns(UserWarning, match="lost all its entries"):
        prune([model.weights()[0]], 1.0)
    assert not model.weights()[0].forward().any()


def test_min_keep_saves_a_layer_from_collapse():
    model = network()
    model.weights()[2].data[...] *= 1e-6
    prune(model.weights(), 0.8, min_keep=2)
    assert np.count_nonzero(model.weights()[2].forward()) == 2


@pytest.mark.parametrize("sparsity", [-0.2, 1.2, float("nan")])
def test_sparsities_outside_the_unit_interval_are_refused(sparsity):
    model = network()
    with pytest.raises(RangeError):
        prune(model.weights(), sparsity)
    assert not any(p.parametrizations for p in model.weights())


def test_a_percentage_gets_a_hint():
    with pytest.raises(RangeError, match=r"Did you mean 0\.8\?"):
        prune(network().weights(), 80)


def test_other_mistakes_are_named():
    with pytest.raises(RangeError, match="layerwise"):
        prune(network().weights(), [0.5, 0.5, 0.5])
    with pytest.raises(ShapeError):
        prune(network().weights(), [0.5], scope="layerwise")
    with pytest.raises(RangeError, match="'global'"):
        prune(network().weights(), 0.5, scope="globl")


def test_prune_then_share_is_the_storage_layout():
    model = network()
    prune(model.weights(), 0.5)
    share(model.weights()[0], 4)
    weight = model.weights()[0]
    assert [type(p) for p in weight.parametrizations] == [Codebook, Scatter] and weight.data.shape == (4,)
    zero = weight.forward() == 0
    list(fit(model))
    assert (weight.forward()[zero] == 0).all()
    prune([weight], 0.7)  # pruning what is shared already: still exact, and frozen to the same layout
    assert np.count_nonzero(weight.forward()) == kept_count(48, 0.7)
    weight.freeze()
    assert [type(p) for p in weight.parametrizations] == [Codebook, Scatter]


def test_schedules_end_where_they_should_and_never_rise():
    for schedule in (geometric, cubic):
        densities = schedule(0.05, 6)
        assert len(densities) == 6 and densities[-1] == pytest.approx(0.05)
        assert sorted(densities, reverse=True) == densities
    assert geometric(0.25, 2)[0] == pytest.approx(0.5)
    assert cubic(0.0, 2)[0] == pytest.approx(0.125)


def test_twenty_percent_a_round_gives_the_known_densities():
    percents = [round(100 * d, 1) for d in geometric(0.8**15, 15)]
    assert percents == [80.0, 64.0, 51.2, 41.0, 32.8, 26.2, 21.0, 16.8, 13.4, 10.7, 8.6, 6.9, 5.5, 4.4, 3.5]


def test_iterative_pruning_retrains_after_each_round():
    model, seen = network(), []

    def retrain():
        seen.append(kept(model))

    assert list(prune_iteratively(model.weights(), [0.5, 0.2], retrain)) == [0.5, 0.2]
    assert seen == [51, 21]


def test_gradual_pruning_keeps_one_optimizer_and_every_record():
    model, built, seen = network(), [], []

    def start():
        built.append(Adam(model.parameters(), 0.01))
        return train(model, built[0], samples(), epochs=5, batch=10, rng=0, progress=False)

    for record in prune_gradually(model.weights(), [0.6, 0.4, 0.3], start):
        seen.append((record.epoch, kept(model)))
    assert seen == [(1, 62), (2, 41), (3, 31), (4, 31), (5, 31)]
    assert len(built) == 1 and built[0].t == 15


def test_gradual_pruning_to_density_one_trains_the_same_network():
    gradual, plain = network(), network()
    list(prune_gradually(gradual.weights(), [1.0, 1.0], lambda: fit(gradual, epochs=3)))
    list(fit(plain, epochs=3))
    for a, b in zip(gradual.weights(), plain.weights(), strict=True):
        assert np.array_equal(a.forward(), b.forward())


class Memory:
    kept = None

    def load(self):
        return copy.deepcopy(self.kept)

    def save(self, state):
        self.kept = copy.deepcopy(state)


def test_gradual_pruning_resumes_to_the_same_bits():
    """A checkpoint holds the masks, and the records that it plays back prune nothing that was not pruned before."""
    networks, memory = [network() for _ in range(3)], Memory()
    for model, saver, epochs in zip(networks, [None, memory, memory], [None, 3, None], strict=True):
        start = functools.partial(fit, model, Adam, epochs=6, batch=10, saver=saver)
        list(itertools.islice(prune_gradually(model.weights(), cubic(0.2, 4), start), epochs))
    whole, _, resumed = networks
    assert kept(resumed) == kept(whole) == 21
    for a, b in zip(resumed.weights(), whole.weights(), strict=True):
        assert np.array_equal(a.forward(), b.forward())
