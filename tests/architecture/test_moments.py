"""Moments: those of the vectors that the weights really meet."""

import numpy as np

from minicompress import nn
from minicompress.architecture.moments import input_moments


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_moments_are_those_of_what_the_weights_meet():
    rng = np.random.default_rng(0)
    conv = nn.Conv2d(2, 3, (2, 3), rng=rng, stride=(2, 1), padding=1)
    model = nn.Sequential([conv, nn.ReLU(), nn.Flatten(), nn.Linear(3 * 3 * 5, 4, rng=rng)])
    x = random(1, 7, 2, 4, 5) + 1
    found = input_moments(model, x, batch=3)
    hidden = model.layers[2].forward(model.layers[1].forward(conv.forward(x)))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    v = np.array([padded[n, :, h : h + 2, w : w + 3].ravel() for n in range(7) for h in (0, 2, 4) for w in range(5)])
    assert list(found) == ["layers.0", "layers.3"] and model.training
    for path, rows in (("layers.0", v), ("layers.3", hidden)):
        np.testing.assert_allclose(found[path].mean, rows.mean(0))
        np.testing.assert_allclose(found[path].covariance, np.cov(rows.T, bias=True), atol=1e-12)


def test_an_error_in_the_weights_costs_what_the_moments_say():
    layer, x, D, d = nn.Linear(5, 3, rng=0), random(0, 30, 5) + 1, random(1, 3, 5), random(2, 3)
    mean, K = input_moments(layer, x)[""]
    outputs = np.mean(np.sum((x @ D.T + d) ** 2, 1))
    np.testing.assert_allclose(np.trace(D @ K @ D.T) + np.sum((D @ mean + d) ** 2), outputs)


def test_inputs_that_never_change_have_no_variance():
    x = np.tile([0, 0.3, 1, 0], (50, 1))
    K = input_moments(nn.Linear(4, 2, rng=0), x)[""].covariance
    np.testing.assert_allclose(K, 0, atol=1e-15)
    assert not K[0].any() and not K[3].any()


def test_layers_that_do_not_run_are_left_out():
    ways = nn.Switch([nn.Linear(5, 3, rng=0), nn.Linear(5, 3, rng=1)], nn.Selector(0))
    ways.forward(random(0, 2, 5))
    ways.selector.index = 1
    assert list(input_moments(ways, random(1, 4, 5))) == ["layers.1"]


def test_layers_with_groups_are_left_out():
    depthwise = nn.Sequential([nn.Conv2d(2, 2, 3, rng=0, groups="channels")])
    assert input_moments(depthwise, random(0, 2, 2, 4, 4)) == {}
