"""Images moved by one pixel: a harder task from the same pictures.

`jitter` moves each image at random and is for training; `shifts` gives all nine positions and is for testing. What
leaves the frame is lost and what enters it is zero. On the 8x8 digits one pixel is an eighth of the picture: training
on moved images costs accuracy on unmoved ones.
"""

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..inputs import as_array, as_generator


def jitter(x: Any, *, rng: Any) -> np.ndarray:
    """Each image moved by -1, 0 or +1 pixel in H and in W, all nine moves equally likely.

    x (n, side * side) or (n, C, H, W); the result is a new array of the same shape. A Generator gives other moves at
    every call, a seed the same ones.   Raises ShapeError, DTypeError, NonFiniteError, RangeError.
    """
    x = _as_images(x)
    down, right = as_generator(rng).integers(0, 3, size=(2, len(x)))
    return _moved(x)[np.arange(len(x)), :, down, right].reshape(x.shape)


def shifts(x: Any) -> np.ndarray:
    """All nine moved copies of x, one after the other: (n, …) to (9 n, …), for labels `numpy.tile(labels, 9)`.

    The moves (down, right) run from (-1, -1) and (-1, 0) to (1, 1); copy 4, counted from 0, is x itself.
    Raises ShapeError, DTypeError, NonFiniteError.
    """
    x = _as_images(x)
    return _moved(x).transpose(2, 3, 0, 1, 4, 5).reshape((9 * len(x), *x.shape[1:]))


def _moved(x: np.ndarray) -> np.ndarray:
    """A view (n, C, 3, 3, H, W): entry [:, :, 1 + down, 1 + right] is x moved by (down, right)."""
    side = math.isqrt(x.shape[1])
    images = x.reshape(-1, 1, side, side) if x.ndim == 2 else x
    frame = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(frame, images.shape[2:], axis=(2, 3))
    return windows[:, :, ::-1, ::-1]


def _as_images(x: Any) -> np.ndarray:
    x = as_array(x)
    square = x.ndim == 2 and math.isqrt(x.shape[1]) ** 2 == x.shape[1]
    if not (square or x.ndim == 4) or x.size == 0:
        raise ShapeError(f"x has shape {x.shape}; allowed: (n, side * side) or (n, C, H, W), with at least 1 sample. "
                         f"Hint: x[:, None] gives images (n, H, W) their channel.")
    return x
