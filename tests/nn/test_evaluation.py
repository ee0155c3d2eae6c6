"""Prediction and error: batches, modes, what is refused before and after."""

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import LabelError, NonFiniteError, RangeError, ShapeError

X = np.random.default_rng(0).uniform(-1, 1, (10, 3))


def model() -> nn.Sequential:
    return nn.Sequential([nn.Linear(3, 8, rng=0), nn.BatchNorm(8), nn.ReLU(), nn.Dropout(0.5, rng=1),
                          nn.Linear(8, 4, rng=2)])


@pytest.mark.parametrize("batch", [1, 3, 10, 1000])
def test_batches_do_not_show(batch: int) -> None:
    np.testing.assert_allclose(nn.predict(model(), X, batch), nn.predict(model(), X), rtol=1e-12, atol=1e-14)


def test_prediction_changes_nothing_and_copies() -> None:
    net = model()
    before = [np.copy(v) for v in net.state().values() if isinstance(v, np.ndarray)]
    stream = net.layers[3].rng.bit_generator.state
    nn.predict(net, X)
    for old, new in zip(before, [v for v in net.state().values() if isinstance(v, np.ndarray)], strict=True):
        np.testing.assert_array_equal(old, new)
    assert net.layers[3].rng.bit_generator.state == stream
    identity = nn.predict(nn.Sequential([]), X)
    np.testing.assert_array_equal(identity, X)
    assert not np.shares_memory(identity, X)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back_even_after_an_error(training: bool) -> None:
    net = model()
    net.train(training)
    nn.predict(net, X)
    assert all(node.training == training for _, node in net.walk())
    with pytest.raises(ShapeError):
        nn.predict(net, X[:, :2])
    assert all(node.training == training for _, node in net.walk())


def test_prediction_between_two_training_steps() -> None:
    net = model()
    for _ in range(2):
        net.backward(net.forward(X))
        nn.predict(net, X)


def test_several_exits_give_a_tuple() -> None:
    net = nn.MultiExit([nn.Linear(3, 2, rng=0), nn.Tanh()], [nn.Sequential([]), nn.Linear(2, 5, rng=1)])
    first, second = nn.predict(net, X, 4)
    assert (first.shape, second.shape) == ((10, 2), (10, 5))
    np.testing.assert_allclose(first, nn.predict(net.stages[0], X))
    with pytest.raises(ShapeError):
        nn.error(net, X, np.zeros(10, int))


def test_error_is_the_fraction_of_wrong_answers() -> None:
    scores = np.eye(4)[[0, 1, 2, 3, 0]]
    labels = np.array([0, 1, 2, 0, 0])
    assert nn.error(nn.Sequential([]), scores, labels) == 0.2
    assert nn.error(nn.Sequential([]), np.zeros((4, 3)), np.array([0, 0, 1, 2])) == 0.5, "a tie goes to the lower class"


def test_error_refuses_labels_that_do_not_fit() -> None:
    scores = np.eye(4)
    with pytest.raises(LabelError, match=r"labels\[1\] is 4; allowed: 0 \.\. 3"):
        nn.error(nn.Sequential([]), scores, np.array([0, 4, 0, 0]))
    with pytest.raises(LabelError, match="ravel"):
        nn.error(nn.Sequential([]), scores, np.zeros((4, 1), int))
    with pytest.raises(ShapeError, match="3 labels for 4"):
        nn.error(nn.Sequential([]), scores, np.zeros(3, int))


def test_outputs_that_are_not_finite_are_no_answers() -> None:
    net = nn.Sequential([nn.Linear(3, 2, rng=0), nn.Linear(2, 2, rng=0)])
    for p in net.parameters():
        p.data[...] = 1e200
    with pytest.raises(NonFiniteError, match="the model's output has 20 values"):
        nn.error(net, X, np.zeros(10, int))


def test_an_impossible_batch_is_refused() -> None:
    for batch in (0, -1):
        with pytest.raises(RangeError):
            nn.predict(model(), X, batch)


def test_numpys_own_warnings_do_not_matter() -> None:
    scores = np.array([[1e4, -1e4, 0.0]])
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(nn.predict(nn.Sigmoid(), scores), [[1, 0, 0.5]])
