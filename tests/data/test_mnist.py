import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from minicompress.data import Dataset, fashion_mnist, mnist
from minicompress.errors import DTypeError, FormatError, LimitError

FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
GIVEN = os.environ.get("MINICOMPRESS_DATA")


def write(path, array):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def clothes(tmp_path, monkeypatch):
    """The folder and the arrays of a Fashion-MNIST of 30 training and 6 test images of 5x4 pixels."""
    monkeypatch.setenv("MINICOMPRESS_DATA", str(tmp_path))
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, high, shape, np.uint8) for high, shape in
              [(256, (30, 5, 4)), (10, (30,)), (256, (6, 5, 4)), (10, (6,))]]
    for file, array in zip(FILES, arrays, strict=True):
        write(folder / file, array)
    return folder, arrays


def test_the_last_twelfth_of_a_fixed_permutation_is_for_validation(clothes):
    _, (pixels, labels, test_pixels, answers) = clothes
    data, order = fashion_mnist(dtype=np.float64), np.random.default_rng(0).permutation(30)
    for part, chosen in ((data.train, order[:28]), (data.validation, order[28:])):
        np.testing.assert_array_equal(part.x, pixels[chosen].reshape(-1, 20) / 255)
        np.testing.assert_array_equal(part.labels, labels[chosen])
    np.testing.assert_array_equal(data.test.x, test_pixels.reshape(6, 20) / 255)
    np.testing.assert_array_equal(data.test.labels, answers)


def test_names_shapes_and_dtypes(clothes):
    data = fashion_mnist(images=True)
    assert isinstance(data, Dataset) and data.name == "fashion-mnist"
    assert len(data.classes) == 10 and data.classes[7] == "Sneaker"
    assert [part.x.shape for part in data[2:]] == [(28, 1, 5, 4), (2, 1, 5, 4), (6, 1, 5, 4)]
    assert {part.x.dtype for part in data[2:]} == {np.dtype(np.float32)}
    assert {part.labels.dtype for part in data[2:]} == {np.dtype(np.int64)}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", [b"", b"<html>Log in</html>", b"\x1f\x8b\x08", bytes(100)])
def test_garbage_is_refused_with_the_name_of_its_file(clothes, file, content):
    folder, _ = clothes
    (folder / file).write_bytes(content)
    with pytest.raises(FormatError, match=file):
        fashion_mnist()


def test_files_that_do_not_belong_together_are_refused(clothes):
    folder, (pixels, labels, test_pixels, answers) = clothes
    for file, wrong, right, message in [
        (FILES[1], labels[1:], labels, "30 images .* 29 labels"),
        (FILES[1], np.where(labels == labels[3], 10, labels).astype(np.uint8), labels, r"label 10; allowed: 0 \.\. 9"),
        (FILES[2], test_pixels.transpose(0, 2, 1).copy(), test_pixels, r"\(4, 5\) pixels.*\(5, 4\)"),
        (FILES[0], labels, pixels, "exchanged"),
        (FILES[3], test_pixels, answers, "exchanged"),
    ]:
        write(folder / file, wrong)
        with pytest.raises(FormatError, match=message):
            fashion_mnist()
        write(folder / file, right)
    fashion_mnist()


def test_absurd_sizes_are_refused(clothes):
    folder, _ = clothes
    (folder / FILES[0]).write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 2**31)))
    with pytest.raises(LimitError, match=FILES[0]):
        fashion_mnist()


def test_a_wrong_dtype_shows_before_any_file_is_touched(monkeypatch):
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("a download was started"))
    with pytest.raises(DTypeError):
        mnist(dtype=np.uint8)


@pytest.mark.skipif(not GIVEN or not (Path(GIVEN) / "mnist").is_dir(), reason="MINICOMPRESS_DATA has no folder mnist")
def test_mnist_itself():
    data = mnist()
    assert [part.x.shape for part in data[2:]] == [(55_000, 784), (5_000, 784), (10_000, 784)]
    assert np.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(np.concatenate([data.train.labels, data.validation.labels])).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.train.x.max() == 1 and data.train.x.dtype == np.float32
    assert not {image.tobytes() for image in data.train.x} & {image.tobytes() for image in data.validation.x}
