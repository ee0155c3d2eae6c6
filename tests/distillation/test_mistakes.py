"""Each well-known mistake of a distillation loss breaks one of the properties that the soft loss has."""

import numpy as np
import pytest
from scipy.special import rel_entr
from scipy.special import softmax as scipy_softmax

from minicompress.distillation.losses import soft
from minicompress.errors import RangeError
from minicompress.nn import softmax
from minicompress.verdict import verdict

N, C = 6, 5
Z, V = np.random.default_rng(0).uniform(-3, 3, (2, N, C))


def gradient_is_the_derivative(make):
    h = 1e-3
    for T in (1, 4, 100):
        loss, d = make(T), np.random.default_rng(1).uniform(-1, 1, Z.shape)
        a, b, c, e = (loss(Z + t * h * d, V)[0] for t in (-2, -1, 1, 2))
        numeric, exact = (8 * (c - b) - (e - a)) / (12 * h), (loss(Z, V)[1] * d).sum()
        assert abs(numeric - exact) < 1e-6 * (abs(numeric) + abs(exact))


def agreement_costs_nothing(make):
    for T in (0.5, 1, 4, 100):
        value, dz = make(T)(V + np.arange(N)[:, None], V)
        assert abs(value) < 1e-10 and np.abs(dz).max() < 1e-12


def disagreement_costs(make):
    for T in (0.5, 1, 4, 100):
        value, dz = make(T)(Z, V)
        assert value > 1e-3 and np.abs(dz).max() > 1e-3


def only_differences_of_logits_count(make):
    for T in (1, 4):
        value, dz = make(T)(Z, V)
        for a, b in ((3, 0), (-9, 0), (0, 5), (0, -9)):
            other, d = make(T)(Z + a, V + b)
            assert other == pytest.approx(value) and np.allclose(d, dz)


def heat_tends_to_centred_logits(make):
    """Eq. 4 of Hinton et al. times T²: without that factor the limit would be 0."""
    value, dz = make(1e4)(Z, V)
    d = Z - V
    d -= d.mean(1, keepdims=True)
    np.testing.assert_allclose(dz * N, d / C, atol=1e-3)
    assert value == pytest.approx((d * d).sum() / (2 * C * N), rel=1e-3)


def the_teacher_comes_first(make):
    """KL(p ‖ q) = Σ p log (p / q), p the teacher's."""
    for T in (0.5, 1, 4):
        p, q = scipy_softmax(V / T, 1), scipy_softmax(Z / T, 1)
        assert make(T)(Z, V)[0] == pytest.approx(T**2 * rel_entr(p, q).sum() / N)


PROPERTIES = (gradient_is_the_derivative, agreement_costs_nothing, disagreement_costs,
              only_differences_of_logits_count, heat_tends_to_centred_logits, the_teacher_comes_first)


@pytest.mark.parametrize("holds", PROPERTIES)
def test_the_soft_loss_has_the_property(holds):
    holds(soft)


def relu_on_logits(T):
    def loss(z, v):
        value, dz = soft(T)(np.maximum(z, 0), v)
        return value, dz * (z > 0)
    return loss


def no_square(T):
    return lambda z, v: tuple(part / T**2 for part in soft(T)(z, v))


MISTAKES = {
    "the teacher's logits twice": (lambda T: lambda z, v: soft(T)(v, v), disagreement_costs),
    "the student's logits twice": (lambda T: lambda z, v: soft(T)(z, z), disagreement_costs),
    "softmax twice": (lambda T: lambda z, v: soft(T)(z, softmax(v)), agreement_costs_nothing),
    "T² forgotten": (no_square, heat_tends_to_centred_logits),
    "T² in the value alone": (lambda T: lambda z, v: (soft(T)(z, v)[0], no_square(T)(z, v)[1]),
                              gradient_is_the_derivative),
    "T in place of T²": (lambda T: lambda z, v: tuple(part / T for part in soft(T)(z, v)),
                         heat_tends_to_centred_logits),
    "KL reversed": (lambda T: soft(T, reverse=True), the_teacher_comes_first),
    "ReLU on the student's logits": (relu_on_logits, only_differences_of_logits_count),
    "ReLU on the teacher's logits": (lambda T: lambda z, v: soft(T)(z, np.maximum(v, 0)),
                                     only_differences_of_logits_count),
    "temperature for the teacher alone": (lambda T: lambda z, v: soft(1)(z, v / T), agreement_costs_nothing),
    "ascent": (lambda T: lambda z, v: (soft(T)(z, v)[0], -soft(T)(z, v)[1]), gradient_is_the_derivative),
}


def test_one_seed_is_no_comparison():
    """Not a mistake of the loss, but of its judge: a verdict on a student against another needs several seeds."""
    for seeds in (1, 2):
        with pytest.raises(RangeError, match=f"{seeds} seeds were given; allowed: at least 3"):
            verdict("the teacher beats hard labels", [10.2] * seeds)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_breaks_a_property(mistake):
    make, broken = MISTAKES[mistake]
    with pytest.raises(AssertionError):
        broken(make)
