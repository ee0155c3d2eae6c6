"""Bad input for codebooks and integers, beside tests/test_bad_input_topics.py; rows are those of the same list."""

import numpy as np
import pytest

from minicompress import nn, storage
from minicompress.errors import RangeError
from minicompress.ledger import finished
from minicompress.quantization.conversion import to_integers
from minicompress.quantization.sharing import Codebook, share

X = np.random.default_rng(0).uniform(0, 1, (40, 8))


def test_row36_a_codebook_larger_than_the_distinct_values_is_reduced_and_a_note_says_so() -> None:
    few = nn.Parameter(np.arange(12.0).reshape(3, 4) % 5)
    with pytest.warns(UserWarning, match="k is 8, but 5 values are distinct: the codebook has 5 numbers") as caught:
        share(few, 8)
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert len(few.data) == 5
    share(nn.Parameter(np.arange(12.0) % 5), 5)  # as many: no note
    one = nn.Parameter(np.arange(12.0))
    share(one, 1)
    assert one.data.tolist() == [5.5]


def test_row46_numbers_of_a_codebook_that_are_equal() -> None:
    codes = np.arange(40, dtype=np.uint8).reshape(5, 8) % 4
    byhand = nn.Parameter(np.array([0.5, -0.0, 0.5, 0.0]), [Codebook(codes)])
    w, layer = byhand.forward().copy(), nn.Linear(8, 5, rng=0)
    byhand.freeze()
    assert byhand.data.tolist() == [0.0, 0.5]
    assert not np.signbit(byhand.data[0])
    assert np.array_equal(byhand.forward(), w)
    layer.weight.become(np.array([1.0, 1.0 + 2.0**-20, 2.0, 3.0]), [Codebook(codes)])  # half precision: two are equal
    done = finished(layer, "half")
    assert done.weight.forward().tolist() == np.array([1.0, 1.0, 2.0, 3.0])[codes].tolist()
    again = storage.from_bytes(storage.to_bytes(done))
    assert again.weight.data.tolist() == done.weight.data.tolist()
    assert np.array_equal(again.forward(X), done.forward(X))


def test_row47_samples_that_are_all_zero_give_no_range_for_a_bias() -> None:
    model = nn.Sequential([nn.Linear(8, 6, rng=0), nn.ReLU(), nn.Linear(6, 3, rng=1)])
    assert not to_integers(model, 0 * X)(0 * X).any()
    model.layers[0].bias.data[...] = 0.5
    with pytest.raises(RangeError, match=r"below 2\^31. Hint: samples that reach beyond 1\.57156e-30 at its inputs"):
        to_integers(model, 0 * X)
