"""Verdicts: what a claim is worth on our own data, computed from several seeds and never typed.

The evidence for a claim is one number a seed, positive where the claim holds: a paired difference, both sides of which
used the same seed. The first line that applies to their 95 % Student interval is the verdict:

    REPRODUCED       the interval lies above zero, or above a margin stated beforehand (needed with 3 or 4 seeds)
    NOT REPRODUCED   it lies below zero, or within ± `empty`, a difference too small to give the claim a meaning
    INCONCLUSIVE     otherwise
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from .errors import RangeError
from .inputs import as_array, as_number
from .table import table

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "REPRODUCED", "NOT REPRODUCED", "INCONCLUSIVE"


class Verdict(NamedTuple):
    """One row of a table of verdicts."""

    claim: str
    evidence: str
    verdict: str


def interval(differences: Iterable[float]) -> tuple[float, float]:
    """(mean, half-width t₀.₉₇₅(n - 1) s / √n) of the 95 % Student interval      n ≥ 3 numbers, s: standard deviation"""
    differences = list(differences)
    if len(differences) < 3:
        raise RangeError(f"{len(differences)} seeds were given; allowed: at least 3.")
    d = as_array(differences, "differences", (None,))
    return float(d.mean()), float(stdtrit(len(d) - 1, 0.975) * d.std(ddof=1) / math.sqrt(len(d)))


def verdict(claim: str, differences: Iterable[float], unit: str = "points", *, margin: float | None = None,
            empty: float = 0.0, digits: int = 1) -> Verdict:
    """The verdict on a claim from one difference a seed, positive as claimed.

    Raises RangeError for fewer than 3 seeds, and for fewer than 5 without a margin.
    """
    differences = list(differences)
    n, (mean, half) = len(differences), interval(differences)
    if n < 5 and margin is None:
        raise RangeError(f"{n} seeds and no margin; allowed: at least 5 seeds, or a margin stated beforehand.")
    low, high = mean - half, mean + half
    if low > (as_number(margin, "margin", 0) if margin is not None else 0.0):
        word = REPRODUCED
    elif high < 0 or max(abs(low), abs(high)) <= empty:
        word = NOT_REPRODUCED
    else:
        word = INCONCLUSIVE
    return Verdict(claim, f"{mean:+.{digits}f} ± {half:.{digits}f} {unit}, {n} seeds", word)


def exact(claim: str, holds: bool | np.bool_, evidence: str) -> Verdict:
    """The verdict on a claim that counting or arithmetic decides, without chance."""
    return Verdict(claim, evidence, REPRODUCED if holds else NOT_REPRODUCED)


def show(verdicts: Iterable[Verdict]) -> None:
    """Print the table that ends every notebook."""
    print(table(Verdict._fields, list(verdicts), left=3))
