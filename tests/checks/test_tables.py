"""The page shows what was measured, and what was measured is good."""

import json

from checks import tables

RESULTS = tables.ROOT / "results"
PAGE = tables.PAGE.read_text("utf-8")


def test_the_page_shows_the_kept_results() -> None:
    assert tables.filled(PAGE, RESULTS) == PAGE
    assert all(f"<!-- {name} -->\n```text\n" in PAGE for name in tables.TABLES)


def test_the_kept_results_are_whole_runs_without_a_find() -> None:
    cells, fuzz, kills = (json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in tables.TABLES)
    assert len({cell["tour"] for cell in cells}) == 1 and len(cells) == 10
    assert all(cell["check"] and all(cell["notebooks"].values()) for cell in cells)
    assert len({tuple(sorted(cell["notebooks"])) for cell in cells}) == 1
    assert fuzz["mutants"] == 10**6 and fuzz["finds"] == [] and "valid" not in fuzz["outcomes"]["blind"]
    assert kills["saving"]["kills"] + kills["training"]["kills"] >= 1000 and kills["lost"] == ""


def test_a_failure_is_seen_in_the_tables() -> None:
    cell = {"python": "3.11", "numpy": "oldest", "core": "Nehalem", "threads": 1, "simd": "full"}
    ran = {"NumPy": "2.0.0", "BLAS": ["Nehalem"], "tour": "0" * 64, "check": False, "notebooks": {"00": False}}
    text = tables.matrix([{"cell": cell, **ran}, {"cell": cell, "skipped": "why"}, {"cell": cell, "failed": "why"}])
    assert text.count("DIFFERENT") == 2 and "skipped" in text and "FAILED" in text
    assert "file gone" in tables.kills({"lost": "file gone"})
