"""What every loader of this folder returns."""

from typing import Any, NamedTuple

import numpy as np

from ..errors import DTypeError


class Samples(NamedTuple):
    """x (n, features) or (n, C, H, W)   labels (n,), integers from 0."""

    x: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """Train on `train`, choose on `validation`, report on `test`; `classes[label]` is a label's name."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    validation: Samples
    test: Samples


def image_samples(pixels: np.ndarray, labels: np.ndarray, white: int, images: bool, dtype: Any) -> Samples:
    """x = pixels / white      pixels (n, H, W)   x (n, H W), or (n, 1, H, W) if `images`.   Raises DTypeError."""
    x = np.divide(pixels, white, dtype=as_float_type(dtype))
    n, height, width = x.shape
    return Samples(x.reshape((n, 1, height, width) if images else (n, height * width)), labels.astype(np.int64))


def as_float_type(dtype: Any) -> np.dtype:
    """`dtype` as numpy.float32 or numpy.float64.   Raises DTypeError."""
    if dtype not in (float, np.float32, np.float64, "float32", "float64"):
        raise DTypeError(f"dtype is {dtype!r}; allowed: float32, float64. Hint: dtype=numpy.float32.")
    return np.dtype(dtype)
