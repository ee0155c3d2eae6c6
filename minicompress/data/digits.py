"""The handwritten digits that come with the package: 1,797 grey images of 8x8 pixels.

Each pixel counts the black points, 0 to 16, in a block of 4x4 points of a scanned digit. Source and licence: digits.md.
The bundled file has 65 rows of 1,797 bytes: a row for each pixel, then the labels. Made from scikit-learn's copy by

    bunch = sklearn.datasets.load_digits()
    rows = numpy.vstack([bunch.data.T, bunch.target]).astype(numpy.uint8)
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31, 5, zlib.Z_RLE)     # gzip, a Huffman code for every pixel or so
    digits_idx_gz = deflate.compress(struct.pack(">4B2I", 0, 0, 8, 2, *rows.shape) + rows.tobytes()) + deflate.flush()
"""

from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Dataset, image_samples
from .idx import read_idx

FILE = Path(__file__).with_name("digits.idx.gz")


def digits(*, images: bool = False, dtype: Any = np.float64) -> Dataset:
    """x = pixels / 16   x (n, 64), or (n, 1, 8, 8) if `images`   1,000 training, 297 validation, 500 test.

    The split is the course's: `default_rng(0).permutation(1797)`, cut in this order.   Raises DTypeError.
    """
    rows = read_idx(FILE, 2)
    pixels, labels = rows[:64].T.reshape(-1, 8, 8), rows[64]
    parts = np.split(np.random.default_rng(0).permutation(len(labels)), [1000, 1297])
    train, validation, test = (image_samples(pixels[part], labels[part], 16, images, dtype) for part in parts)
    return Dataset("digits", tuple("0123456789"), train, validation, test)
