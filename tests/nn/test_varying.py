"""Weights whose shape varies: their map stays, and stays last."""

import copy

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import StateError


class Scaled(nn.Parametrization):
    """w = c x"""

    factor: float

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, data: np.ndarray) -> np.ndarray:
        return self.factor * data


class Head(nn.Parametrization):
    """w = x[:length]: a weight whose shape varies"""

    length: int
    varies = "keep it"

    def __init__(self, length: int) -> None:
        self.length = length

    def forward(self, data: np.ndarray) -> np.ndarray:
        return data[: self.length]

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.length,)


def test_a_map_of_varying_shape_stays_and_stays_last() -> None:
    head = Head(2)
    p = nn.Parameter(np.arange(4.0), [Scaled(2.0), head])
    for change in (p.bake, p.check_fixed, lambda: p.become(p.data, []), lambda: p.become(p.data, [copy.copy(head)]),
                   lambda: p.become(p.data, [*p.parametrizations, Scaled(3.0)])):
        with pytest.raises(StateError, match=r"Head.*Hint: keep it"):
            change()
        assert len(p.parametrizations) == 2 and p.data.shape == (4,)
    p.become(p.data, [Scaled(3.0), *p.parametrizations])
    p.freeze()
    assert p.shape == (2,) and p.data.shape == (4,)
    p.parametrizations.append(Scaled(1.0))
    with pytest.raises(StateError, match="stand behind Head"):
        p.validate()
