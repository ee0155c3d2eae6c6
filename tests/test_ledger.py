"""The ledger counts what is there: by hand on small networks, and the bytes of real files."""

import copy
import json
import os

import numpy as np
import pytest

from minicompress import storage
from minicompress.errors import RangeError
from minicompress.ledger import (
    Ledger,
    conv_cost,
    count,
    file_bytes,
    finished,
    inference_seconds,
    layer_macs,
    layer_table,
    linear_cost,
)
from minicompress.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Parameter,
    ReLU,
    Residual,
    Sequential,
)
from minicompress.pruning.magnitude import prune
from minicompress.pruning.masks import Masked
from minicompress.quantization.sharing import share


def mlp():
    rng = np.random.default_rng(0)
    return Sequential([Linear(64, 30, rng=rng), ReLU(), Linear(30, 10, rng=rng)])


@pytest.mark.parametrize(("layer", "shape", "macs"), [
    (lambda rng: Conv2d(3, 8, 3, rng=rng), (1, 3, 10, 12), 8 * 3 * 9 * 8 * 10),
    (lambda rng: Conv2d(3, 8, 3, rng=rng, padding=1), (1, 3, 10, 12), 8 * 3 * 9 * 10 * 12),
    (lambda rng: Conv2d(4, 8, 3, rng=rng, stride=2, padding=1), (1, 4, 8, 8), 8 * 4 * 9 * 4 * 4),
    (lambda rng: Conv2d(4, 8, 3, rng=rng, stride=(2, 1), groups=2), (1, 4, 9, 9), 8 * 2 * 9 * 4 * 7),
    (lambda rng: Conv2d(4, 4, 3, rng=rng, groups="channels"), (1, 4, 6, 6), 4 * 9 * 4 * 4),
    (lambda rng: Conv2d(2, 4, 1, rng=rng), (1, 2, 6, 6), 2 * 4 * 36),
])
def test_convolutions_count_one_product_for_each_weight_and_place(layer, shape, macs):
    model = Sequential([layer(np.random.default_rng(0))])
    assert sum(layer_macs(model, np.zeros(shape)).values()) == macs


def test_the_example_with_two_channels_and_four_filters():
    rng = np.random.default_rng(0)
    whole = Sequential([Conv2d(2, 4, 3, rng=rng, bias=False)])
    parts = Sequential([Conv2d(2, 2, 3, rng=rng, groups="channels", bias=False), Conv2d(2, 4, 1, rng=rng, bias=False)])
    assert count(whole.parameters())[0] == 72 and count(parts.parameters())[0] == 26


def test_a_network_with_all_sorts_of_layers():
    rng = np.random.default_rng(0)
    model = Sequential([Conv2d(1, 4, 3, rng=rng, padding=1), BatchNorm(4), ReLU(),
                        Residual(Conv2d(4, 4, 3, rng=rng, padding=1)), MaxPool2d(), AvgPool2d(), Flatten(),
                        Linear(16, 10, rng=rng)])
    products = layer_macs(model, np.zeros((3, 1, 8, 8)))
    assert sum(products.values()) == 4 * 9 * 64 + 16 * 9 * 64 + 160
    assert count(model.parameters()) == (40 + 8 + 148 + 170,) * 2 + (36 + 4 + 144 + 160,)


def test_the_mode_of_the_model_is_left_as_it_was():
    model = mlp()
    layer_macs(model, np.zeros((1, 64)))
    assert model.training
    model.forward(np.zeros((2, 64)))  # and no forward pass is pending


def test_shared_and_pruned_weights_count_once_where_they_are_trained():
    model = mlp()
    prune(model.weights(), 0.75)
    assert count(model.parameters()) == (2260, 2260, 555)
    model = finished(model, "single")
    assert count(model.parameters()) == (2260, 555 + 40, 555)
    share(model.weights()[0], 4)
    weights, trained, nonzero = count(model.parameters())
    assert weights == 2260 and nonzero == 555 and trained < 4 + 40 + 300


def test_tied_weights_count_once():
    model = mlp()
    tied = Sequential([Linear(10, 10, rng=0, bias=False), ReLU(), Linear(10, 10, rng=1, bias=False)])
    tied.layers[2].weight = tied.layers[0].weight
    assert count(tied.parameters())[0] == 100 and count(model.parameters())[0] == 2260
    assert sum(layer_macs(tied, np.zeros((1, 10))).values()) == 200


def test_bytes_are_those_of_the_file_and_ratios_compare_with_the_first_stage(tmp_path):
    ledger, model = Ledger(np.zeros((1, 64))), mlp()
    dense = finished(model, "single")
    ledger.add("dense", dense, 0.1, 1.0)
    prune(model.weights(), 0.9)
    small = finished(model, "half")
    row = ledger.add("pruned", small, 0.2, 1.0)
    storage.save(tmp_path / "m.mcz", small)
    assert row.bytes == os.path.getsize(tmp_path / "m.mcz") == file_bytes(small)
    assert ledger.stages[0].ratio == 1 and row.ratio == ledger.stages[0].bytes / row.bytes > 5
    assert ledger.stages[0].macs == row.macs == 64 * 30 + 300
    saved = json.loads(ledger.to_json())
    assert [list(s) for s in saved] == [["name", "error", "weights", "trained", "nonzero", "macs", "bytes", "ratio",
                                         "seconds"]] * 2
    assert "10.00 %" in str(ledger) and len({len(line) for line in str(ledger).splitlines()}) == 1


def test_finishing_copies_and_rounds():
    model = mlp()
    model.weights()[0].parametrizations.append(Masked(np.ones((30, 64), bool)))
    before = copy.deepcopy(model)
    done = finished(model, "half")
    for a, b in zip(before.parameters(), model.parameters(), strict=True):
        assert np.array_equal(a.data, b.data) and len(a.parametrizations) == len(b.parametrizations)
    data = done.weights()[0].data
    assert np.array_equal(data, data.astype(np.float16)) and data.dtype == np.float64


def test_the_table_of_layers_adds_up():
    lines = layer_table(mlp(), np.zeros((1, 64))).splitlines()
    assert len(lines) == 5 and lines[-1].split() == ["total", "2,260", "2,260", "2,220", "2,220"]
    assert lines[2].startswith("layers.0 Linear(64 → 30)")


def test_parameters_that_stand_alone_are_counted():
    assert count([Parameter(np.array([0.0, 1.0]))]) == (2, 2, 1)


def test_costs_from_sizes_alone_are_those_of_the_layers():
    rng, images = np.random.default_rng(0), np.zeros((1, 6, 9, 9))
    grouped = Conv2d(6, 8, 3, rng=rng, stride=2, padding=1, groups=2)
    for layer, x, cost in [(Linear(7, 5, rng=rng), np.zeros((1, 7)), linear_cost(7, 5)),
                           (Conv2d(6, 8, 3, rng=rng), images, conv_cost(6, 8, 3, 7)),
                           (grouped, images, conv_cost(6, 8, 3, 5, groups=2))]:
        model = Sequential([layer])
        assert cost == (count(model.parameters())[0], sum(layer_macs(model, x).values()))


def test_seconds_are_the_median_of_forward_passes_in_evaluation_mode(monkeypatch):
    model, ticks, modes = mlp(), iter([0, 9, 9, 10, 10, 13, 13, 15]), []
    monkeypatch.setattr("minicompress.ledger.time.perf_counter", lambda: modes.append(model.training) or next(ticks))
    assert inference_seconds(model, np.zeros((2, 64)), repeats=3) == 2  # of 1, 3, 2; the first pass, 9, does not count
    assert model.training and not any(modes)


def test_at_least_one_pass_is_timed():
    with pytest.raises(RangeError, match="repeats"):
        inference_seconds(mlp(), np.zeros((1, 64)), repeats=0)
