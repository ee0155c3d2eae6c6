"""Bad input for quantization, low rank, mobile blocks and early exits, as tests/nn/test_bad_input.py has it for the
core. An id is a row of the list of bad input by which the library was designed, 0 where the list has none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicompress import nn, storage
from minicompress.architecture import blocks, low_rank, mobile, moments, rank, zoo
from minicompress.dynamic import exits, routing
from minicompress.dynamic import thresholds as choice
from minicompress.errors import DTypeError, LabelError, NonFiniteError, RangeError, ShapeError, StateError
from minicompress.pruning.magnitude import prune
from minicompress.quantization import allocation, binary, conversion, folding, integer, packed, uniform
from minicompress.quantization.quantizer import calibrated
from minicompress.quantization.sharing import share

NAN = float("nan")
rng = np.random.default_rng(0)
X, Y = rng.uniform(0, 1, (40, 64)), np.arange(40) % 10
IMAGES, W, U = X.reshape(-1, 1, 8, 8), rng.normal(size=(6, 20)), rng.uniform(0, 1, (3, 40))


def mlp() -> nn.Sequential:
    return nn.Sequential([nn.Linear(64, 16, rng=0), nn.ReLU(), nn.Linear(16, 10, rng=1)])


def cnn() -> nn.Sequential:
    return nn.Sequential([nn.Conv2d(1, 4, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(36, 10, rng=1)])


def multi() -> nn.MultiExit:
    return nn.MultiExit([nn.Linear(a, 16, rng=0) for a in (64, 16, 16)], [nn.Linear(16, 10, rng=k) for k in range(3)])


def signs() -> nn.Sequential:
    model = nn.Sequential([nn.Linear(64, 16, rng=0), nn.BatchNorm(16), nn.Sign(), nn.Linear(16, 10, rng=1)])
    binary.binarize(model.weights())
    return model


def integers(model: nn.Layer, x: Any = X, **options: Any) -> integer.IntegerNetwork:
    return conversion.to_integers(model, x, **options)


def weight(*acts: Callable[[nn.Parameter], Any]) -> nn.Parameter:
    parameter = nn.Parameter(W)
    for act in acts:
        act(parameter)
    return parameter


def with_value(value: float, x: np.ndarray = X) -> np.ndarray:
    x = x.copy()
    x.flat[3] = value
    return x


def curve(**given: Any) -> list[choice.Point]:
    options = {"outputs": nn.predict(multi(), X), "labels": Y, "macs": np.ones(3), "candidates": [0.5], **given}
    return choice.curve(**options)


def of_infinite_data() -> None:
    parameter = weight(lambda w: uniform.quantize(w, 8))
    parameter.data[0, 3] = np.inf
    parameter.freeze()


def wide_norm() -> nn.Layer:
    return nn.Sequential([nn.Linear(64, 3, rng=0), nn.BatchNorm(4)])


REFUSED: list[tuple[int, type[Exception], str, Callable[[], Any]]] = [
    (1, ShapeError, r"Linear\(64 → 16\) got codes of shape \(40, 5\); allowed: \(N, 64\)",
     lambda: integers(mlp())(X[:, :5])),
    (1, ShapeError, r"codes of shape \(64,\)", lambda: integers(mlp())(X[0])),
    (1, ShapeError, r"allowed: \(N, 64\)", lambda: integers(mlp(), X[:, :5])),
    (1, ShapeError, r"got signs of shape \(40, 5\)|got x of shape \(40, 5\)", lambda: packed.packed(signs())(X[:, :5])),
    (1, ShapeError, r"allowed: \(N, 64\)", lambda: moments.input_moments(mlp(), X[:, :5])),
    (1, ShapeError, r"allowed: \(N, 64\)", lambda: routing.route(multi(), X[:, :5], 0.5)),
    (1, ShapeError, r"bits\[None\]", lambda: packed.pack(W[0] > 0)),
    (1, ShapeError, r"u has shape \(40,\); expected \(n, n\)", lambda: choice.leaves_at(U[0], 0.5)),
    (1, ShapeError, "6 scales meet values of shape",
     lambda: calibrated(W, 8, per_channel=True).encode(W[:5])),
    (2, ShapeError, "channels before", lambda: integers(cnn(), IMAGES)(np.repeat(IMAGES, 2, axis=1))),
    (2, ShapeError, "channels before", lambda: integers(cnn(), IMAGES)(X)),
    (4, ShapeError, "5 labels for 40 samples", lambda: curve(labels=Y[:5])),
    (4, ShapeError, r"macs has shape \(2,\)", lambda: curve(macs=np.ones(2))),
    (5, LabelError, r"labels\[5\] is 10", lambda: curve(labels=Y + 5)),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: calibrated(with_value(NAN, W), 8)),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: calibrated(W, 8).encode(with_value(NAN, W))),
    (7, NonFiniteError, r"first at \(0, 3\)", of_infinite_data),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: integers(mlp(), with_value(NAN))),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: integers(mlp())(with_value(np.inf))),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: packed.packed(signs())(with_value(NAN))),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: routing.entropy(with_value(NAN))),
    (7, NonFiniteError, r"first at \(0, 3\)", lambda: choice.leaves_at(with_value(NAN, U), 0.5)),
    (7, NonFiniteError, "outputs has 3", lambda: curve(outputs=[with_value(NAN, z) for z in nn.predict(multi(), X)])),
    (7, RangeError, "the loss is nan", lambda: allocation.allocate(mlp(), 1.0, lambda model: NAN)),
    (8, ShapeError, "at least 1 value", lambda: calibrated(np.empty((3, 0)), 8)),
    (8, ShapeError, "at least 1 sample", lambda: moments.input_moments(mlp(), X[:0])),
    (8, ShapeError, "at least one column", lambda: low_rank.components(np.empty((3, 0)))),
    (8, ShapeError, "W has shape", lambda: blocks.separate(np.empty((0, 2, 3, 3)))),
    (8, ShapeError, r"u has shape \(0,\)", lambda: choice.uncertainties([])),
    (9, RangeError, "batch is 0", lambda: routing.route(multi(), X, 0.5, batch=0)),
    (12, DTypeError, "bits are float64", lambda: packed.pack(W)),
    (12, DTypeError, "the thresholds are 'half'", lambda: routing.route(multi(), X, "half")),
    (13, ShapeError, "rows differ in length", lambda: curve(outputs=[np.ones((40, 10)), np.ones((3, 10))])),
    (13, ShapeError, r"weights has shape \(\)", lambda: exits.joint(0.5)),
    (16, RangeError, "values reach", lambda: integers(mlp(), 1e200 * X)),
    (16, NonFiniteError, "W K Wᵀ", lambda: low_rank.components(1e200 * W, np.eye(20))),
    (16, NonFiniteError, "s²", lambda: rank.energy(np.array([1e200, 1.0]))),
    (16, NonFiniteError, "qᵏ", lambda: choice.power_shares(1e200, 3)),
    (18, ShapeError, r"of 4 channels follows Linear\(64 → 3\)", lambda: folding.fold_batch_norm(wide_norm())),
    (18, RangeError, "multiples of 8", lambda: blocks.fire(4, 9, rng=0)),
    (18, RangeError, "width is 0", lambda: mobile.network(blocks.full, 0, rng=0)),
    (18, RangeError, "channels is 0", lambda: zoo.mobilenet(0.01)),
    (18, DTypeError, r"classes is 1\.5", lambda: zoo.mobilenet_v2(224, 1.5)),
    (20, RangeError, "stride is 0", lambda: blocks.full(1, 8, rng=0, stride=0)),
    (21, RangeError, r"'min-max'|min-max, percentile, mse", lambda: calibrated(W, 8, method="minmax")),
    (21, RangeError, "Did you mean 'channel'", lambda: binary.Binary("chanel")),
    (21, RangeError, "Did you mean 'layers.0'", lambda: low_rank.factorize(mlp(), {"layer.0": 2})),
    (21, RangeError, "path is 'layers.0'", lambda: rank.ranks_by_energy(mlp(), 0.9, {})),
    (21, RangeError, "Did you mean 'weights'", lambda: mobile.widest(blocks.full, 1000, "weigths")),
    (21, RangeError, "groups is '5'; allowed: 1, 2, 3, 4, 8", lambda: zoo.shufflenet(5)),
    (23, DTypeError, "rng is None", lambda: blocks.full(1, 8, rng=None)),
    (31, RangeError, r"Did you mean 0\.95", lambda: rank.rank_for_energy(np.ones(3), 95)),
    (31, RangeError, "the shares of the exits", lambda: choice.for_shares(U, [50, 30, 20])),
    (35, StateError, "already", lambda: weight(*2 * [lambda w: uniform.quantize(w, 4)])),
    (35, StateError, "already", lambda: weight(lambda w: uniform.quantize(w, 4), lambda w: binary.binarize([w]))),
    (35, StateError, "already", lambda: weight(lambda w: uniform.quantize(w, 4), lambda w: share(w, 4))),
    *((39, kind, "bits", lambda bits=bits: uniform.quantize(weight(), bits))
      for bits, kind in [(0, RangeError), (1, RangeError), (17, RangeError), (33, RangeError), (4.0, DTypeError)]),
    *((39, kind, "bits", lambda bits=bits: integers(mlp(), bits=bits))
      for bits, kind in [(0, RangeError), (9, RangeError), (8.0, DTypeError)]),
    *((39, kind, "bits", lambda bits=bits: allocation.share_layers(mlp(), bits))
      for bits, kind in [(-1, RangeError), (33, RangeError), (2.5, DTypeError), ("4", ShapeError)]),
    *((40, kind, "rank is", lambda r=r: low_rank.factors(W, r))
      for r, kind in [(0, RangeError), (-1, RangeError), (7, RangeError), (2.0, DTypeError)]),
    (42, NonFiniteError, r"first at \(0, 3\)", lambda: low_rank.components(with_value(NAN, W))),
    (42, NonFiniteError, "W has 54", lambda: blocks.separate(np.full((3, 2, 3, 3), NAN))),
    (47, ShapeError, "at least 1 sample", lambda: integers(mlp(), X[:0])),
    (0, DTypeError, "the model is a Sequential; allowed: a MultiExit", lambda: routing.route(mlp(), X, 0.5)),
    (0, DTypeError, "the model is a Sequential; allowed: a MultiExit", lambda: exits.up_to(mlp(), 1)),
    (0, ShapeError, "the outputs of the exits", lambda: exits.exit_errors(mlp(), X, Y)),
    (0, DTypeError, "has no matrix to factor", lambda: low_rank.low_rank(mlp(), 2)),
]


@pytest.mark.parametrize(("row", "kind", "message", "call"), REFUSED, ids=[f"row{row[0]}" for row in REFUSED])
def test_refused(row: int, kind: type[Exception], message: str, call: Callable[[], Any]) -> None:
    before = [a.copy() for a in (X, Y, W, U)]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert caught.type is kind
    assert all(np.array_equal(a, b) for a, b in zip((X, Y, W, U), before, strict=True))


def test_row35_binarize_changes_no_weight_if_it_refuses_one() -> None:
    model = mlp()
    share(model.layers[2].weight, 4)
    before = storage.to_bytes(model)
    for scale, kind in ((None, StateError), ("mean", RangeError)):
        with pytest.raises(kind):
            binary.binarize(model.weights(), scale)
        assert storage.to_bytes(model) == before
    flat = [nn.Parameter(W), nn.Parameter(W[0])]
    with pytest.raises(ShapeError, match="one scale a channel"):
        binary.binarize(flat, "channel")
    assert not flat[0].parametrizations


def test_row41_a_rank_that_makes_the_model_larger_warns_with_both_counts() -> None:
    layer = nn.Linear(64, 16, rng=0)
    assert rank.break_even(16, 64) == 12
    with pytest.warns(UserWarning, match=r"rank 13 turns 1,024 weights of Linear\(64 → 16\) into 1,040") as caught:
        low_rank.low_rank(layer, 13)
    assert caught[0].filename == __file__, "the warning points at the caller"
    low_rank.low_rank(layer, 12)
    low_rank.low_rank(nn.Linear(20, 20, rng=0), 10)  # as many: no warning
    with pytest.warns(UserWarning, match=r"rank 4 turns 36 weights of Conv2d\(1 → 4, 3 x 3\) into 52"):
        low_rank.factorize(cnn(), {"layers.0": 4})


def test_row42_an_algorithm_that_does_not_converge_has_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")
    monkeypatch.setattr(np.linalg, "svd", fails)
    with pytest.raises(NonFiniteError, match="did not converge"):
        low_rank.components(W)


@pytest.mark.filterwarnings("ignore:a weight of shape")
def test_row38_nothing_is_divided_by_zero() -> None:
    assert low_rank.relative_error(np.zeros((2, 2)), np.zeros((2, 2))) == 0
    assert rank.rank_for_energy(np.zeros(3), 0.9) == 1
    zero = weight(lambda w: prune([w], 1.0), lambda w: uniform.quantize(w, 4), lambda w: w.freeze())
    assert zero.shape == W.shape and not zero.forward().any()


def test_row47_inputs_outside_of_the_calibrated_range_are_clipped_and_counted() -> None:
    network, wild = integers(mlp()), with_value(7.0, with_value(-3.0))
    assert network.stages[0].x.clipped(X) == 0
    assert network.stages[0].x.clipped(wild) == 1
    assert network.stages[0].x.clipped(3 * X) == np.sum(3 * X > 255.5 / 128)  # the marks end at 255 / 128
    assert np.isfinite(network(wild)).all()


def test_row32_to_row40_the_ends_of_the_ranges_work() -> None:
    assert len(np.unique(weight(lambda w: uniform.quantize(w, 1, symmetric=False)).forward())) == 2
    full = np.matmul(*low_rank.factors(W, 6, grid=0))
    np.testing.assert_allclose(full, W, atol=1e-12)
    assert integers(mlp(), bits=1)(X).shape == (40, 10)
