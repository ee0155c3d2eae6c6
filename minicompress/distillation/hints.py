"""Lecture 08: hints. May a student also look at what its teacher thinks half-way?

    E = strength / (2 N) Σ_n ‖W h_n + b - u_n‖² + the loss of the outputs      h: student's hidden   u: teacher's hidden

(Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", section 2.2.) The student's layer is usually narrower, so a
regressor, here any layer, maps it to the width of the hint; it is thrown away after training. The paper first trains
the lower half of the student on the hint alone, then the whole student on the teacher's outputs:

    1   train(lower(student, 2, regressor), …, (x, u), loss=hint_loss)
    2   train(student, …, (x, v), loss=soft(T))

`guided` trains on both at once: train(guided(student, 2, regressor), …, (x, [u | v]), loss=hinted(soft(T), strength)).
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..inputs import as_integer, as_number
from ..nn import Layer, Loss, MultiExit, Sequential, mean_squared_error, predict
from ..nn.losses import check_scores
from .losses import name_of, named, split


def hint(teacher: Sequential, layers: int, x: np.ndarray) -> np.ndarray:
    """u (N, H): what the teacher's first `layers` layers make of x, each sample as a row.   Raises RangeError."""
    first = Sequential(front(teacher, layers))
    first.train(teacher.training)  # `predict` leaves the mode as it was
    outputs = predict(first, x)
    return np.reshape(outputs, (len(outputs), -1))


def front(model: Sequential, layers: int) -> list[Layer]:
    """The first layers, at least one, and not all.   Raises RangeError."""
    return model.layers[: as_integer(layers, "layers", 1, len(model.layers) - 1)]


def lower(student: Sequential, layers: int, regressor: Layer) -> Sequential:
    """y = regressor(h)      h: the output of the student's first `layers` layers, which are shared, not copied"""
    return Sequential([*front(student, layers), regressor])


def guided(student: Sequential, layers: int, regressor: Layer) -> MultiExit:
    """y = (regressor(h), z)      z: the student's outputs; its layers are shared, so the student itself is trained"""
    first = front(student, layers)
    return MultiExit([Sequential(first), Sequential(student.layers[len(first):])], [regressor, Sequential([])])


def hint_loss(r: np.ndarray, u: np.ndarray) -> tuple[float, np.ndarray]:
    """E = 1/(2 N) Σ_n ‖r_n - u_n‖²,   dr = (r - u) / N      r, u (N, H)   Raises ShapeError."""
    value, dr = mean_squared_error(r, u.astype(r.dtype))
    return value / 2, dr / 2


def hinted(loss: Loss, strength: float) -> Loss:
    """strength · hint_loss(r, u) + loss(z, target)      outputs (r, z) of `guided`   target: [u | that of the loss]

    The target is float: labels become distributions (targets.one_hot). Raises RangeError; the loss ShapeError.
    """
    strength = as_number(strength, "strength", 0)

    def both(outputs: tuple[np.ndarray, np.ndarray], target: np.ndarray) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
        r, z = outputs
        N, H = check_scores(r)
        if target.ndim != 2 or target.shape[1] <= H:
            raise ShapeError(f"the target has shape {target.shape}; allowed: more than {H} columns, the hint and then "
                             f"the target of the outputs. Hint: numpy.hstack.")
        u, rest = split(target, N, H, target.shape[1] - H)
        value, dr = hint_loss(r, u)
        further, dz = loss(z, rest)
        return strength * value + further, (dr * r.dtype.type(strength), dz)

    return named(both, f"hinted, strength = {strength:g}, {name_of(loss)}")
