"""MNIST and Fashion-MNIST: grey images of 28x28 pixels in 10 classes, 60,000 for training and 10,000 for the test.

Sources: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits";
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747, 2017. The files are fetched, not bundled: see download.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError
from .dataset import Dataset, as_float_type, image_samples
from .download import fetch
from .idx import read_idx

CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def mnist(*, images: bool = False, dtype: Any = np.float32) -> Dataset:
    """x = pixels / 255   x (n, 784), or (n, 1, 28, 28) if `images`   55,000 training, 5,000 validation, 10,000 test.

    The split is the course's: the validation samples are the last twelfth of `default_rng(0).permutation(60000)`.
    Raises DTypeError, the errors of `fetch`, and those of `read_idx` where a file is not what it should be.
    """
    return _load("mnist", tuple("0123456789"), images, dtype)


def fashion_mnist(*, images: bool = False, dtype: Any = np.float32) -> Dataset:
    """As `mnist`, with articles of clothing: harder, and not solved by a linear model."""
    return _load("fashion-mnist", CLOTHES, images, dtype)


def _load(name: str, classes: tuple[str, ...], images: bool, dtype: Any) -> Dataset:
    as_float_type(dtype)  # a wrong dtype shows before the download
    train_images, train_labels, test_images, test_labels = fetch(name)
    pixels, labels = _read_pair(train_images, train_labels, len(classes))
    order = np.random.default_rng(0).permutation(len(labels))
    train, validation = np.split(order, [len(order) - len(order) // 12])
    test_pixels, answers = _read_pair(test_images, test_labels, len(classes))
    if pixels.shape[1:] != test_pixels.shape[1:]:
        raise FormatError(f"{test_images} has images of {test_pixels.shape[1:]} pixels, {train_images} of "
                          f"{pixels.shape[1:]}; expected: the same. Hint: fetch them again.")
    return Dataset(name, classes, image_samples(pixels[train], labels[train], 255, images, dtype),
                   image_samples(pixels[validation], labels[validation], 255, images, dtype),
                   image_samples(test_pixels, answers, 255, images, dtype))


def _read_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(pixels) != len(labels):
        raise FormatError(f"{images_path} has {len(pixels)} images and {labels_path} has {len(labels)} labels; "
                          f"expected: one each. Hint: fetch them again.")
    if labels.max() >= classes:
        raise FormatError(f"{labels_path} has the label {labels.max()}; allowed: 0 .. {classes - 1}.")
    return pixels, labels
