"""Lecture 05: lottery tickets. Why train a large network, if a small one is enough?

    f(x; m ∘ w₀)      w₀: random initial weights   m in {0, 1}: a mask found by training and pruning

The hypothesis (Frankle & Carbin 2019, section 1): a dense network at its random start holds a subnetwork, the winning
ticket, that trains alone to the accuracy of the whole in as many steps. The ticket is the mask together with the
initial weights under it; the controls keep the one and change the other.

The procedure has two places for ideas (Zhou et al. 2019): a criterion gives the scores of weights, of which the
largest are kept, and actions say what becomes of the kept (mask 1) and of the removed (mask 0); deconstruct.py has
more of them. Not here: one ranking over all layers, which the paper uses for deeper networks, and structured tickets.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln

from ..errors import RangeError, ShapeError, StateError
from ..inputs import as_fraction, as_generator, as_integer, check_finite
from ..nn import Layer, Parameter
from ..nn.layers import Seed
from ..pruning.magnitude import keep_largest, kept_count
from ..pruning.masks import apply_mask

Fit = Callable[[Layer], Any]  # trains a model in place, with a new optimizer
Criterion = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (initial, final) → scores, all of one weight's shape
Keep = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]  # (initial, final, mask, rng)
Remove = Callable[[Parameter, np.ndarray, np.ndarray, np.ndarray], None]  # (parameter, mask, initial, final)


def large_final(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    """|w_f|, the paper's criterion: what is large after training."""
    return np.abs(final)


def rewind(initial: np.ndarray, final: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """w₀, the paper's mask-1 action: back to the start."""
    return initial


def zero(parameter: Parameter, mask: np.ndarray, initial: np.ndarray, final: np.ndarray) -> None:
    """w = m ∘ x, the paper's mask-0 action: zero, for good."""
    apply_mask(parameter, mask)


class Ticket(NamedTuple):
    """A round's end: share of all weights left, mask of each weight, the trained network, what `fit` returned."""

    density: float
    masks: list[np.ndarray]
    network: Layer
    result: Any


def find_tickets(model: Layer, fit: Fit, rounds: Iterable[Sequence[float]], *, criterion: Criterion = large_final,
                 keep: Keep = rewind, remove: Remove = zero, one_shot: bool = False, early: Fit | None = None,
                 rng: Seed = 0) -> Iterator[Ticket]:
    """Train, prune, rewind, repeat: yields the trained dense network, then the trained ticket of each round.

    rounds: the densities of the weights after each round, one for each weight (`densities`). one_shot: every round
    prunes the dense network, at once to its density; otherwise the network of the round before (iterative).
    early: trains the first few steps, whose end is then what to rewind to, in place of the start (Frankle et al. 2020).
    model is not changed. Biases, and all else that is no weight, start anew with the kept weights.
    The paper trains for a fixed number of steps, prunes the last weights, and only reads off when early stopping would
    have come (records.py); a `fit` that stops early, or puts weights back, has those pruned.
    Raises StateError for weights that are masked or otherwise parametrized already, ShapeError, RangeError (densities
    that grow, too), and NonFiniteError for scores that are not finite.
    """
    rng, weights = as_generator(rng), len(model.weights())
    rounds = shrinking([checked(shares, weights) for shares in rounds])
    check_plain(model)
    # 1  A random network, and masks of ones.
    model = copy.deepcopy(model)
    if early is not None:
        early(model)
    initial = [p.data.copy() for p in model.weights()]
    masks = [np.ones(w.shape, bool) for w in initial]
    # 2  Train it.
    network = copy.deepcopy(model)
    result = fit(network)
    final = [p.forward().copy() for p in network.weights()]
    yield Ticket(1.0, masks, network, result)
    for shares in rounds:
        # 3  Score what is left, and prune the lowest.
        scores = map(functools.partial(scored, criterion), initial, final)
        masks = [tighten(*each) for each in zip(masks, scores, shares, strict=True)]
        # 4  Reset the kept to their start, remove the others, train, repeat.
        network = copy.deepcopy(model)
        for p, mask, start, end in zip(network.weights(), masks, initial, final, strict=True):
            p.data[...] = keep(start, end, mask, rng)
            remove(p, mask, start, end)
        result = fit(network)
        if not one_shot:
            final = [p.forward().copy() for p in network.weights()]
        yield Ticket(density(masks), masks, network, result)


def checked(shares: Sequence[float], weights: int) -> list[float]:
    """The densities of one round, one for each weight.   Raises ShapeError, RangeError."""
    if len(shares) != weights:
        raise ShapeError(f"a round has {len(shares)} densities for {weights} weights; allowed: one each. "
                         f"Hint: densities(layers, rounds).")
    return [as_fraction(share, "density") for share in shares]


def chosen_rounds(at: Iterable[int] | None, rounds: int) -> list[int]:
    """The wanted rounds of 1 … rounds; None: all.   Raises RangeError."""
    return [as_integer(n, "a round in at", 1, rounds) for n in (range(1, rounds + 1) if at is None else at)]


def shrinking(rounds: list[list[float]]) -> list[list[float]]:
    """The densities, none of which may grow from round to round: what is removed never comes back."""
    for n, (before, after) in enumerate(itertools.pairwise(rounds), 2):
        for a, b in zip(before, after, strict=True):
            if b > a:
                raise RangeError(f"round {n} keeps {b} of a weight of which the round before left {a}; allowed: "
                                 f"densities that do not grow. Hint: sort the rounds, the densest first.")
    return rounds


def check_plain(model: Layer) -> None:
    """Raise StateError where a weight of the model has a mask or another parametrization."""
    if any(p.parametrizations for p in model.weights()):
        raise StateError("a ticket is sought in a network whose weights have a mask or another parametrization; "
                         "allowed: plain weights. Hint: parameter.bake() makes the weight itself the data.")


def check_masks(model: Layer, masks: Sequence[np.ndarray]) -> None:
    """Raise ShapeError unless there is a mask for every weight of the model."""
    if len(masks) != (weights := len(model.weights())):
        raise ShapeError(f"there are {len(masks)} masks for {weights} weights; allowed: one each.")


def scored(criterion: Criterion, initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    """The criterion's scores.   Raises NonFiniteError where one is NaN or infinite."""
    scores = criterion(initial, final)
    check_finite(scores, "a criterion's scores")
    return scores


def tighten(mask: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """The `share` of all weights of the largest scores; what is removed already never comes back."""
    return mask & keep_largest(np.where(mask, scores, -np.inf), kept_count(mask.size, 1 - share))


def density(masks: Iterable[np.ndarray]) -> float:
    """The share of ones in all masks together."""
    masks = list(masks)
    return sum(int(np.count_nonzero(m)) for m in masks) / sum(m.size for m in masks)


def densities(layers: int, rounds: int, rate: float = 0.2, output_rate: float = 0.1) -> list[list[float]]:
    """(1 - rate)ⁿ,  n = 1 … rounds, for every layer but the last, which has its own rate (figure 2 of the paper)."""
    as_integer(rounds, "rounds", 0)
    rates = [as_fraction(rate, "rate")] * (as_integer(layers, "layers", 1) - 1)
    rates.append(as_fraction(output_rate, "output_rate"))
    return [list(shares) for shares in np.cumprod(np.tile(1 - np.array(rates), (rounds, 1)), 0)]


def masked(model: Layer, masks: Iterable[np.ndarray]) -> Layer:
    """A copy of the model under the masks of a ticket: of a model with another start, the control "re-initialized".

    Raises ShapeError where masks and weights differ in number or shape.
    """
    model, masks = copy.deepcopy(model), list(masks)
    check_masks(model, masks)
    for p, mask in zip(model.weights(), masks, strict=True):
        apply_mask(p, mask)
    return model


def shuffled(masks: Iterable[np.ndarray], rng: Seed) -> list[np.ndarray]:
    """As many ones in each mask, anywhere: the control "random mask"."""
    rng = as_generator(rng)
    return [rng.permutation(mask.ravel()).reshape(mask.shape) for mask in masks]


class Overlap(NamedTuple):
    """Ones that two masks share, and their Jaccard index, beside what independent masks of as many ones expect."""

    shared: int
    expected: float
    jaccard: float
    expected_jaccard: float


def overlap(a: np.ndarray, b: np.ndarray) -> Overlap:
    """|a ∩ b| and |a ∩ b| / |a ∪ b|, with their exact expectations      a, b: masks of one shape

    Of independent masks with k and l of n ones, k l / n are shared on average; how many is hypergeometric.
    Raises ShapeError where the shapes differ, RangeError where both are empty.
    """
    if a.shape != b.shape:
        raise ShapeError(f"masks of the shapes {a.shape} and {b.shape}; allowed: equal shapes.")
    n, k, l = a.size, int(np.count_nonzero(a)), int(np.count_nonzero(b))
    if k + l == 0:
        raise RangeError("both masks are empty; allowed: at least one 1.")
    shared = int(np.count_nonzero(a & b))
    i = np.arange(max(0, k + l - n), min(k, l) + 1)
    chance = np.exp(log_choose(k, i) + log_choose(n - k, l - i) - log_choose(n, l))
    return Overlap(shared, k * l / n, shared / (k + l - shared), float((chance * i / (k + l - i)).sum()))


def log_choose(n: int, k: int | np.ndarray) -> np.ndarray:
    """log n! / (k! (n - k)!)"""
    value: np.ndarray = gammaln(n + 1) - gammaln(np.add(k, 1)) - gammaln(n - np.asarray(k) + 1)
    return value
