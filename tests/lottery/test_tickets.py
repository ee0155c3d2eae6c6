"""Tickets: which weights stay, where they start, what the controls share with them, and how much chance shares."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import RangeError, ShapeError, StateError
from minicompress.lottery import tickets
from minicompress.lottery.tickets import densities, find_tickets, large_final, masked, overlap, shuffled, tighten
from minicompress.nn import Linear, ReLU, Sequential
from minicompress.pruning.masks import Masked

PAPER = [80.0, 64.1, 51.3, 41.1, 32.9, 26.3, 21.1, 16.9, 13.5, 10.8, 8.7, 7.0, 5.6, 4.5, 3.6]  # percent


def network(seed=0, sizes=(6, 8, 5)):
    rng = np.random.default_rng(seed)
    layers = [part for a, b in itertools.pairwise(sizes) for part in (Linear(a, b, rng=rng), ReLU())]
    return Sequential(layers[:-1])


class Trainer:
    """A fit that moves every number at random, and remembers what it was given and what came of it."""

    def __init__(self, seed=1):
        self.rng, self.starts, self.ends = np.random.default_rng(seed), [], []

    def __call__(self, model):
        self.starts.append([p.forward().copy() for p in model.parameters()])
        for p in model.parameters():
            p.data += self.rng.uniform(-1, 1, p.data.shape)
        self.ends.append([p.forward().copy() for p in model.weights()])
        return len(self.ends)


def keeps_the_largest(before, after, final):
    """Whether of what was left before, in every layer, the kept are at least as large as the removed."""
    pairs = [(np.abs(w)[m], np.abs(w)[b & ~m]) for b, m, w in zip(before, after, final, strict=True)]
    return all(kept.min(initial=np.inf) >= removed.max(initial=0) for kept, removed in pairs)


def test_the_densities_are_the_papers():
    model = network(sizes=(784, 300, 100, 10))
    found = list(find_tickets(model, lambda model: None, densities(3, 15)))
    assert [round(100 * ticket.density, 1) for ticket in found] == [100.0, *PAPER]
    counts = [[int(mask.sum()) for mask in ticket.masks] for ticket in found]
    assert counts[7] == [49325, 6291, 478] and counts[15] == [8275, 1056, 206]
    assert found[15].density == sum(counts[15]) / 266_200


def test_the_four_steps():
    model, fit = network(), Trainer()
    before = [p.data.copy() for p in model.parameters()]
    found = list(find_tickets(model, fit, densities(2, 3)))
    assert all(np.array_equal(p.data, b) and not p.parametrizations
               for p, b in zip(model.parameters(), before, strict=True))
    assert [ticket.result for ticket in found] == [1, 2, 3, 4]
    for ticket, starts in zip(found, fit.starts, strict=True):
        for start, w0, mask in zip(starts, before, [ticket.masks[0], 1, ticket.masks[1], 1], strict=True):
            assert np.array_equal(start, w0 * mask)  # biases, too, are where they began
        for p, mask in zip(ticket.network.weights(), ticket.masks, strict=True):
            assert np.array_equal(p.forward() != 0, mask)
    for before, after, final in zip(found, found[1:], fit.ends, strict=False):
        assert keeps_the_largest(before.masks, after.masks, final)
        assert all((m <= b).all() for b, m in zip(before.masks, after.masks, strict=True))


def test_a_threshold_on_w_instead_of_its_size_is_caught():
    fit = Trainer()
    wrong = list(find_tickets(network(), fit, densities(2, 2), criterion=lambda initial, final: final))
    assert not keeps_the_largest(wrong[0].masks, wrong[1].masks, fit.ends[0])
    negative = [(w < 0) & mask for w, mask in zip(fit.ends[0], wrong[1].masks, strict=True)]
    right = [(w < 0) & tighten(np.ones(w.shape, bool), large_final(w, w), 0.8) for w in fit.ends[0]]
    assert sum(map(np.sum, negative)) < sum(map(np.sum, right))


def test_one_shot_prunes_the_dense_network_iterative_the_last_one():
    for one_shot in (False, True):
        fit = Trainer()
        found = list(find_tickets(network(), fit, densities(2, 3), one_shot=one_shot))
        ends = [fit.ends[0]] * 3 if one_shot else fit.ends[:3]
        for n, final in enumerate(ends):
            assert keeps_the_largest(found[n].masks, found[n + 1].masks, final)
        at_once = tighten(np.ones((8, 6), bool), np.abs(fit.ends[0][0]), 0.8**3)
        assert np.array_equal(found[3].masks[0], at_once) == one_shot


def test_rewinding_to_an_early_step():
    fit = Trainer()
    list(find_tickets(network(), fit, densities(2, 1), early=lambda model: Trainer(5)(model)))
    late = network()
    Trainer(5)(late)
    assert all(np.array_equal(a, p.data) for a, p in zip(fit.starts[0], late.parameters(), strict=True))
    start = fit.starts[1][0]
    assert np.array_equal(start, np.where(start != 0, late.weights()[0].data, 0))


def test_actions_are_asked_for_the_kept_and_the_removed():
    removed = []

    def remove(parameter, mask, initial, final):
        parameter.data[~mask] = 7
        removed.append((initial.copy(), final.copy()))

    fit, model = Trainer(), network()
    list(find_tickets(model, fit, densities(2, 1), keep=lambda i, f, mask, rng: f + rng.uniform(0, 0, f.shape),
                      remove=remove))
    first = model.weights()[0].data
    assert np.array_equal(removed[0][0], first) and np.array_equal(removed[0][1], fit.ends[0][0])
    assert (fit.starts[1][0] == 7).sum() == first.size - round(0.8 * first.size)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(0, 2**32))
def test_counts_are_exact_and_what_is_removed_stays_away(shares, seed):
    shares = sorted(shares, reverse=True)
    rng, mask = np.random.default_rng(seed), np.ones((5, 7), bool)
    for share in shares:
        new = tighten(mask, rng.integers(0, 3, mask.shape), share)  # many ties
        assert (new <= mask).all() and new.sum() == 35 - round(35 * (1 - share))
        mask = new


def test_what_cannot_be_a_search():
    fit = Trainer()
    with pytest.raises(ShapeError, match="3 densities for 2 weights"):
        next(find_tickets(network(), fit, densities(3, 1)))
    with pytest.raises(RangeError, match=r"Did you mean 0.2"):
        next(find_tickets(network(), fit, [[20, 20]]))
    with pytest.raises(StateError, match="bake"):
        next(find_tickets(masked(network(), [np.eye(8, 6) > 0, np.eye(5, 8) > 0]), fit, []))
    assert not fit.starts


def test_the_controls_share_the_mask_or_its_count():
    *_, ticket = find_tickets(network(), Trainer(), densities(2, 4))
    other = masked(network(9), ticket.masks)
    for p, plain, mask in zip(other.weights(), network(9).weights(), ticket.masks, strict=True):
        assert np.array_equal(p.forward(), plain.data * mask) and isinstance(p.parametrizations[0], Masked)
    moved = shuffled(ticket.masks, 3)
    assert tickets.density(moved) == ticket.density
    for mask, new in zip(ticket.masks, moved, strict=True):
        assert mask.sum() == new.sum() and not np.array_equal(mask, new)


@pytest.mark.parametrize(("k", "other"), [(0, 1), (2, 3), (3, 3), (4, 5), (6, 2)])
def test_chance_is_counted_exactly(k, other):
    a = np.arange(6) < k
    found = [overlap(a, np.isin(np.arange(6), chosen)) for chosen in itertools.combinations(range(6), other)]
    assert found[0].expected == pytest.approx(np.mean([o.shared for o in found]))
    assert found[0].expected_jaccard == pytest.approx(np.mean([o.jaccard for o in found]))
    assert len({o.expected_jaccard for o in found}) == 1


def test_overlap_of_large_and_of_wrong_masks():
    mask = np.random.default_rng(0).random((300, 784)) < 0.2
    assert overlap(mask, mask).jaccard == 1 and overlap(mask, ~mask).shared == 0
    assert overlap(mask, mask).expected_jaccard == pytest.approx(0.2 / 1.8, abs=0.001)
    with pytest.raises(ShapeError):
        overlap(mask, mask.T)
    with pytest.raises(RangeError):
        overlap(mask & False, mask & False)
