"""What a student or instructor will plausibly get wrong, and what answers. An id is a row of the list of bad input by
which the core was designed; each module's own tests go deeper."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import DTypeError, LabelError, NonFiniteError, RangeError, ShapeError, StateError

rng = np.random.default_rng(0)
X, X2 = rng.uniform(0, 1, (40, 64)), rng.uniform(0, 1, (10, 64))
Y, Y2 = np.arange(40) % 10, np.arange(10)
PHOTOS = rng.uniform(0, 1, (8, 28, 28, 3))


def mlp() -> nn.Sequential:
    return nn.Sequential([nn.Linear(64, 16, rng=0), nn.BatchNorm(16), nn.ReLU(), nn.Linear(16, 10, rng=1)])


def cnn() -> nn.Sequential:
    return nn.Sequential([nn.Conv2d(3, 4, 3, rng=0), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10, rng=1)])


def fit(x: Any = X, y: Any = Y, model: nn.Layer | None = None, lr: Any = 0.1, **given: Any) -> list[nn.Record]:
    model = model or mlp()
    options = {"epochs": 1, "rng": 0, "progress": False, **given}
    return list(nn.train(model, nn.SGD(model.parameters(), lr), (x, y), **options))


def optimizer(kind: type = nn.SGD, **options: Any) -> nn.Optimizer:
    return kind(mlp().parameters(), **{"lr": 0.1, **options})


def twice_forward() -> None:
    model = mlp()
    model.forward(X)
    model.forward(X)


def with_value(value: float, place: tuple[int, int] = (3, 5)) -> np.ndarray:
    x = X.copy()
    x[place] = value
    return x


def labels_with(label: int) -> np.ndarray:
    return np.where(np.arange(40) == 7, label, Y)


def huge_weights() -> nn.Layer:
    model = nn.Sequential([nn.Linear(64, 8, rng=0), nn.Linear(8, 10, rng=1)])
    for p in model.weights():
        p.data *= 1e200
    return model


def two_optimizers() -> None:
    model = mlp()
    first, _ = nn.SGD(model.parameters(), 0.1), nn.SGD(model.parameters(), 0.1)
    list(nn.train(model, first, (X, Y), epochs=1, rng=0, progress=False))


def other_weight(shape: tuple[int, int]) -> None:
    model = mlp()
    model.layers[0].weight.become(np.ones(shape))
    nn.predict(model, X)


REFUSED: list[tuple[int, type[Exception], str, Callable[[], Any]]] = [
    (1, ShapeError, r"\(64,\); allowed: \(N, 64\).*x\[None\]", lambda: mlp().forward(X[0])),
    (1, ShapeError, r"63\); allowed: \(N, 64\)", lambda: fit(X[:, :63])),
    (2, ShapeError, r"Linear\(64 → 16\) .*Flatten", lambda: fit(X.reshape(40, 8, 8))),
    (2, ShapeError, r"Conv2d\(3 → 4, 3 x 3\) .*channels before", lambda: nn.predict(cnn(), PHOTOS)),
    (3, LabelError, r"labels\.ravel\(\)", lambda: fit(y=Y[:, None])),
    (3, LabelError, r"labels\.ravel\(\)", lambda: nn.error(mlp(), X, Y[:, None])),
    (4, ShapeError, r"shape \(39,\) for 40 samples", lambda: fit(y=Y[:39])),
    (4, ShapeError, r"39 labels for 40 samples", lambda: nn.error(mlp(), X, Y[:39])),
    (4, ShapeError, r"shape \(9,\) for 10 samples", lambda: fit(validation=(X2, Y2[:9]))),
    (5, LabelError, r"labels\[7\] is -1; allowed: 0 \.\. 9", lambda: fit(y=labels_with(-1))),
    (5, LabelError, r"labels\[7\] is 10; allowed: 0 \.\. 9", lambda: fit(y=labels_with(10))),
    (6, DTypeError, r"astype\(int\)", lambda: fit(y=Y.astype(float))),
    (6, DTypeError, r"argmax\(axis=1\)", lambda: nn.error(mlp(), X, np.eye(10)[Y])),
    (6, LabelError, r"argmax\(axis=1\)", lambda: fit(y=np.eye(10, dtype=int)[Y])),
    (6, DTypeError, r"number the classes", lambda: fit(y=Y.astype(str))),
    (7, NonFiniteError, r"1 values .* first at \(3, 5\)", lambda: fit(with_value(np.nan))),
    (7, NonFiniteError, r"1 values .* first at \(3, 5\)", lambda: nn.predict(mlp(), with_value(np.inf))),
    (7, NonFiniteError, r"first at \(1,\)", lambda: nn.Parameter([0.0, np.nan])),
    (8, ShapeError, "at least 1 sample", lambda: fit(X[:0], Y[:0])),
    (8, ShapeError, "at least 1 sample", lambda: nn.error(mlp(), X[:0], Y[:0])),
    (8, ShapeError, "at least 1 sample", lambda: nn.cross_entropy(np.ones((0, 10)), Y[:0])),
    (9, RangeError, "batch is 0; allowed: ≥ 1", lambda: fit(batch=0)),
    (9, RangeError, "batch is -5", lambda: fit(batch=-5)),
    (12, DTypeError, "complex", lambda: fit(X + 0j)),
    (12, DTypeError, "object", lambda: fit(X.astype(object))),
    (12, DTypeError, "<U", lambda: nn.predict(mlp(), X.astype(str))),
    (13, ShapeError, "rows differ in length", lambda: fit([[1.0], [2.0, 3.0]], [0, 1])),
    (13, DTypeError, "allowed: a NumPy array, a list, a data frame", lambda: fit(object(), Y)),
    (16, NonFiniteError, "the model's output", lambda: nn.predict(huge_weights(), X)),
    (16, NonFiniteError, "the model's output", lambda: fit(1e200 * X, model=huge_weights())),
    (18, RangeError, "n_in is 0; allowed: ≥ 1", lambda: nn.Linear(0, 3, rng=0)),
    (18, RangeError, "n_out is -3", lambda: nn.Linear(3, -3, rng=0)),
    (18, DTypeError, r"n_in is 2\.5; allowed: an integer", lambda: nn.Linear(2.5, 3, rng=0)),
    (18, ShapeError, r"Linear\(9 → 2\) got x of shape \(1, 8\)",
     lambda: fit(model=nn.Sequential([nn.Linear(64, 8, rng=0), nn.Linear(9, 2, rng=0)]))),
    (19, StateError, "before its forward", lambda: mlp().backward(np.ones((40, 10)))),
    (19, StateError, "called twice", twice_forward),
    (19, StateError, "a step without a gradient", lambda: optimizer().step()),
    (20, ShapeError, "its output would be -1 x -1", lambda: cnn().forward(np.ones((2, 3, 1, 1)))),
    (20, RangeError, "stride is 0", lambda: nn.Conv2d(1, 1, 3, rng=0, stride=0)),
    (20, RangeError, "padding is -1", lambda: nn.Conv2d(1, 1, 3, rng=0, padding=-1)),
    (21, RangeError, "init is 'glorott'; allowed: he, glorot. Did you mean 'glorot'?",
     lambda: nn.Linear(3, 3, rng=0, init="glorott")),
    (22, StateError, "another optimizer", two_optimizers),
    (22, ShapeError, r"allowed: \(N, 65\)", lambda: other_weight((16, 65))),
    (22, ShapeError, r"weight \(17, 64\) and bias \(16,\)", lambda: other_weight((17, 64))),
    (23, DTypeError, "rng is None", lambda: fit(rng=None)),
    (23, DTypeError, r"rng is 0\.5", lambda: fit(rng=0.5)),
    (23, RangeError, "rng is -1; allowed: ≥ 0", lambda: nn.Dropout(0.5, rng=-1)),
    (24, RangeError, r"lr is -1\.0; allowed: ≥ 0", lambda: fit(lr=-1)),
    (24, RangeError, "lr is nan; allowed: a finite number", lambda: fit(lr=float("nan"))),
    (24, NonFiniteError, r"loss became (inf|nan) at step \d+, first seen in .*Hint: a smaller learning rate",
     lambda: fit(lr=1e200, batch=5, epochs=9)),
    *((25, RangeError, f"{name} is", lambda name=name, value=value: optimizer(**{name: value}))
      for name, value in [("momentum", 1.0), ("momentum", -0.1), ("weight_decay", -1e-9)]),
    *((25, RangeError, f"{name} is", lambda name=name, value=value: optimizer(nn.Adam, **{name: value}))
      for name, value in [("beta1", 1.0), ("beta2", 1.5), ("eps", 0.0), ("weight_decay", -1)]),
    *((25, RangeError, "p is .*; allowed: ≥ 0 and < 1", lambda p=p: nn.Dropout(p, rng=0)) for p in (1.0, -0.1, 50)),
    (25, RangeError, "momentum is 1.0", lambda: nn.BatchNorm(3, momentum=1.0)),
    (26, RangeError, "epochs is -1; allowed: ≥ 0", lambda: fit(epochs=-1)),
    (26, RangeError, "epochs is 1000000000; allowed: .*≤ 1e[+]06", lambda: fit(epochs=10**9)),
    (26, DTypeError, r"epochs is 1000000000\.0; allowed: an integer", lambda: fit(epochs=1e9)),
]


@pytest.mark.parametrize(("row", "kind", "message", "call"), REFUSED, ids=[f"row{row[0]}" for row in REFUSED])
def test_refused(row: int, kind: type[Exception], message: str, call: Callable[[], Any]) -> None:
    before = X.copy(), Y.copy()
    with pytest.raises(kind, match=message) as caught:
        call()
    assert caught.type is kind
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


ACCEPTED = {
    "row9 batch > n": lambda: fit(batch=41),
    "row9 last partial batch": lambda: fit(batch=39),
    "row10 batch of one": lambda: fit(batch=1),
    **{f"row12 {dtype}": lambda dtype=dtype: fit((X > 0.5).astype(dtype))
       for dtype in ("bool", "int64", "uint8", "float16", "float32", "longdouble")},
    "row13 lists": lambda: fit(X.tolist(), Y.tolist()),
    "row14 Fortran": lambda: fit(np.asfortranarray(X)),
    "row14 not contiguous": lambda: fit(np.repeat(X, 2, axis=1)[:, ::2]),
    "row14 byte-swapped": lambda: fit(X.astype(">f8"), Y.astype(">i4")),
    "row14 read-only": lambda: fit(np.broadcast_to(X, X.shape)),
    "row15 the same array in and out": lambda: fit(X, X, nn.Sequential([nn.Linear(64, 64, rng=0)]), 0.001,
                                                    loss=nn.mean_squared_error),
    "row23 a huge seed": lambda: fit(rng=2**300),
    "row26 no epochs": lambda: fit(epochs=0, validation=(X2, Y2)),
}


@pytest.mark.parametrize("call", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(call: Callable[[], list[nn.Record]]) -> None:
    before = X.copy()
    assert len(call()) == 1
    np.testing.assert_array_equal(X, before)


def test_row14_the_order_in_memory_does_not_matter() -> None:
    expected = nn.predict(mlp(), X)
    for same in (np.asfortranarray(X), X.astype(">f8"), np.repeat(X, 2, axis=1)[:, ::2], np.broadcast_to(X, X.shape)):
        np.testing.assert_allclose(nn.predict(mlp(), same), expected, rtol=1e-12, atol=1e-14)


def frozen() -> nn.Layer:
    """A network whose hidden units are all dead."""
    model = mlp()
    model.layers[1].shift.data[...] = -100
    return model


WARNED = {
    "row11 pixels": ("the inputs reach 25\\d; .* pixels / 255", lambda: fit((255 * X).astype(np.uint8), lr=1e-6)),
    "row24 lr 0": ("the learning rate is 0", lambda: fit(lr=0)),
    "row28 dead units": ("the loss has hardly changed", lambda: fit(model=frozen(), epochs=5, lr=0.01)),
    "row29 one class": ("no training sample has the label 0, 1, 2, 4", lambda: fit(y=np.full(40, 3))),
    "row29 a class missing": ("no training sample has the label 7:", lambda: fit(y=np.where(Y == 7, 6, Y))),
    "row30 the same array": ("validation images are the training images", lambda: fit(validation=(X, Y))),
    "row30 equal contents": ("validation images are the training images", lambda: fit(validation=(X.copy(), Y))),
}


@pytest.mark.parametrize(("message", "call"), WARNED.values(), ids=WARNED)
def test_warned(message: str, call: Callable[[], list[nn.Record]]) -> None:
    with pytest.warns(UserWarning, match=message) as caught:
        assert call()
    assert caught[0].filename == __file__, "the warning points at the caller"
