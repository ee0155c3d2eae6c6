import numpy as np
import pytest

from minicompress.data.dataset import as_float_type, image_samples
from minicompress.errors import DTypeError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 250], np.uint8)


def test_an_image_row_follows_the_one_above():
    flat = image_samples(PIXELS, LABELS, 23, False, np.float64)
    np.testing.assert_array_equal(flat.x, np.arange(24).reshape(2, 12) / 23)
    np.testing.assert_array_equal(flat.x.reshape(2, 1, 3, 4), image_samples(PIXELS, LABELS, 23, True, np.float64).x)


def test_labels_become_wide_integers_that_may_be_subtracted():
    labels = image_samples(PIXELS, LABELS, 23, False, np.float64).labels
    assert labels.dtype == np.int64
    assert (labels - 251).tolist() == [-244, -1]


@pytest.mark.parametrize("dtype", [float, np.float32, np.float64, "float32", np.dtype(np.float64)])
def test_the_dtype_is_the_one_asked_for(dtype):
    assert image_samples(PIXELS, LABELS, 23, False, dtype).x.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [int, np.uint8, np.float16, complex, None, "double decker"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DTypeError, match="float32, float64"):
        as_float_type(dtype)
