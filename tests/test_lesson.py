"""A notebook starts in the right kernel, on one thread, in the course's style, or says what is wrong."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minicompress import lesson
from minicompress.errors import StateError


def test_begin_limits_threads_and_sets_the_style():
    with mpl.rc_context():
        lesson.begin()
        assert not mpl.rcParams["axes.spines.top"]
    assert all(pool["num_threads"] == 1 for pool in threadpool_info())


@pytest.mark.parametrize(("module", "name", "value"), [
    (sys, "version_info", (3, 9, 1)), (np, "__version__", "1.26.4"),
])
def test_an_old_kernel_is_named(module, name, value, monkeypatch):
    monkeypatch.setattr(module, name, value)
    with pytest.raises(StateError, match="this kernel runs Python"):
        lesson.begin()


def test_experiments_come_back_in_the_order_of_their_seeds_with_one_thread_each():
    def run(seed):  # a closure, as a notebook's function is
        return scale * seed, {pool["num_threads"] for pool in threadpool_info()}

    scale = 10
    assert lesson.over_seeds(run, range(103, 100, -1)) == [(1030, {1}), (1020, {1}), (1010, {1})]
