"""Lecture 05: is it the ticket? A search for tickets beside its controls, as rows of a table.

Each control lacks one thing: the same mask over other initial weights, the same initial weights under a shuffled mask,
and the dense network, trained as long as the whole search. The paper stops early at the least validation loss (Frankle
& Carbin 2019, section 2); in a short training that is often the last step, so the first step that reaches a given error
is recorded, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..inputs import as_choice, as_fraction, as_generator, as_integer
from ..nn import Adam, Layer, cross_entropy, predict
from ..nn.evaluation import Samples, as_samples
from ..nn.layers import Seed
from ..verdict import interval
from .tickets import find_tickets, masked, shuffled

TICKET, REINITIALIZED, RANDOM_MASK, LONGER = ARMS = "ticket", "re-initialized", "random mask", "dense, longer"


class Curve(NamedTuple):
    """One training, measured every so many steps and at its end: validation loss, validation error, test error."""

    steps: np.ndarray
    losses: np.ndarray
    errors: np.ndarray
    tests: np.ndarray

    def stop(self) -> int:
        """Where the validation loss is least, as an index; the first of equal ones."""
        return int(np.argmin(self.losses))

    def first(self, level: float) -> float:
        """The first step whose validation error is ≤ level; NaN where there is none: censored."""
        reached = np.flatnonzero(self.errors <= level)
        return float(self.steps[reached[0]]) if len(reached) else float("nan")


def learn(model: Layer, samples: Samples, validation: Samples, test: Samples, *, steps: int, every: int, rng: Seed,
          batch: int = 60, lr: float = 1.2e-3) -> Curve:
    """Train with a new Adam for `steps` batches, and measure after every so many, which does not change the training.

    batch, lr: the paper's for LeNet-300-100. An integer rng gives every training the same order of samples.
    Raises NonFiniteError where the outputs overflow, and what the layers and the loss raise.
    """
    (x, labels), rng = as_samples(samples, "x"), as_generator(rng)
    every, steps, batch = as_integer(every, "every", 1), as_integer(steps, "steps", 1), as_integer(batch, "batch", 1)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(-(-steps * batch // len(x)))])
    optimizer, rows = Adam(model.parameters(), lr), []
    model.train()
    for step in range(1, steps + 1):
        chosen = order[(step - 1) * batch : step * batch]
        _, dy = cross_entropy(model.forward(x[chosen]), labels[chosen])
        model.learn(dy)
        optimizer.step()
        if step % every == 0 or step == steps:
            rows.append((step, *measure(model, *validation), measure(model, *test)[1]))
    return Curve(*np.array(rows).T)


def measure(model: Layer, x: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(mean cross-entropy, error)"""
    outputs = predict(model, x)
    return cross_entropy(outputs, labels)[0], float(np.mean(outputs.argmax(1) != labels))


class Result(NamedTuple):
    """One trained network: a row of the table.

    round: 0 is the dense network. layers: the density of each. error: on test, where the validation loss was least, at
    step `stop`. last: the test error at the end. first: the first step whose validation error is near the dense
    network's least (the margin of `compare`); NaN: never. "dense, longer" counts the steps of its last round.
    """

    seed: int
    arm: str
    round: int
    density: float
    layers: tuple[float, ...]
    error: float
    last: float
    stop: float
    first: float


def compare(build: Callable[[np.random.Generator], Layer], fit: Callable[[Layer], Curve], seed: int,
            rounds: Iterable[Sequence[float]], *, arms: Container[str] = ARMS, at: Container[int] | None = None,
            margin: float = 0.01, **search: Any) -> list[Result]:
    """The dense network, then the ticket of every round and its wanted controls: the rows of one seed.

    build(rng): a new network, another at each call. fit(model): trains it, `learn` with its samples. at: the rounds
    whose masks get controls; None: all. "dense, longer" trains on in every round, each time with a new optimizer, so
    that it has had as many steps as the search. margin: how near, as a fraction, counts for `first`. search:
    criterion, keep, remove, one_shot of `find_tickets`.
    """
    rng = np.random.default_rng(seed)
    model, results = build(rng), []
    for n, (density, masks, network, curve) in enumerate(find_tickets(model, fit, rounds, rng=rng, **search)):
        curves = {TICKET: curve}
        if n == 0:
            dense, level = network, float(curve.errors.min()) + as_fraction(margin, "margin")
        elif at is None or n in at:
            if REINITIALIZED in arms:
                curves[REINITIALIZED] = fit(masked(build(rng), masks))
            if RANDOM_MASK in arms:
                curves[RANDOM_MASK] = fit(masked(model, shuffled(masks, rng)))
        if n and LONGER in arms:
            curves[LONGER] = fit(dense)
        layers = tuple(float(mask.mean()) for mask in masks)
        for arm, c in curves.items():
            kept = (1.0, (1.0,) * len(layers)) if arm == LONGER else (density, layers)
            results.append(Result(seed, arm, n, *kept, float(c.tests[c.stop()]), float(c.tests[-1]),
                                  float(c.steps[c.stop()]), c.first(level)))
    return results


def search_again(build: Callable[[np.random.Generator], Layer], fit: Callable[..., Any], seed: int,
                 rounds: Iterable[Sequence[float]]) -> dict[str, list[np.ndarray]]:
    """The last masks of three searches: "first"; "other order", from the same start; "other start", in the same order.

    fit(model, rng=…): trains with the order of samples that the seed gives. `overlap` compares the masks of a layer.
    """
    rng, rounds = np.random.default_rng(seed), list(rounds)
    model, other = build(rng), build(rng)
    orders = [int(order) for order in rng.integers(2**31, size=2)]
    masks = {}
    for name, start, order in (("first", model, orders[0]), ("other order", model, orders[1]),
                               ("other start", other, orders[0])):
        *_, last = find_tickets(start, functools.partial(fit, rng=order), rounds)
        masks[name] = last.masks
    return masks


class Average(NamedTuple):
    """One arm in one round, over the seeds: mean ± half, the 95 % Student interval."""

    arm: str
    round: int
    density: float
    mean: float
    half: float


def averages(results: Iterable[Result], what: str) -> list[Average]:
    """The mean of a column ("error", "last", "stop", "first") for each arm and round, in the order of the rows.

    NaN where a seed has NaN.   Raises RangeError for another column, or for fewer than 3 seeds.
    """
    as_choice(what, "what", ["error", "last", "stop", "first"])
    groups: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        groups.setdefault((result.arm, result.round), []).append(result)
    found = []
    for (arm, n), group in groups.items():
        values = [getattr(result, what) for result in group]
        mean, half = (np.nan, np.nan) if np.isnan(values).any() else interval(values)
        found.append(Average(arm, n, float(np.mean([result.density for result in group])), mean, half))
    return found
