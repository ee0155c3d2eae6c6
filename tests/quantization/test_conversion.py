"""Conversion: weights keep the grid they have, ReLU is part of a range, sums that could leave 32 bits are refused."""

import copy

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import DTypeError, RangeError, StateError
from minicompress.nn import BatchNorm, Flatten, Linear, MaxPool2d, ReLU, Sequential, predict
from minicompress.quantization.conversion import after_relu, multipliers, to_integers
from minicompress.quantization.folding import fold_batch_norm
from minicompress.quantization.integer import simulated
from minicompress.quantization.sharing import share
from minicompress.quantization.uniform import quantize, quantizer_of

RNG = np.random.default_rng(0)
X = RNG.random((100, 12))


def mlp(seed: int = 0, dtype: type = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential([Linear(12, 9, rng=rng, dtype=dtype), ReLU(), Linear(9, 4, rng=rng, dtype=dtype)])


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_keep_their_grid(frozen: bool, dtype: type) -> None:
    model = mlp(dtype=dtype)
    for w, bits in zip(model.weights(), (3, 5), strict=True):
        quantize(w, bits, symmetric=False)
    grids = [quantizer_of(w) for w in model.weights()]
    codes = [grid.encode(w.data) for grid, w in zip(grids, model.weights(), strict=True)]
    if frozen:
        for w in model.weights():
            w.freeze()
    network = to_integers(model, X)
    for stage, grid, q in zip(network.stages[::2], grids, codes, strict=True):
        assert np.array_equal(stage.weight, q)
        assert (stage.weight_zero == grid.zero).all()
    assert np.array_equal(network(X), simulated(network, X))


def test_the_model_stays_as_it_was() -> None:
    model = mlp()
    before = predict(model, X)
    model.train()
    to_integers(model, X)
    assert model.training
    assert np.array_equal(predict(model, X), before)
    assert model.layers[0].weight.parametrizations == []


def test_activation_scales_are_powers_of_two_and_relu_spends_no_codes_on_negatives() -> None:
    network = to_integers(mlp(), X)
    x, hidden = network.stages[0].x, network.stages[0].out
    for grid in (x, hidden):
        assert np.frexp(grid.scale)[0].tolist() == [0.5]
        assert grid.zero.tolist() == [0]
    assert x.scale * 255 >= X.max() > x.scale * 127
    assert network.stages[1].out == hidden  # ReLU hands its codes on
    bare = Sequential([layer for layer in mlp().layers if not isinstance(layer, ReLU)])
    assert to_integers(bare, X).stages[0].out.zero[0] > 0


def test_keep_is_the_share_of_the_activations_inside_the_range() -> None:
    x = X.copy()
    x[0, 0] = 1000.0
    scales = [to_integers(mlp(), x, method="percentile", keep=keep).stages[0].x.scale[0] for keep in (1.0, 0.9)]
    assert scales == [4, 2.0**-8]  # to 1000 and to 0.95, of 255 steps each, rounded up


def test_which_outputs_show_a_range() -> None:
    layers = [Linear(1, 1, rng=0), MaxPool2d(), ReLU(), Flatten(), Linear(1, 1, rng=0), Flatten(), Linear(1, 1, rng=0)]
    assert [after_relu(layers, i) for i in (0, 4, 6)] == [3, 5, 7]


def test_multipliers_are_exact() -> None:
    M = RNG.integers(1024, 2048, 50) * 2.0 ** RNG.integers(-40, -10, 50)
    m, n = multipliers(M)
    assert ((m >= 1024) & (m < 2048)).all()
    assert np.array_equal(m * 2.0**-n, M)
    for wrong in (1 / 3, 2048.0):
        with pytest.raises(RangeError, match="significant bits"):
            multipliers(np.array([0.5, wrong]))


def test_biases_are_in_the_accumulators_scale() -> None:
    model = mlp()
    model.layers[0].bias.become(RNG.normal(size=9))
    stage = to_integers(model, X, per_channel=False).stages[0]
    scale = stage.x.scale * np.abs(model.layers[0].weight.data).max() / 127
    assert stage.bias * scale == pytest.approx(model.layers[0].bias.data, rel=2e-3)
    without = Sequential([Linear(12, 4, rng=0, bias=False)])
    assert to_integers(without, X).stages[0].bias.tolist() == [0] * 4


def test_after_folding() -> None:
    model = mlp()
    model.layers.insert(1, BatchNorm(9))
    with pytest.raises(DTypeError, match=r"BatchNorm\(\) has no rule for integers"):
        to_integers(model, X)
    model.forward(X)  # moves the running statistics
    folded = fold_batch_norm(model)
    network = to_integers(folded, X)
    assert np.array_equal(network(X), simulated(network, X))
    assert np.abs(network(X) - predict(model, X)).max() < 0.1


def test_errors() -> None:
    wide = mlp()
    quantize(wide.layers[0].weight, 9)
    with pytest.raises(RangeError, match=r"Linear\(12 → 9\) has weights of more than 8 bits"):
        to_integers(wide, X)
    for bits in (0, 9):
        with pytest.raises(RangeError, match="bits"):
            to_integers(mlp(), X, bits=bits)
    for model in (Sequential([*mlp().layers, ReLU()]), Sequential([])):
        with pytest.raises(DTypeError, match="the last layer has no weights"):
            to_integers(model, X)
    with pytest.raises(DTypeError, match="has no rule"):
        to_integers(nn.Residual(mlp()), X)
    shared = mlp()
    share(shared.layers[2].weight, 4)
    with pytest.raises(StateError, match=r"Linear\(9 → 4\) has a codebook.*Hint: weight\.bake"):
        to_integers(shared, X)
    shared.layers[2].weight.bake()
    to_integers(shared, X)
    loud = mlp()
    loud.layers[0].bias.become(np.full(9, 1e7))
    with pytest.raises(RangeError, match="allowed: below 2\\^31"):
        to_integers(loud, X)
    trained = mlp()
    quantize(trained.layers[0].weight, 4)
    trained.layers[0].weight.freeze()
    trained.layers[0].weight.data[...] = np.pi / 100
    with pytest.raises(RangeError, match="quantize anew"):
        to_integers(trained, X)


def test_a_dead_unit_among_others() -> None:
    model = mlp()
    model.layers[0].weight.data[3] = 0
    model.layers[0].bias.become(np.full(9, 0.25))
    network = to_integers(model, X)
    assert np.array_equal(network(X), simulated(network, X))
    assert np.abs(network(X) - predict(copy.deepcopy(model), X)).max() < 0.05
