"""Tables as aligned plain text: the same in a terminal, a notebook and a file."""

from __future__ import annotations

import math
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """The rows under their header; the first `left` columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = zip(cells, widths, strict=True)
        return "  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(padded)).rstrip()

    return "\n".join([line(header), line(["-" * w for w in widths]), *map(line, rows)])


def percent(fraction: float, digits: int = 2) -> str:
    """0.0164 as "1.64 %", and a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.{digits}f} %"
