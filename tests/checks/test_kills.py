"""Ten kills lose nothing, and the instrument would see a loss."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system: it forks")
ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          text=True, capture_output=True, encoding="utf-8", timeout=120)  # fmt: skip


def test_ten_kills() -> None:
    done = run("-m", "checks.kills", "--count", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["saving"]["kills"] == 5 <= report["training"]["kills"]
    assert report["training"]["runs"] > 0 and report["lost"] == ""


@pytest.mark.parametrize(("planted", "found"), [
    ("half = lambda path: path.with_suffix('.half'); file.write_bytes = lambda path, data: "
     "[(time.sleep(0.005), half(path).write_bytes(part), half(path).replace(path)) for part in (data[:9], data)]",
     "TruncatedError"),
    ("file.write_bytes = lambda path, data: None", "state -1 is in the file"),
    ("kills.document = lambda n: {'n': n, 'numbers': np.random.default_rng().uniform(size=9)}", "other numbers"),
    ("training._Run.resume = lambda *_: None", "epochs; "),
    ("optim.Adam.restore = optim.SGD.restore = lambda *_: None", "other bits"),
], ids=["half a file", "nothing written", "other numbers", "no resume", "optimizer forgotten"])
def test_planted_losses_are_found(planted: str, found: str) -> None:
    setup = "import time; import numpy as np; from checks import kills; from minicompress.nn import optim, training; "
    setup += "from minicompress.storage import file; "
    done = run("-c", f"{setup}{planted}; print(kills.kill(40)['lost'])")
    assert found in done.stdout, done.stdout + done.stderr
