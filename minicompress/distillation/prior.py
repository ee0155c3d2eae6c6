"""Lecture 08: a class that the student never saw. Its bias is wrong, because nothing in the transfer set asked for it.

    find b_c with   mean_n softmax(z_n + b)_c = π_c      z (N, C): logits of unlabelled inputs   π: the class prior

Hinton, Vinyals & Dean 2015, section 3, chose the shift that did best on the test set. Here it follows from how often
each class is expected, without a label: the mean predicted probability is made equal to the prior. For one class that
is a bisection, for several it is repeated in turn. The solution is unique, up to a constant where all are shifted: the
shifts minimize the convex function Σ_n log Σ_c exp(z_nc + b_c) / N - Σ_c π_c b_c.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logsumexp

from ..errors import RangeError, StateError
from ..inputs import as_array, as_integer, as_number
from ..nn import Layer, Linear, Parameter, Sequential, predict


def shift_for(margins: np.ndarray, prior: float) -> float:
    """b with mean_n σ(m_n + b) = π      margins m (N,): a class's logit minus log Σ exp of the others   0 < π < 1"""
    middle = np.log(prior) - np.log1p(-prior)
    low, high = middle - margins.max(), middle - margins.min()  # all probabilities at most π, at least π
    for _ in range(60):
        b = (low + high) / 2
        if expit(margins + b).mean() < prior:
            low = b
        else:
            high = b
    return float((low + high) / 2)


def match_prior(z: np.ndarray, prior: Mapping[int, float], *, rounds: int = 200) -> np.ndarray:
    """b (C,): what to add to the logits z (N, C), so that each class of `prior` has its mean probability; 0 elsewhere

    prior: class → π. Stops when no shift changes by more than 1e-9, or after so many rounds.
    Raises RangeError for classes that z has not, or priors that no shift reaches.
    """
    z = as_array(z, "z", (None, None))
    prior = {as_integer(c, "class", 0, z.shape[1] - 1): as_number(p, "prior", above=0, below=1)
             for c, p in prior.items()}
    total, every = sum(prior.values()), len(prior) == z.shape[1]
    if abs(total - 1) > 1e-9 if every else total >= 1:
        raise RangeError(f"the priors of {len(prior)} of {z.shape[1]} classes sum to {total:g}; allowed: 1 for all "
                         f"classes, less for fewer.")
    b = np.zeros(z.shape[1])
    for _ in range(as_integer(rounds, "rounds", 1)):
        before = b.copy()
        for c, p in prior.items():
            others = np.delete(z + b, c, axis=1)
            b[c] = shift_for(z[:, c] - logsumexp(others, axis=1), p)
        if np.abs(b - before).max() <= 1e-9:
            break
    return b


def output_bias(model: Layer) -> Parameter:
    """The bias of the Linear layer in which a Sequential ends.   Raises StateError where there is none."""
    last = model
    while isinstance(last, Sequential) and last.layers:
        last = last.layers[-1]
    if not isinstance(last, Linear) or last.bias is None or last.bias.parametrizations:
        raise StateError(f"the model ends in {last!r}; allowed: a Sequential that ends in a Linear layer with a plain "
                         f"bias.")
    return last.bias


def correct_bias(model: Layer, x: np.ndarray, prior: Mapping[int, float]) -> np.ndarray:
    """Shift the output biases of the classes in `prior` in place, so that on x they get their share; returns b (C,).

    x: inputs without labels, that have all classes. Raises StateError, RangeError.
    """
    bias = output_bias(model)
    shift = match_prior(predict(model, x), prior)
    bias.data += shift.astype(bias.data.dtype)
    return shift
