"""The harness: seeds in parallel, one failure ends one seed, and what is finished is never run again."""

import json
import os
import time

import pytest

from minicompress.errors import FormatError, RangeError, StorageError
from minicompress.reproduce import Claim, Row, at_least, at_most, main, results
from minicompress.reproduce.row import count


def make_row(run, name="tiny", protocol="Double it.", limit=1000):
    """A row whose run is defined in a test, so that it travels to other processes by value."""
    return Row(name, "Nobody 2000", protocol, run, [Claim("value", "7", "value", count, [at_most(limit, count)])])


def run_main(row, folder, **settings):
    rows = row if isinstance(row, dict) else {row.name: row}
    settings = {"jobs": 1, "say": lambda line: None, **settings}
    return main(rows=rows, folder=folder, **settings)


def counted(log, fail=()):
    """A run that notes its seeds in a file, and stops at the seeds of `fail`."""
    def run(seed):
        with open(log, "a") as file:
            file.write(f"{seed}\n")
        if seed in fail:
            raise KeyboardInterrupt
        return {"value": 2 * seed}
    return run


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        run_main(make_row(counted(log, fail=[101])), tmp_path)
    assert list(results.read(tmp_path, make_row(None))) == [100]
    assert run_main(make_row(counted(log)), tmp_path) == 0
    assert log.read_text().split() == ["100", "101", "101", "102"]
    assert run_main(make_row(counted(log)), tmp_path) == 0 and len(log.read_text().split()) == 4


def test_another_protocol_runs_again_and_so_does_again(tmp_path):
    log = tmp_path / "log"
    run_main(make_row(counted(log)), tmp_path, seeds=2)
    run_main(make_row(counted(log), protocol="Double it twice."), tmp_path, seeds=2)
    run_main(make_row(counted(log), protocol="Double it twice."), tmp_path, seeds=[101], again=True)
    assert log.read_text().split() == ["100", "101", "100", "101", "101"]
    assert list(results.read(tmp_path, make_row(None, protocol="Double it twice."))) == [100, 101]


@pytest.mark.parametrize(("jobs", "place"), [(1, " in test_harness.py, line "), (2, ", line ")])
def test_a_failed_seed_is_reported_and_the_others_are_kept(jobs, place, tmp_path, capsys):
    """Another process gets a function of a test by value, perhaps without the name of its file."""
    def run(seed):
        return {"value": float("nan") if seed == 101 else 1 / (102 - seed)}

    assert run_main(make_row(run), tmp_path, jobs=jobs) == 1
    errors = sorted(capsys.readouterr().err.splitlines())
    assert "tiny, seed 101: RangeError" in errors[0] and "tiny, seed 102: ZeroDivisionError" in errors[1]
    assert place in errors[1]
    assert list(results.read(tmp_path, make_row(None))) == [100]


def test_two_rows_run_at_the_same_time(tmp_path):
    """Each waits for the other to have begun, so one after the other would wait for ever."""
    def meet(mine, other):
        def run(seed):
            (tmp_path / mine).touch()
            limit = time.monotonic() + 60
            while not (tmp_path / other).exists():
                if time.monotonic() > limit:
                    raise TimeoutError(f"{other} never began")
                time.sleep(0.01)
            return {"value": os.getpid()}
        return run

    rows = {"a": make_row(meet("begun a", "begun b"), "a", limit=2**40),
            "b": make_row(meet("begun b", "begun a"), "b", limit=2**40)}
    assert run_main(rows, tmp_path, seeds=1, jobs=2) == 0
    pids = {results.read(tmp_path, row)[100]["figures"]["value"] for row in rows.values()}
    assert len(pids) == 2 and os.getpid() not in pids


def test_a_process_that_dies_leaves_the_others_results(tmp_path, capsys):
    def run(seed):
        if seed == 101:
            for _ in range(3000):
                if (tmp_path / "tiny.json").exists():
                    break
                time.sleep(0.01)
            os._exit(1)
        return {"value": seed}

    assert run_main(make_row(run), tmp_path, seeds=2, jobs=2) == 1
    assert "a process died" in capsys.readouterr().err and list(results.read(tmp_path, make_row(None))) == [100]


def test_one_blas_thread_and_the_seconds_of_a_run(tmp_path):
    def run(seed):
        from threadpoolctl import threadpool_info
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        time.sleep(0.3)  # others' time does not count
        return {"value": max(pool["num_threads"] for pool in threadpool_info())}

    run_main(make_row(run), tmp_path, seeds=1, jobs=2)
    result = results.read(tmp_path, make_row(None))[100]
    assert result["figures"]["value"] == 1 and 0.2 <= result["seconds"] < 0.5


def test_the_status_tells_whether_criteria_are_met(tmp_path):
    row = make_row(lambda seed: {"value": seed}, limit=100)
    assert run_main(row, tmp_path, seeds=2) == 0, "two of three seeds decide nothing"
    assert run_main(row, tmp_path) == 1
    claims = [Claim("value", "7", "value", count, [at_least(101, count)])]
    assert run_main(row._replace(claims=claims), tmp_path) == 0


def test_seeds_0_shows_and_runs_nothing(tmp_path):
    said = []
    row = make_row(lambda seed: {"value": seed})
    assert run_main(row, tmp_path / "none", seeds=0, say=said.append) == 0 and not (tmp_path / "none").exists()
    run_main(row, tmp_path)
    said.clear()
    assert run_main(row._replace(run=None), tmp_path, seeds=0, say=said.append) == 0
    assert "Seeds: 100, 101, 102." in said[1] and "101" in said[2]


def test_bad_arguments_are_named_before_anything_runs(tmp_path):
    row = make_row(lambda seed: os._exit(1))
    for arguments in ({"names": ["tiny", "tinny"]}, {"seeds": -1}, {"seeds": [3, -1]}):
        with pytest.raises(RangeError):
            run_main(row, tmp_path / "x", **arguments)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        run_main(row, tmp_path / "file" / "x")
    (tmp_path / "tiny.json").write_text(json.dumps([]))
    with pytest.raises(FormatError):
        run_main(row, tmp_path)
