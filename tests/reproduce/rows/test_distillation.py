"""Distillation on MNIST: what a run gives, when it counts, and that its protocol says what it does."""

import numpy as np
import pytest

from minicompress.distillation.experiments import HARD
from minicompress.distillation.losses import soft
from minicompress.nn import Dropout, predict
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows.distillation import (
    DISTILLATION,
    FOUND,
    MIXED,
    MNIST,
    NO_3,
    ONLY_7_8,
    SHIFT,
    SHIFTED,
    SOFT,
    TEACHER,
    Recipe,
    perceptron,
    protocol,
    study,
    taught_by,
)

RECIPE = Recipe((30, 12), (30, 12), 0.2, 10, 3e-3, 20, 0.5)


def test_a_run_gives_every_figure_that_is_claimed(quarters):
    samples = quarters(10, 400, np.float32, bright=0.3)
    figures = study(samples, RECIPE, 0, missing=3, only=(1, 2))
    assert {claim.figure for claim in DISTILLATION.claims} <= {*figures, "seconds"}
    assert max(figures[name] for name in (TEACHER, HARD, SOFT, MIXED)) < 0.05
    assert figures[NO_3 + HARD + FOUND] == 0
    assert figures[NO_3 + SOFT + SHIFTED + FOUND] > max(0.9, figures[NO_3 + SOFT + FOUND])
    assert figures[NO_3 + SOFT + SHIFTED] < 0.05 < figures[NO_3 + SOFT]
    assert figures[ONLY_7_8 + SOFT + SHIFTED] < 0.3 < figures[ONLY_7_8 + SOFT]
    assert figures[NO_3 + SOFT + SHIFT] > 0 > figures[ONLY_7_8 + SOFT + SHIFT]


@pytest.mark.filterwarnings("ignore:the teacher is right in")  # it is new
def test_the_three_ways_of_teaching(quarters):
    samples = quarters(dtype=np.float32)
    teacher = perceptron(36, 8, 4, np.random.default_rng(0), 0.5)
    assert sum(isinstance(layer, Dropout) for layer in teacher.layers) == 2
    taught, logits, z = taught_by(teacher, samples, RECIPE), predict(teacher, samples.train.x), np.zeros((200, 4))
    one_hot = np.eye(4)[samples.train.labels]
    np.testing.assert_array_equal(taught[HARD].target, one_hot)
    np.testing.assert_array_equal(taught[SOFT].target, logits)
    values = [taught[way].loss(z, taught[way].target)[0] for way in (HARD, SOFT, MIXED)]
    assert values[1] == soft(20)(z, logits)[0]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)


@pytest.mark.parametrize("field", Recipe._fields)
def test_another_recipe_is_another_protocol(field):
    value = getattr(MNIST, field)
    others = [(value[0] / 2, value[1]), (value[0], value[1] / 2)] if isinstance(value, tuple) else [value / 2]
    assert all(protocol(MNIST._replace(**{field: other})) != protocol(MNIST) for other in others)


GOOD = {HARD: 0.0146, SOFT: 0.0126, NO_3 + SOFT + FOUND: 0.85, NO_3 + SOFT + SHIFTED + FOUND: 0.97,
        ONLY_7_8 + SOFT: 0.4, ONLY_7_8 + SOFT + SHIFTED: 0.2}


@pytest.mark.parametrize(("figure", "value"), [
    (None, None), (SOFT, 0.01261), (NO_3 + SOFT + FOUND, 0.849), (NO_3 + SOFT + SHIFTED + FOUND, 0.969),
    (ONLY_7_8 + SOFT, 0.399), (ONLY_7_8 + SOFT + SHIFTED, 0.201)])
def test_the_criteria_are_those_of_the_course(figure, value):
    figures = {claim.figure: np.full(3, 0.5) for claim in DISTILLATION.claims}
    figures |= {k: np.full(3, value if k == figure else v) for k, v in GOOD.items()}
    words = [line[-1] for claim in DISTILLATION.claims for line in claim_lines(claim, figures, "")]
    assert words.count("no") == (figure is not None) and words.count("yes") == 5 - (figure is not None)
