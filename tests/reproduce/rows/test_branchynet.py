"""B-LeNet on MNIST: the network is the paper's, what a run gives, when it counts, and that its protocol says it."""

import numpy as np
import pytest

from minicompress.counting import layer_macs
from minicompress.dynamic.routing import exit_macs
from minicompress.nn import predict
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.branchynet import BRANCHYNET, MNIST, Recipe, b_lenet, compare, lenet, protocol

RECIPE = Recipe(3, 0.01, 10, 0.5)


def test_the_layers_and_what_they_cost():
    model = b_lenet(28, 10, np.random.default_rng(0))
    x = np.random.default_rng(1).random((2, 1, 28, 28), np.float32)
    first, branch = 30**2 * 5 * 25, 15**2 * 10 * 5 * 9 + 490 * 10
    rest = 17**2 * 10 * 125 + 10**2 * 20 * 250 + 500 * 84 + 84 * 10
    assert exit_macs(model, x).tolist() == [first + branch, first + branch + rest]
    assert sum(layer_macs(lenet(model), x).values()) == first + rest
    np.testing.assert_array_equal(predict(lenet(model), x), predict(model, x)[1])


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    samples = quarters(dtype=np.float32, noise=0.5, shape=(1, 6, 6))
    figures = compare(samples, RECIPE, 0)
    assert {claim.figure for claim in BRANCHYNET.claims} == {*figures, "seconds"}
    model = b_lenet(6, 4, np.random.default_rng(0))
    costs = exit_macs(model, samples.train.x[:1])
    full = sum(layer_macs(lenet(model), samples.train.x[:1]).values())
    early = figures["early"]
    assert figures["macs"] == pytest.approx((early * costs[0] + (1 - early) * costs[1]) / full)
    assert 0 < early < 1 and max(figures["full"], figures["last"], figures["error"]) < 0.1


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    assert protocol(MNIST._replace(**{field: getattr(MNIST, field) / 2})) != protocol(MNIST)


GOOD = {"full": 0.01, "first": 0.02, "last": 0.01, "error": 0.011, "early": 0.85, "macs": 1 / 3, "threshold": 0.1,
        "faster": 3.0, "faster, one by one": 3.0, "seconds": 200.0}


@pytest.mark.parametrize(("figure", "value"), [(None, 0), ("error", 0.01101), ("early", 0.849), ("macs", 0.334)])
def test_the_criteria_are_those_of_the_course(figure, value):
    figures = {k: np.full(3, float(value if k == figure else v)) for k, v in GOOD.items()}
    lines = [line for claim in BRANCHYNET.claims for line in claim_lines(claim, figures, "")]
    assert [line[-1] for line in lines].count("no") == (figure is not None)
