"""What ran is counted, for as many samples as each layer saw."""

import numpy as np

from minicompress.counting import counted, layer_macs, within
from minicompress.nn import Conv2d, Flatten, Layer, Linear, ReLU, Sequential


def test_counts_add_up_within_a_layer_and_not_within_its_namesakes():
    model = Sequential([Sequential([Linear(3, 4, rng=0), ReLU()]), *(ReLU() for _ in range(9)), Linear(4, 2, rng=0)])
    model.train(False)
    y, ran = counted(model)(np.ones((5, 3)))
    np.testing.assert_array_equal(y, model.forward(np.ones((5, 3))))
    assert [within(ran, f"layers.{i}") for i in (0, 1, 10)] == [5 * 12, 0, 5 * 8] and sum(ran.values()) == 100


class FirstRows(Layer):
    """Hands on the first two samples only."""

    def forward(self, x):
        return x[:2]


def test_each_layer_counts_the_samples_that_it_saw():
    model = Sequential([Conv2d(1, 2, 3, rng=0, stride=2, padding=1), FirstRows(), Flatten(), Linear(18, 4, rng=0)])
    model.train(False)
    _, ran = counted(model)(np.ones((7, 1, 6, 6)))
    assert ran["layers.0"] == 7 * 2 * 9 * 9 and ran["layers.3"] == 2 * 18 * 4
    assert layer_macs(model, np.ones((7, 1, 6, 6)))["layers.0"] == 2 * 9 * 9
