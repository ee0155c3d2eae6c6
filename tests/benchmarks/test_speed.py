"""The code path of the benchmarks on tiny jobs: that they run and tell the truth, not how fast anything is."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import compression, growth, speed, training
from benchmarks.timing import Job, Row, measure, turns


def test_a_job_gives_a_row_for_each_peer():
    state = []
    job = Job("sums", lambda: state.append(1) or {"ours": lambda: sum(range(9)), "peer": lambda: sum(range(99))},
              {"peer": 2.0})
    (row,) = measure(job, 3)
    assert (row.job, row.peer, row.target) == ("sums", "peer", 2.0)
    assert row.low <= row.ratio <= row.high
    assert len(state) > 3, "every turn starts from fresh state"


def test_a_target_is_met_from_its_value_on():
    rows = [Row("job", "peer", 1.0, 2.0, 2.0, 1.9, 2.1, target) for target in (2.0, 2.01, None)]
    assert [row.is_met for row in rows] == [True, False, True]
    lines = speed.rows_table(rows).split("\n")
    assert [line.split()[-1] for line in lines[2:]] == ["yes", "NO", "2.10"]


def test_every_training_job_can_be_made():
    names = [job.name for job in training.jobs()]
    assert len(set(names)) == len(names)
    for job in training.jobs():
        contenders = job.make()
        assert next(iter(contenders)) == "ours"


@pytest.mark.parametrize("text, shape", [(training.DIGITS_MLP, (4, 64)), (training.LENET_5, (1, 1, 28, 28)),
                                         (training.DIGITS_CNN.format(0, "", 16), (2, 1, 8, 8)),
                                         (training.DIGITS_CNN.format(1, "pool, ", 64), (2, 1, 8, 8))])
def test_steps_of_all_contenders_run(text: str, shape: tuple[int, ...]):
    for contender in training.step_job("tiny", text, shape, {}).make().values():
        contender()


def test_the_bound_has_the_products_of_a_step():
    counted = []
    original = np.matmul
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "matmul", lambda a, b, out: counted.append(a.shape + b.shape) or original(a, b, out=out))
        training.products("linear 3 5, relu, linear 5 2", (7, 3))()
    assert counted == [(5, 3, 3, 7), (5, 7, 7, 3), (2, 5, 5, 7), (2, 7, 7, 5), (5, 2, 2, 7)]


def test_compression_jobs_run():
    for job in [compression.kmeans_job(2000, 4), *compression.huffman_jobs(2000)]:
        assert all(times.shape == (1,) for times in turns(job.make, 1, 0).values())
    assert compression.inertia_gaps(2000, 4)["ours"] >= -1e-12


def test_growth_is_drawn(tmp_path: Path):
    points = {key: [growth.point(9, batch, 1) for batch in (1, 2)] for key in ("width", "batch")}
    assert points["batch"][0]["peak_bytes"] > 4 * 784 * 9
    growth.draw(points, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_only_the_table_of_the_page_is_replaced(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("before\n```text\nold\n```\nafter\n```\n", encoding="utf-8")
    speed.replace_block(page, "new")
    assert page.read_text("utf-8") == "before\n```text\nnew\n```\nafter\n```\n"
