import os
from pathlib import Path

import numpy as np
import pytest

from minicompress.data import monks
from minicompress.data.monks import VALUES, one_hot, read_list, rule
from minicompress.errors import DTypeError, FormatError, RangeError, StorageError

GIVEN = Path(os.environ.get("MINICOMPRESS_DATA") or os.devnull) / "monks"
originals = pytest.mark.skipif(not GIVEN.is_dir(), reason="MINICOMPRESS_DATA has no folder monks")
SIZES = {1: 124, 2: 169, 3: 122}


@pytest.fixture
def no_originals(monkeypatch):
    monkeypatch.delenv("MINICOMPRESS_DATA", raising=False)


def decode(x):
    """(n, 17) to (n, 6), the inverse of one_hot."""
    return np.stack([part.argmax(axis=1) + 1 for part in np.split(x, np.cumsum(VALUES)[:-1], axis=1)], axis=1)


def in_words(problem, a1, a2, a3, a4, a5, a6):
    if problem == 1:
        return a1 == a2 or a5 == 1
    if problem == 2:
        return [a1, a2, a3, a4, a5, a6].count(1) == 2
    return (a5 == 3 and a4 == 1) or (a5 != 4 and a2 != 3)


@pytest.mark.parametrize("problem", [1, 2, 3])
def test_the_test_set_is_every_robot_once_with_its_true_label(problem):
    test = monks(problem).test
    robots = decode(test.x)
    assert test.x.shape == (432, 17) and len(np.unique(robots, axis=0)) == 432
    assert test.labels.tolist() == [int(in_words(problem, *robot)) for robot in robots.tolist()]
    assert test.labels.sum() == {1: 216, 2: 142, 3: 228}[problem]


def test_one_input_of_each_attribute_is_one():
    robots = np.array([[1, 3, 2, 2, 4, 1], [3, 1, 1, 3, 2, 2]])
    x = one_hot(robots)
    assert x[0].tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0]
    assert x.sum(axis=1).tolist() == [6, 6]
    np.testing.assert_array_equal(decode(x), robots)


@pytest.mark.parametrize("problem", [1, 2, 3])
def test_without_the_originals_lists_of_the_same_size_are_drawn(no_originals, problem):
    data = monks(problem)
    assert data.name == f"monks-{problem} (drawn)" and data.classes == ("0", "1")
    robots = decode(data.train.x)
    assert len(np.unique(robots, axis=0)) == len(data.train.labels) == SIZES[problem]
    assert (data.train.labels != rule(problem, robots)).sum() == (6 if problem == 3 else 0)
    np.testing.assert_array_equal(data.train.x, monks(problem).train.x)
    assert data.validation.x.shape == (0, 17) and data.validation.labels.shape == (0,)


def test_dtypes(no_originals):
    assert {part.x.dtype for part in monks(3, dtype=np.float32)[2:]} == {np.dtype(np.float32)}
    assert {part.labels.dtype for part in monks(3)[2:]} == {np.dtype(np.int64)}


@originals
@pytest.mark.parametrize("problem", [1, 2, 3])
def test_the_rules_reproduce_the_original_test_files(problem):
    attributes, labels = read_list(GIVEN / f"monks-{problem}.test")
    test = monks(problem).test
    np.testing.assert_array_equal(one_hot(attributes), test.x)
    np.testing.assert_array_equal(labels, test.labels)


@originals
@pytest.mark.parametrize("problem", [1, 2, 3])
def test_the_original_training_lists(problem):
    data = monks(problem)
    robots = decode(data.train.x)
    assert data.name == f"monks-{problem}" and len(data.train.labels) == SIZES[problem]
    assert len(np.unique(robots, axis=0)) == SIZES[problem]
    assert (data.train.labels != rule(problem, robots)).sum() == (6 if problem == 3 else 0)


def test_both_published_layouts_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICOMPRESS_DATA", str(tmp_path))
    (tmp_path / "monks").mkdir()
    for text in ("@relation ' '\r\n@attribute class {0,1}\n\n@data\n1,1,1,1,1,3,1\n0,3,2,2,3,4,2",
                 " 1 1 1 1 1 3 1 data_5\n 0 3 2 2 3 4 2 data_9\n"):
        (tmp_path / "monks" / "monks-2.train").write_bytes(text.encode())
        data = monks(2)
        assert data.name == "monks-2" and data.train.labels.tolist() == [1, 0]
        assert decode(data.train.x).tolist() == [[1, 1, 1, 1, 3, 1], [3, 2, 2, 3, 4, 2]]
        assert monks(1).name == "monks-1 (drawn)"


@pytest.mark.parametrize("line", ["<html>", "1,1,1,1,1,3", "2,1,1,1,1,3,1", "1,1,1,1,1,5,1", "1,0,1,1,1,3,1",
                                  "1,1,1,1,1,x,1", "1,1,1,1,1,-3,1", "1,1,1,1,1,3,1.5"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "monks-1.train"
    path.write_text(f"1,1,1,1,1,3,1\n{line}\n")
    with pytest.raises(FormatError, match=r"line 2 of .*monks-1\.train"):
        read_list(path)


@pytest.mark.parametrize("content", [b"", b"@data\n\n", bytes([0x1f, 0x8b, 0xff])])
def test_files_without_robots_are_refused(tmp_path, content):
    path = tmp_path / "monks-1.train"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"monks-1\.train"):
        read_list(path)


def test_other_bad_input(tmp_path):
    with pytest.raises(StorageError):
        read_list(tmp_path / "missing")
    for problem in (0, 4):
        with pytest.raises(RangeError):
            monks(problem)
    for problem, dtype in (("1", float), (1.0, float), (True, float), (1, int)):
        with pytest.raises(DTypeError):
            monks(problem, dtype=dtype)
