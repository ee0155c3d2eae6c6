"""Slices and other techniques: what stands in front of a slice is narrowed, what would fit one width is refused."""

import numpy as np
import pytest

from minicompress import data, storage
from minicompress.architecture.low_rank import factorize, low_rank
from minicompress.dynamic.slicing import Sliced, count_of, export, selector_of, slim
from minicompress.errors import StateError
from minicompress.ledger import finished
from minicompress.nn import Adam, BatchNorm, Layer, Linear, ReLU, Sequential, predict, train
from minicompress.pruning.magnitude import prune, prune_gradually
from minicompress.pruning.masks import apply_mask
from minicompress.quantization.binary import Binary, binarize
from minicompress.quantization.sharing import share, share_together
from minicompress.quantization.uniform import quantize

ACTS = {"prune": lambda w: prune([w], 0.6), "share": lambda w: share(w, 8), "binary": lambda w: binarize([w]),
        "4 bits": lambda w: quantize(w, 4, per_channel=True)}
WIDTHS, X = [0.25, 0.5, 0.75, 1], np.random.default_rng(0).uniform(-1, 1, (7, 6))


def mlp():
    rng = np.random.default_rng(0)
    return Sequential([Linear(6, 8, rng=rng), BatchNorm(8), ReLU(), Linear(8, 12, rng=rng), BatchNorm(12), ReLU(),
                       Linear(12, 3, rng=rng)])


def slimmable(order=()):
    """A network of two widths at the narrow one, its first weight treated before."""
    plain = Sequential([Linear(64, 8, rng=0), ReLU(), Linear(8, 10, rng=1)])
    for act in order:
        ACTS[act](plain.layers[0].weight)
    body = slim(plain, [0.5, 1])
    selector_of(body).index = 0
    return plain, body


@pytest.mark.parametrize("order", [["prune"], ["share"], ["4 bits"], ["binary"], ["prune", "share"]])
def test_a_slice_behind_another_map_narrows_what_it_makes(order):
    plain, body = slimmable(order)
    assert np.array_equal(body.layers[0].weight.forward(), plain.layers[0].weight.forward()[:4])
    list(train(body, Adam(body.parameters(), 3e-3), data.digits().train, epochs=1, rng=0, progress=False))
    done = finished(body, "single")
    selector_of(done).index = 1
    assert done.layers[0].weight.shape == (8, 64)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("act", [
    *(lambda body, act=act: ACTS[act](body.layers[2].weight) for act in ("prune", "share", "4 bits")),
    lambda body: prune(body.weights(), 0.5),
    lambda body: list(prune_gradually([body.layers[2].bias, *body.weights()], [0.5], lambda: iter([]))),
    lambda body: share_together(body.weights(), 4),
    lambda body: body.layers[2].weight.bake(),
    lambda body: apply_mask(body.layers[2].weight, body.layers[2].weight.forward() > 0),
    lambda body: low_rank(body.layers[2], 1),
    lambda body: factorize(body, {"layers.2": 1}),
    lambda body: slim(body, [0.5, 1]),
])
def test_after_slim_a_change_that_fits_one_width_is_refused_and_nothing_is_changed(act, index):
    _, body = slimmable()
    selector_of(body).index = index
    optimizer, before = Adam(body.parameters(), 1e-3), storage.to_bytes(body)
    with pytest.raises(StateError, match=r"shape.*Hint: before slim, or on export"):
        act(body)
    assert storage.to_bytes(body) == before
    body.backward(np.ones_like(body.forward(data.digits().test.x)))
    optimizer.step()  # not stale


def test_signs_go_in_front_of_a_slice():
    _, body = slimmable()
    binarize(body.weights())
    assert [[type(p) for p in w.parametrizations] for w in body.weights()] == 2 * [[Binary, Sliced]]
    predict(body, data.digits().test.x)


def test_an_export_carries_nothing_of_the_training_before():
    body = slim(mlp(), WIDTHS)
    body.forward(X)  # in training mode, no backward pass after it
    small = export(body, 1)
    assert all(node.saved is None and not node.pending for _, node in small.walk() if isinstance(node, Layer))
    small.train()
    small.backward(np.ones_like(small.forward(X)))


def test_a_finished_body_keeps_all_widths_also_at_a_narrow_one():
    model = mlp()
    prune([model.layers[3].weight], 0.5)
    body = slim(model, WIDTHS)
    outputs = []
    for i in range(4):
        selector_of(body).index = i
        outputs.append(predict(body, X))
    selector_of(body).index = 0
    done = finished(body, "single")
    assert count_of(done) == 4
    for i in range(4):
        selector_of(done).index = i
        np.testing.assert_allclose(predict(done, X), outputs[i], atol=1e-5)


def test_pruned_and_shared_weights_can_be_slimmed():
    model = mlp()
    prune([model.layers[3].weight], 0.5)
    share(model.layers[3].weight, 4)
    body = slim(model, WIDTHS)
    w = body.layers[3].weight
    selector_of(body).index = 1
    np.testing.assert_array_equal(w.forward(), model.layers[3].weight.forward()[:6, :4])
    done = finished(body, "single")
    assert [type(p).__name__ for p in done.layers[3].weight.parametrizations] == ["Codebook", "Scatter", "Sliced"]
