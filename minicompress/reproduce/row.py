"""What a row of the table is: a run that gives figures for a seed, and claims about them over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..table import percent

Figures = Mapping[str, np.ndarray]  # name → one number a seed

SLACK = 1e-9  # a mean of errors is a multiple of 1/30,000: rounding must not decide whether it equals its limit


class Criterion(NamedTuple):
    """When ours counts: in words, and as a function of our value (over the seeds) and of all figures of all seeds."""

    text: str
    holds: Callable[[float, Figures], Any]


def at_most(limit: float, form: Callable[[float], str]) -> Criterion:
    """ours ≤ limit"""
    return Criterion(f"≤ {form(limit)}", lambda ours, all: ours <= limit + SLACK)


def at_least(limit: float, form: Callable[[float], str]) -> Criterion:
    """ours ≥ limit"""
    return Criterion(f"≥ {form(limit)}", lambda ours, all: ours >= limit - SLACK)


def near(other: str, margin: float) -> Criterion:
    """ours ≤ mean of the figure `other` + margin      errors as fractions; the text has points"""
    return Criterion(f"≤ {other} + {100 * margin:g}", lambda ours, all: ours - all[other].mean() <= margin + SLACK)


EVERY_SEED = Criterion("on every seed", lambda ours, all: ours == 1)


class Claim(NamedTuple):
    """One line of the table: what was published, the figure that answers it, how it is written, and when it counts.

    Instead of criteria, an ordering asks for a verdict (verdict.py): its figure is a paired difference, positive as
    claimed, and the row needs 5 seeds, or a margin stated beforehand. No verdict is a failure.
    """

    what: str
    published: str
    figure: str
    form: Callable[[float], str] = percent
    criteria: Sequence[Criterion] = ()
    average: Callable[[np.ndarray], Any] = np.mean
    verdict: bool = False
    margin: float | None = None


class Row(NamedTuple):
    """One experiment. Results count for the protocol's text as it stands: another protocol, another text.

    run(seed) → name of a figure → finite number. It must not depend on anything but the seed, and prints nothing.
    """

    name: str
    paper: str
    protocol: str
    run: Callable[[int], Mapping[str, float]]
    claims: Sequence[Claim]
    seeds: int = 3


def count(value: float) -> str:
    """22200.0 as "22,200"."""
    return f"{value:,.0f}"


def times(value: float) -> str:
    """12.345 as "12.3x"."""
    return f"{value:.1f}x"


def points(difference: float) -> str:
    """0.0123, a difference of two fractions, as "+1.23"."""
    return f"{100 * difference:+.2f}"


def minutes(seconds: float) -> str:
    """130.0 as "2.2 min"."""
    return f"{seconds / 60:.1f} min"


def yes(value: float) -> str:
    """1.0 as "yes", anything less as "no"."""
    return "yes" if value >= 1 else "no"
