"""The table as text: published, ours, criterion, met; one block for each row."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..table import table
from ..verdict import verdict
from .row import Claim, Figures, Row

HEADER = ["claim", "published", "ours", "lowest", "highest", "criterion", "met"]


def report(row: Row, found: Mapping[int, Mapping[str, Any]], wanted: Sequence[int], say: Callable[[str], None]) -> bool:
    """Say what was found for the wanted seeds of a row; False where a criterion is not met.

    A criterion is decided over as many seeds as the row asks for, or more; before, it is open and counts as no failure.
    """
    seeds = [seed for seed in wanted if seed in found]
    say(f"\n{row.name}: {row.paper}")
    say(textwrap.fill(f"{row.protocol} Seeds: {', '.join(map(str, seeds)) or 'none yet'}.", 110))
    if not seeds:
        return True
    columns = {key: np.array([found[seed]["figures"][key] for seed in seeds]) for key in found[seeds[0]]["figures"]}
    figures = {**columns, "seconds": np.array([found[seed]["seconds"] for seed in seeds])}
    unknown = "" if len(seeds) >= row.seeds else f"{len(seeds)} of {row.seeds} seeds"
    lines = [line for claim in row.claims for line in claim_lines(claim, figures, unknown)]
    say("\n" + table(HEADER, lines, left=2))
    return all(line[-1] != "no" for line in lines)


def claim_lines(claim: Claim, figures: Figures, unknown: str) -> list[list[str]]:
    """The claim with its verdict, or with its first criterion and a line for each further one."""
    values = figures[claim.figure]
    ours = float(claim.average(values))
    cells = [claim.what, claim.published, *(claim.form(v) for v in (ours, float(values.min()), float(values.max())))]
    if claim.verdict:
        asked = "verdict" if claim.margin is None else f"verdict, > {claim.form(claim.margin)}"
        return [[*cells, asked, unknown or verdict(claim.what, values, margin=claim.margin).verdict]]
    if not claim.criteria:
        return [[*cells, "", ""]]
    met = [unknown or ("yes" if criterion.holds(ours, figures) else "no") for criterion in claim.criteria]
    return [[*(cells if i == 0 else [""] * 5), criterion.text, word]
            for i, (criterion, word) in enumerate(zip(claim.criteria, met, strict=True))]
