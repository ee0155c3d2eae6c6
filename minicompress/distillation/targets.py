"""Lecture 08: what a student is taught with. Labels, smoothed labels, or the logits of one teacher or of several.

    labels    t = one-hot, or smoothed: (1 - ε) one-hot + ε / C       t (N, C)
    teacher   v = its logits; of K teachers: mean of logits v_k, or T log (C mean_k softmax(v_k / T))   v (N, C)

The mean of logits is, but for a constant, the logarithm of the geometric mean of the teachers' distributions; the other
has softmax(v / T) = their arithmetic mean. Hinton, Vinyals & Dean 2015, section 1, name both. As T → ∞ they agree.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_choice, as_fraction, as_integer, as_labels
from ..nn import Layer, Loss, cross_entropy, predict
from .losses import as_temperature, distill, log_mean_exp, log_ratio, soft


class Supervision(NamedTuple):
    """What `train` needs to know of a task: the inputs x (N, …), a target of N rows, the loss that reads it."""

    x: np.ndarray
    target: np.ndarray
    loss: Loss

    def only(self, chosen: np.ndarray) -> Supervision:
        """The samples that an array of booleans or of indices names."""
        return self._replace(x=self.x[chosen], target=self.target[chosen])


def one_hot(labels: np.ndarray, classes: int, *, smoothing: float = 0.0) -> np.ndarray:
    """t = (1 - ε) [c = label] + ε / C      labels (N,)   t (N, C)   ε: smoothing

    (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.)   Raises LabelError, RangeError.
    """
    classes, smoothing = as_integer(classes, "classes", 1), as_fraction(smoothing, "smoothing")
    return (1 - smoothing) * np.eye(classes)[as_labels(labels, None, classes)] + smoothing / classes


def ensemble(logits: Iterable[np.ndarray], average: str = "logits", T: float = 1.0) -> np.ndarray:
    """v = mean_k v_k, or ("probabilities") T log (C mean_k softmax(v_k / T))      v_k, v (N, C)

    T: the temperature at which probabilities are averaged, that of the loss.   Raises ShapeError, RangeError.
    """
    as_choice(average, "average", ["logits", "probabilities"])
    T, logits = as_temperature(T), [as_array(v, "the logits", (None, None)) for v in logits]
    if len({v.shape for v in logits}) != 1:
        raise ShapeError(f"teachers give logits of shapes {[v.shape for v in logits]}; allowed: one or more, equal.")
    z = np.array(logits, np.float64)
    if average == "logits" or math.isinf(T):
        mean = z.mean(0)
    else:
        mean = T * log_mean_exp(np.array([log_ratio(v, T) for v in z]), 0)[0]  # log (C p): no T log C, which grows
    return mean.astype(np.result_type(*logits))


def teach(teachers: Layer | Iterable[Layer], x: np.ndarray, average: str = "logits", T: float = 1.0) -> np.ndarray:
    """v (N, C): the logits of a teacher for x, or of several, averaged (`ensemble`).   Raises as predict does."""
    if isinstance(teachers, Layer):
        return check_logits(predict(teachers, x))
    return ensemble([check_logits(predict(teacher, x)) for teacher in teachers], average, T)


def check_logits(v: Any) -> np.ndarray:
    """v (N, C) as it is.   Raises RangeError for probabilities; warns of logits that seem to pass through a ReLU."""
    v = as_array(v, "the logits", (None, None))
    if v.shape[1] > 1 and v.min() >= 0:
        if np.allclose(v.sum(1), 1, atol=1e-5):
            raise RangeError("the teacher's outputs are probabilities, every row sums to 1; allowed: logits. "
                             "Hint: leave the softmax to the loss, or take numpy.log of them.")
        if (v == 0).any():
            warnings.warn("no logit of the teacher is negative and some are 0: does its last layer end in a ReLU? "
                          "Hint: the last layer is Linear.", stacklevel=3)
    return v


def warn_at_chance(v: np.ndarray, labels: np.ndarray) -> None:
    """Warn of a teacher that is right in no more than 1/C + 3 √(1/C (1 - 1/C) / N) of the samples.      v (N, C)

    That much is reached by chance, up to three standard errors. So few samples that this is 1 or more tell nothing.
    """
    (N, C), right = v.shape, float(np.mean(v.argmax(1) == as_labels(labels, len(v))))
    limit = 1 / C + 3 * math.sqrt((1 - 1 / C) / C / N)
    if right <= limit < 1:
        warnings.warn(f"the teacher is right in {right:.1%} of {N} samples, no more than guessing may be among {C} "
                      f"classes (up to {limit:.1%}): has it been trained, on these labels?", stacklevel=3)


def from_labels(x: np.ndarray, labels: np.ndarray, classes: int, *, smoothing: float = 0.0) -> Supervision:
    """Hard labels, or smoothed ones: the two controls of every distillation.

    Raises LabelError, RangeError, and ShapeError for other than one label a sample.
    """
    return Supervision(x, one_hot(as_labels(labels, len(x)), classes, smoothing=smoothing), cross_entropy)


def from_teacher(x: np.ndarray, logits: np.ndarray, T: float, *, labels: np.ndarray | None = None,
                 alpha: float | None = None, reverse: bool = False) -> Supervision:
    """The teacher's logits for x at temperature T; with labels a mix, of which `alpha` is the teacher's share.

    Warns of a teacher that knows no more of these labels than chance (`warn_at_chance`).
    Raises ShapeError, RangeError, LabelError; RangeError where one of labels and alpha comes without the other.
    """
    logits = check_logits(logits)
    if len(x) != len(logits):
        raise ShapeError(f"there are logits of {len(logits)} samples for {len(x)} inputs; allowed: one row each.")
    if (labels is None) != (alpha is None):
        raise RangeError("labels and alpha go together; allowed: both, or none of them.")
    if labels is None or alpha is None:
        return Supervision(x, logits, soft(T, reverse=reverse))
    t = one_hot(as_labels(labels, len(logits)), logits.shape[1])
    warn_at_chance(logits, labels)
    return Supervision(x, np.hstack([t, logits]), distill(T, alpha, reverse=reverse))
