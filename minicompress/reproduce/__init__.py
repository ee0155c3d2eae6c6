"""Published results, run again: a table of rows, each a function of a seed with its protocol and its criteria.

row.py says what a row is, rows/ has them, harness.py runs their seeds in parallel, results.py keeps what came out, and
report.py shows it as published, ours, criterion, met. docs/reproduce.md says how to run it and how to add a row.
"""

from .harness import main
from .row import Claim, Criterion, Row, at_least, at_most, near
from .rows import ROWS

__all__ = ["ROWS", "Claim", "Criterion", "Row", "at_least", "at_most", "main", "near"]
