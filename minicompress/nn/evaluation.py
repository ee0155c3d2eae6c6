"""Evaluation: samples as they come in, the outputs of a network for them, and how often they are wrong."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..inputs import as_array, as_integer, as_labels, check_finite
from .layers import Layer

Samples = tuple[np.ndarray, np.ndarray]


def predict(model: Layer, x: np.ndarray, batch: int = 1000) -> Any:
    """The outputs for x (N, …), computed in evaluation mode, batch by batch; a tuple where the model gives one.

    Raises NonFiniteError for outputs that are NaN or infinite, besides what as_array and the layers raise.
    """
    x, batch = as_array(x, "x", (None, ...)), as_integer(batch, "batch", 1)
    before = model.training
    model.train(False)
    try:
        with np.errstate(all="ignore"):  # what overflows is found below
            parts = [model.forward(x[i : i + batch]) for i in range(0, len(x), batch)]
    finally:
        model.train(before)
    several = isinstance(parts[0], tuple)
    outputs = tuple(np.concatenate(part) for part in (zip(*parts, strict=True) if several else [parts]))
    for output in outputs:
        check_finite(output, "the model's output")
    return outputs if several else outputs[0]


def error(model: Layer, x: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of samples whose largest output is not that of the label.   Raises NonFiniteError, LabelError."""
    outputs = as_array(predict(model, x), "the model's output", (None, None))
    return float(np.mean(outputs.argmax(1) != as_labels(labels, len(outputs), outputs.shape[1])))


def as_samples(samples: Any, name: str) -> Samples:
    """(x, target) as arrays of N rows each, x of finite floats.   Raises ShapeError, DTypeError, NonFiniteError."""
    x, target = as_array(samples[0], name, (None, ...)), np.asarray(samples[1])
    if target.shape[:1] != x.shape[:1]:
        raise ShapeError(f"the targets have shape {target.shape} for {len(x)} samples; allowed: one row each.")
    return x, target


def check_classes(model: Layer, x: np.ndarray, labels: np.ndarray) -> None:
    """Raise LabelError unless all labels are classes of the model; warn of classes that no sample has."""
    classes = as_array(predict(model, x[:1]), "the model's output", (1, None)).shape[1]
    missing = np.flatnonzero(np.bincount(as_labels(labels, len(x), classes), minlength=classes) == 0)
    if len(missing):
        warnings.warn(f"no training sample has the label {', '.join(map(str, missing))}: the model cannot learn it.",
                      stacklevel=3)


def warn_of_slips(x: np.ndarray, lr: float, **others: Samples | None) -> None:
    """Warn the caller's caller of unscaled inputs, of other samples that are the training's, and of a rate of 0."""
    if np.abs(x).mean() > 16:
        warnings.warn(f"the inputs reach {x.max():g}; networks expect about 1. Hint: pixels / 255.", stacklevel=3)
    for name, samples in others.items():
        if samples is not None and np.array_equal(x, samples[0]):
            warnings.warn(f"the {name} images are the training images: the error will look too good.", stacklevel=3)
    if lr == 0:
        warnings.warn("the learning rate is 0: the weights will not move.", stacklevel=3)
