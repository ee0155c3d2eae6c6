"""The command, run as a user runs it: in a process of its own."""

import functools
import os
import signal
import subprocess
import sys
import time

import pytest

from minicompress import __version__, storage
from minicompress.nn import Linear


def run(*arguments, cwd=None, **environment):
    return subprocess.run([sys.executable, "-m", "minicompress", *arguments], cwd=cwd, text=True, capture_output=True,
                          encoding="utf-8", timeout=120, env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment})


def test_help_names_every_command_and_version_the_version():
    text = run("--help").stdout
    commands = ("tour", "inspect", "fetch", "check", "reproduce", "regenerate")
    assert all(command in text for command in (*commands, "examples:"))
    assert run("--version").stdout == f"minicompress {__version__}\n"
    assert "--data" in run("tour", "--help").stdout


def test_a_quick_tour_prints_its_table_and_files(tmp_path):
    done = run("tour", "--quick", "--out", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["ledger.json", "model.mcz", "report.html"]
    assert "half precision" in done.stdout and "sha256 of model.mcz" in done.stdout and done.stderr == ""
    listed = run("inspect", "here/model.mcz", cwd=tmp_path)
    assert f"{(tmp_path / 'here' / 'model.mcz').stat().st_size:,}" in listed.stdout.splitlines()[-1]


def test_the_same_bytes_whatever_the_threads_locale_and_print_options(tmp_path):
    environments = [{"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2", "LC_ALL": "C.UTF-8"}]
    shas = [run("tour", "--quick", cwd=tmp_path, **environment).stdout.split()[-1] for environment in environments]
    assert len(set(shas)) == 1 and len(shas[0]) == 64


def test_check_finds_the_golden_bits():
    done = run("check")
    assert done.returncode == 0 and "equal: a quick tour gives the same bits here" in done.stdout
    assert "numpy" in done.stdout


def test_inspect_accounts_for_every_byte(tmp_path):
    size = storage.save(tmp_path / "m.mcz", Linear(3, 2, rng=0))
    lines = run("inspect", str(tmp_path / "m.mcz")).stdout.splitlines()
    assert lines[-1].split()[:2] == ["total", str(size)] and any(line.startswith("weight.data") for line in lines)


@pytest.mark.parametrize(("arguments", "message"), [
    (["tour", "--data", "minst"], "Did you mean 'mnist'?"),
    (["tour", "--seed", "-1"], "seed is -1"),
    (["inspect", "no-such-file.mcz"], "no-such-file.mcz"),
    (["fetch", "cifar"], "mnist"),
    (["reproduce", "lenet-300"], "Did you mean 'lenet-300-100'?"),
])
def test_mistakes_get_one_line_and_status_one(arguments, message, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("minicompress: ")


def test_unknown_commands_get_usage_and_status_two():
    done = run("squeeze")
    assert done.returncode == 2 and "usage:" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_ends_with_status_130_and_no_traceback(tmp_path):
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # ignored in the background
    process = subprocess.Popen([sys.executable, "-u", "-m", "minicompress", "tour", "--out", str(tmp_path)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed)
    process.stdout.readline()  # training has begun
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in errors and "stopped" in errors


@pytest.mark.parametrize(("given", "wanted"), [("3", 3), ("0", 0), ("100,101", [100, 101]), ("104,", [104])])
def test_reproduce_takes_a_number_of_seeds_or_the_seeds(monkeypatch, given, wanted):
    from minicompress import reproduce
    from minicompress.cli import main

    asked = []
    monkeypatch.setattr(reproduce, "main", lambda names, *, seeds, **others: asked.append(seeds) or 0)
    assert main(["reproduce", "--seeds", given]) == 0 and asked == [wanted]


def test_seeds_that_are_no_numbers_are_explained(capsys):
    from minicompress.cli import main

    with pytest.raises(SystemExit):
        main(["reproduce", "--seeds", "100,x"])
    assert "argument --seeds: invalid seeds value: '100,x'" in capsys.readouterr().err
