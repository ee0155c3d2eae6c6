import numpy as np
import pytest

from minicompress.data import digits
from minicompress.data.digits import FILE
from minicompress.data.idx import read_idx
from minicompress.errors import DTypeError


def test_the_bundled_file_equals_scikit_learns_copy():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is only needed for this comparison")
    bunch = datasets.load_digits()
    rows = read_idx(FILE, 2)
    np.testing.assert_array_equal(rows[:64].T, bunch.data)
    np.testing.assert_array_equal(rows[64], bunch.target)


def test_the_bundled_file_is_small_and_names_its_source():
    assert FILE.stat().st_size <= 40_000
    notice = FILE.with_name("digits.md").read_text("utf-8")
    assert "E. Alpaydin, C. Kaynak" in notice and "CC BY 4.0" in notice


def test_the_split_is_the_courses():
    order = np.random.default_rng(0).permutation(1797)
    assert order[:4].tolist() == [360, 1773, 1482, 600], "NumPy's permutation has changed: every golden output will too"
    rows, data = read_idx(FILE, 2), digits()
    for part, chosen in zip(data[2:], (order[:1000], order[1000:1297], order[1297:]), strict=True):
        np.testing.assert_array_equal(part.x, rows[:64, chosen].T / 16)
        np.testing.assert_array_equal(part.labels, rows[64, chosen])


def test_no_image_is_in_two_parts():
    data = digits()
    images = [image.tobytes() for part in data[2:] for image in part.x]
    assert len(set(images)) == len(images) == 1797


def test_shapes_names_and_range():
    data = digits()
    assert data.name == "digits" and data.classes == tuple("0123456789")
    assert [part.x.shape for part in data[2:]] == [(1000, 64), (297, 64), (500, 64)]
    for part in data[2:]:
        assert part.x.min() == 0 and part.x.max() == 1 and part.x.dtype == np.float64
        assert np.unique(part.labels).tolist() == list(range(10))


def test_images_and_float32():
    flat, data = digits(), digits(images=True, dtype=np.float32)
    assert data.train.x.shape == (1000, 1, 8, 8) and data.train.x.dtype == np.float32
    np.testing.assert_array_equal(data.test.x.reshape(500, 64), flat.test.x)  # sixteenths are exact in float32


def test_a_call_does_not_see_what_was_done_to_an_earlier_result():
    first = digits()
    first.train.x[:] = 9
    first.train.labels[:] = 9
    assert digits().train.x.max() == 1 and digits().train.labels.min() == 0


def test_other_dtypes_are_refused():
    with pytest.raises(DTypeError):
        digits(dtype=np.uint8)
