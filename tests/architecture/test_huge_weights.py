"""Numbers whose squares overflow: a named error, never zeros or infinities."""

import numpy as np
import pytest

from minicompress.architecture import low_rank, moments
from minicompress.errors import NonFiniteError, ShapeError
from minicompress.nn import Linear

RNG = np.random.default_rng(0)
W, X = RNG.normal(size=(6, 20)), RNG.uniform(0, 1, (40, 20))


def huge():
    layer = Linear(20, 6, rng=0)
    layer.weight.data[...] = 1e308 * np.sign(W)
    return layer


@pytest.mark.parametrize(("words", "call"), [
    (r"of W|rows of V", lambda: low_rank.components(1e308 * np.sign(W))),
    (r"of W|rows of V", lambda: low_rank.factors(1e308 * np.sign(W), 2)),
    (r"of W|rows of V", lambda: low_rank.low_rank(huge(), 2)),
    ("sum of squares", lambda: low_rank.relative_error(1e200 * W, W)),
    ("sum of squares", lambda: low_rank.relative_error(1e160 * W, W, np.eye(20))),
    ("sum of products", lambda: moments.input_moments(Linear(20, 6, rng=0), 1e160 * X)),
])
def test_what_overflows_is_named(words, call):
    with pytest.raises(NonFiniteError, match=words):
        call()


def test_a_covariance_of_another_size():
    with pytest.raises(ShapeError, match="covariance has shape"):
        low_rank.relative_error(W, W, np.eye(3))
    assert low_rank.relative_error(W.tolist(), W.tolist()) == 0
