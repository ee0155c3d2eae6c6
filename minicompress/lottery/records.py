"""Lecture 05: is it the ticket? A search for tickets beside its controls, as rows of a table.

Each control lacks one thing: the same mask over other initial weights, the same initial weights under a shuffled mask,
and the dense network, trained as long as the whole search. As in the paper (Frankle & Carbin 2019, section 2) every
training runs for a fixed number of steps and its last weights are pruned; the step of the least validation loss, where
early stopping would have ended it, and the test error there are read off. In a short training that is often the last
step, so the first step that reaches a given error is recorded, too. `learn(..., early_stopping=True)` really goes back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import NonFiniteError
from ..inputs import as_choice, as_fraction, as_generator, as_integer
from ..nn import Adam, Layer, cross_entropy, predict
from ..nn.evaluation import Samples, as_samples, check_classes, warn_of_slips
from ..nn.layers import Seed
from ..nn.training import explain
from ..verdict import interval
from .tickets import checked, chosen_rounds, find_tickets, large_final, masked, shuffled, tighten

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
          batch: int = 60, lr: float = 1.2e-3, grid: float | None = None, early_stopping: bool = False) -> Curve:
    """Train with a new Adam for `steps` batches, and measure after every so many, which does not change the training.

    batch, lr: the paper's for LeNet-300-100. grid: the optimizer's. An integer rng gives every training the same order
    of samples, in which a batch may reach from one pass over them into the next. early_stopping: at the end the model
    goes back to where the validation loss was least; otherwise it keeps the last weights, as in the paper.
    Raises NonFiniteError where the loss or the outputs overflow, and what the layers and the loss raise; warns as
    `train` does.
    """
    (x, labels), rng = as_samples(samples, "x"), as_generator(rng)
    validation, test = as_samples(validation, "the validation x"), as_samples(test, "the test x")
    every, steps, batch = as_integer(every, "every", 1), as_integer(steps, "steps", 1), as_integer(batch, "batch", 1)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(-(-steps * batch // len(x)))])
    optimizer, rows, best = Adam(model.parameters(), lr, grid=grid), [], None
    check_classes(model, x, labels)
    warn_of_slips(x, optimizer.lr, validation=validation, test=test)
    model.train()
    for step in range(1, steps + 1):
        chosen = order[(step - 1) * batch : step * batch]
        with np.errstate(all="ignore"):  # what overflows is found below
            value, dy = cross_entropy(model.forward(x[chosen]), labels[chosen])
        if not np.isfinite(value):
            raise NonFiniteError(explain(model, value, step, optimizer.lr, "the weights are those before this step"))
        model.learn(dy)
        optimizer.step()
        if step % every == 0 or step == steps:
            rows.append((step, *measure(model, *validation), measure(model, *test)[1]))
            if early_stopping and rows[-1][1] < min((loss for _, loss, *_ in rows[:-1]), default=np.inf):
                best = copy.deepcopy(model.state())
    if best is not None:
        model.restore(best)
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
            rounds: Iterable[Sequence[float]], *, arms: Iterable[str] = ARMS, at: Iterable[int] | None = None,
            margin: float = 0.01, **search: Any) -> list[Result]:
    """The dense network, then the ticket of every round and its wanted controls: the rows of one seed.

    build(rng): a new network, another at each call. fit(model): trains it, `learn` with its samples. at: the rounds
    whose masks get controls; None: all. "dense, longer" trains on in every round, each time with a new optimizer, so
    that it has had as many steps as the search. margin: how near, as a fraction, counts for `first`. search:
    criterion, keep, remove, one_shot of `find_tickets`.
    Raises RangeError for other arms and for rounds that are not there, before anything is trained.
    """
    rounds, margin = list(rounds), as_fraction(margin, "margin")
    arms, at = [as_choice(arm, "an arm", ARMS) for arm in arms], chosen_rounds(at, len(rounds))
    rng = np.random.default_rng(seed)
    model, results = build(rng), []
    for n, (density, masks, network, curve) in enumerate(find_tickets(model, fit, rounds, rng=rng, **search)):
        curves = {TICKET: curve}
        if n == 0:
            dense, level = network, float(curve.errors.min()) + margin
        elif n in at:
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
                 rounds: Iterable[Sequence[float]]) -> dict[str, list[list[np.ndarray]]]:
    """The one-shot masks of three dense networks, of each for every round: "first"; "other order", from the same start;
    "other start", in the same order. Three trainings; `overlap` compares the masks of a layer.

    fit(model, rng=…): trains with the order of samples that the seed gives.   Raises ShapeError, RangeError.
    """
    rng = np.random.default_rng(seed)
    model, other = build(rng), build(rng)
    rounds = [checked(shares, len(model.weights())) for shares in rounds]
    orders = [int(order) for order in rng.integers(2**31, size=2)]
    found = {}
    for name, start, order in (("first", model, orders[0]), ("other order", model, orders[1]),
                               ("other start", other, orders[0])):
        network = copy.deepcopy(start)
        fit(network, rng=order)
        pairs = [(p.forward(), w.forward()) for p, w in zip(start.weights(), network.weights(), strict=True)]
        found[name] = [[tighten(np.ones(f.shape, bool), large_final(i, f), share)
                        for (i, f), share in zip(pairs, shares, strict=True)] for shares in rounds]
    return found


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
