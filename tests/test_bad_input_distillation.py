"""Bad input for distillation. An id is a row of the list of bad input by which the library was designed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.distillation import experiments, losses, targets
from minicompress.errors import DTypeError, NonFiniteError, RangeError, ShapeError

NAN = float("nan")
rng = np.random.default_rng(0)
X, Y = rng.uniform(0, 1, (40, 64)), np.arange(40) % 10
LOGITS = rng.normal(size=(40, 10)) + 5 * np.eye(10)[Y]


def with_value(value: float) -> np.ndarray:
    logits = LOGITS.copy()
    logits.flat[3] = value
    return logits


REFUSED: list[tuple[int, type[Exception], str, Callable[[], Any]]] = [
    (4, ShapeError, "logits of 30 samples for 40 inputs", lambda: targets.from_teacher(X, LOGITS[:30], 4)),
    (4, ShapeError, "30 labels for 40 samples", lambda: targets.from_labels(X, Y[:30], 10)),
    (4, ShapeError, "30 labels for 40 samples", lambda: experiments.ways(X, Y[:30], LOGITS, [4])),
    (4, ShapeError, "logits of 30 samples for 40 inputs", lambda: experiments.ways(X, Y, LOGITS[:30], [4])),
    (5, RangeError, "a class of the mistakes is 99; allowed: ≥ 0 and ≤ 9",
     lambda: experiments.mislabel(Y, {1: 99}, rng=0)),
    (5, RangeError, "a class of the mistakes is 10", lambda: experiments.mislabel(Y, {10: 1}, rng=0)),
    (7, NonFiniteError, "the teacher's logits has 1", lambda: losses.soft(4)(LOGITS, with_value(NAN))),
    (7, NonFiniteError, "the teacher's logits has 1", lambda: losses.match_logits(LOGITS, with_value(NAN))),
    (7, NonFiniteError, "the teacher's logits has 1",
     lambda: losses.distill(4)(LOGITS, np.hstack([np.eye(10)[Y], with_value(np.inf)]))),
    (7, NonFiniteError, "the logits has 1", lambda: targets.from_teacher(X, with_value(NAN), 4)),
    (7, NonFiniteError, "z has 1", lambda: losses.soften(with_value(NAN), 4)),
    *((43, kind, "T is", lambda T=T: losses.soft(T))
      for T, kind in [*((T, RangeError) for T in (0, -1, 1e-300, -np.inf, NAN, np.float32(-np.inf))),
                      *((T, DTypeError) for T in (True, np.True_, "4"))]),
    (43, RangeError, r"Did you mean 0\.7", lambda: losses.distill(4, 70)),
    (44, ShapeError, "target has 10 classes, those of the teacher, for a student of 7",
     lambda: losses.soft(4)(LOGITS[:, :7], LOGITS)),
    (44, ShapeError, "as many classes", lambda: losses.distill(4)(LOGITS[:, :7], np.hstack([LOGITS, LOGITS]))),
]


@pytest.mark.parametrize(("row", "kind", "message", "call"), REFUSED, ids=[f"row{row[0]}" for row in REFUSED])
def test_refused(row: int, kind: type[Exception], message: str, call: Callable[[], Any]) -> None:
    before = [a.copy() for a in (X, Y, LOGITS)]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert caught.type is kind
    assert all(np.array_equal(a, b) for a, b in zip((X, Y, LOGITS), before, strict=True))


def test_row43_any_infinity_is_logit_matching_and_half_precision_works() -> None:
    assert all(losses.soft(T) is losses.match_logits for T in (np.inf, np.float32(np.inf), np.float16(np.inf)))
    half = LOGITS.astype(np.float16)
    for z, v in ((half, LOGITS), (half, half), (LOGITS, half)):
        for T in (1e-3, 1, 1e300, np.inf):
            value, dz = losses.soft(T)(z, v[::-1])
            assert np.isfinite(value) and np.isfinite(dz).all() and dz.dtype == z.dtype
    np.testing.assert_array_equal(losses.soften(half, 1e-3), np.eye(10)[half.argmax(1)])


def test_row44_a_teacher_at_chance_is_noticed() -> None:
    """Chance is 1/C and three standard errors: 24 % of 40 samples and 10 classes, 0.1 + 3 √(0.09 / 40)."""
    def logits(right: int) -> np.ndarray:
        return np.eye(10)[np.where(np.arange(40) < right, Y, (Y + 1) % 10)] - 0.5

    calls: list[Callable[[np.ndarray], Any]] = [
        lambda v: targets.from_teacher(X, v, 4, labels=Y, alpha=0.5),
        lambda v: experiments.ways(X, Y, v, [4]), lambda v: experiments.ways(X, Y, v, [4, 8], alpha=0.5)]
    for call in calls:
        with pytest.warns(UserWarning, match=r"right in 22\.5% of 40 samples, .* among 10 classes \(up to 24\.2%\)"):
            call(logits(9))
        call(logits(10))
    untrained = nn.Sequential([nn.Linear(64, 16, rng=0), nn.ReLU(), nn.Linear(16, 10, rng=1)])
    with pytest.warns(UserWarning, match="has it been trained") as caught:
        calls[0](targets.teach(untrained, X))
    assert caught[0].filename == __file__, "the warning points at the caller"
    targets.from_teacher(X[:3], np.eye(2)[[1, 0, 1]] - 0.5, 4, labels=[0, 1, 0], alpha=0.5)  # too few
