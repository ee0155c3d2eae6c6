"""The fuzzer finds nothing in two thousand mutants, and would find what is planted."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("resource", reason="the fuzzer needs a POSIX system")

from checks import fuzz, judge, samples
from checks.mutate import Spans, assemble
from minicompress import storage
from minicompress.storage import codecs, to_bytes, tree
from minicompress.storage.kinds import KINDS

ROOT = Path(__file__).parents[2]


def test_two_thousand_mutants() -> None:
    done = subprocess.run([sys.executable, "-m", "checks.fuzz", "--count", "2000"], cwd=ROOT, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    outcomes = report["outcomes"]
    assert sum(outcomes["blind"].values()) == sum(outcomes["aware"].values()) == 1000
    assert "valid" not in outcomes["blind"] and outcomes["aware"]["valid"] > 50 and report["finds"] == []


def test_the_samples_hold_every_kind_and_every_codec(tmp_path: Path) -> None:
    kinds, used = set(), set()
    for value in samples.samples().values():
        storage.save(tmp_path / "sample.mcz", value)
        used |= {part.codec for part in storage.inspect(tmp_path / "sample.mcz")}
        tokens = Spans(to_bytes(value)).tokens
        kinds |= {data[0] - tree.NODE for kind, data in tokens if kind == "byte" and data[0] >= tree.NODE}
    assert kinds >= set(KINDS) and used >= set(codecs.CODEC_NAMES)


def test_a_file_taken_apart_and_assembled_is_the_same() -> None:
    for value in samples.samples().values():
        data = to_bytes(value)
        assert assemble(Spans(data).tokens) == data


def test_a_mutant_depends_on_its_number_alone() -> None:
    first = [fuzz.mutant(0, number) for number in range(30)]
    assert [fuzz.mutant(0, number) for number in reversed(range(30))] == first[::-1]
    assert len({data for data, _ in first}) == 30
    assert all(fuzz.mutant(1, number) != first[number] for number in range(30))


def wrong_exception(data: bytes, limit: int) -> Any:
    raise KeyError("layers")


def hang(data: bytes, limit: int) -> Any:
    while time.process_time() < hang.until:  # type: ignore[attr-defined]
        pass


def waste(data: bytes, limit: int) -> Any:
    np.ones(10**7)


def accept(data: bytes, limit: int) -> Any:
    return []


@pytest.mark.parametrize(("planted", "find"), [
    (wrong_exception, "KeyError"), (hang, "s of CPU time"), (waste, "MiB beyond"), (accept, "accepted"),
])  # fmt: skip
def test_planted_mistakes_are_found(planted: Any, find: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "codecs", tree.codecs)  # the meter replaces it
    monkeypatch.setattr(judge, "from_bytes", planted)
    hang.until = time.process_time() + 1.1  # type: ignore[attr-defined]
    meter = judge.Meter()
    outcome = judge.judge(b"MCZ", judge.SMALL, True, meter)
    assert find in outcome.find


def test_a_model_that_fails_in_use_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "codecs", tree.codecs)
    model, meter = samples.images(), judge.Meter()
    assert judge.judge(to_bytes(model), judge.SMALL, False, meter).find == ""
    monkeypatch.setattr(type(model), "forward", lambda self, x: x.no_such_name)
    assert "no_such_name" in judge.judge(to_bytes(model), judge.SMALL, False, meter).find
