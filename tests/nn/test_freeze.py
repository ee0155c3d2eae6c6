"""Freezing works from the outside in and keeps the weight bit for bit. The maps here are made for these tests."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import nn
from minicompress.errors import ShapeError
from minicompress.nn.parameter import Frozen


class Scaled(nn.Parametrization):
    """w = c x,   dx = c dw"""

    factor: float

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, data: np.ndarray) -> np.ndarray:
        return self.factor * data

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.factor * dw


class Chosen(nn.Parametrization):
    """w = m ∘ x, or w[m] = x and zero elsewhere, which follows from x's shape."""

    mask: np.ndarray

    def __init__(self, mask: Any) -> None:
        self.mask = np.asarray(mask, bool)

    def forward(self, data: np.ndarray) -> np.ndarray:
        w = np.zeros(self.mask.shape)
        w[self.mask] = data[self.mask] if data.shape == self.mask.shape else data
        return w

    def backward(self, dw: np.ndarray) -> np.ndarray:
        return self.mask * dw if self.dense else dw[self.mask]

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.dense = shape == self.mask.shape
        if not self.dense and shape != (self.mask.sum(),):
            raise ShapeError(f"{shape} does not fit {self.mask.shape}")
        return self.mask.shape

    def freeze(self, data: np.ndarray, keep: np.ndarray | None) -> Frozen:
        wanted = self.mask if keep is None else self.mask & keep
        inside = self.mask if keep is None else self.mask[keep]
        return None, [Chosen(inside)], wanted if self.dense else wanted[self.mask]


masks = st.lists(st.booleans(), min_size=1, max_size=12).map(np.array)


@given(masks, st.data())
@settings(max_examples=60)
def test_freeze_keeps_the_weight_bit_for_bit(mask: np.ndarray, data: st.DataObject) -> None:
    second = np.array(data.draw(st.lists(st.booleans(), min_size=len(mask), max_size=len(mask))))
    numbers = np.random.default_rng(len(mask)).uniform(-1, 1, len(mask))
    survivors = int(mask.sum())
    chains: list[tuple[list[nn.Parametrization], int]] = [
        ([], len(mask)),
        ([Scaled(1 / 3)], len(mask)),
        ([Scaled(1 / 3), Chosen(mask)], survivors),
        ([Chosen(mask), Scaled(1 / 3)], survivors),
        ([Chosen(mask), Chosen(second)], int((mask & second).sum())),
        ([Chosen(mask), Scaled(3), Chosen(second), Scaled(-1)], int(second.sum())),  # `Scaled` is stored
    ]
    for chain, size in chains:
        p = nn.Parameter(numbers, chain)
        before = p.forward()
        p.freeze()
        assert p.forward().tobytes() == before.tobytes()
        assert p.data.size == size, "only what is needed is kept"
        p.freeze()
        assert p.forward().tobytes() == before.tobytes(), "a second time"
