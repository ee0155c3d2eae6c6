"""What a student has set up around the library changes nothing: NumPy's errors, its printing, warnings as errors."""

import copy

import numpy as np
import pytest

from minicompress import data, storage
from minicompress.architecture.low_rank import factorize
from minicompress.distillation.losses import distill, soft
from minicompress.distillation.targets import one_hot, teach
from minicompress.dynamic.exits import joint
from minicompress.dynamic.routing import doubt, entropy, route
from minicompress.dynamic.thresholds import common, uncertainties
from minicompress.errors import RangeError
from minicompress.ledger import finished, layer_table
from minicompress.nn import Adam, Linear, MultiExit, ReLU, Sequential, predict, train
from minicompress.pruning.magnitude import prune
from minicompress.quantization.binary import binarize
from minicompress.quantization.conversion import to_integers
from minicompress.quantization.sharing import share
from minicompress.quantization.uniform import quantize


def work() -> list[bytes]:
    """A bit of everything; what comes out as bytes, tables and messages included."""
    digits, rng, found = data.digits(), np.random.default_rng(0), list[bytes]()
    x, labels = digits.train.x[:200], digits.train.labels[:200]
    model = MultiExit([Sequential([Linear(a, 16, rng=rng), ReLU()]) for a in (64, 16)],
                      [Linear(16, 10, rng=rng) for _ in range(2)])
    list(train(model, Adam(model.parameters(), 0.03), (x, labels), epochs=3, rng=0, loss=joint(), progress=False))
    for act in (lambda w: prune([w], 0.5), lambda w: share(w, 4), lambda w: quantize(w, 4), lambda w: binarize([w])):
        part = copy.deepcopy(model)
        act(part.stages[0].layers[0].weight)
        found += [storage.to_bytes(finished(part, precision)) for precision in ("single", "half")]
    outputs = predict(model, 50 * x)  # so certain that probabilities round to zero
    found += [np.array(common(uncertainties(outputs, measure), 5)).tobytes() for measure in (entropy, doubt)]
    found += [np.array(part).tobytes() for part in route(model, 50 * x, 0.5)]
    plain = Sequential([model.stages[0], model.exits[0]])
    v = teach(plain, 50 * x)
    for loss, target in ((soft(0.1), v), (distill(0.1, 0.5), np.hstack([one_hot(labels, 10), v]))):
        value, dz = loss(outputs[1], target)
        found += [np.array(value).tobytes(), dz.tobytes()]
    found.append(to_integers(plain, x)(x).tobytes())
    factorize(plain, {"layers.0.layers.0": 4})
    with pytest.raises(RangeError) as caught:
        prune(plain.weights(), [0.123456789, 50.0, 0.1], scope="layerwise")
    return [*found, layer_table(plain, x).encode(), str(caught.value).encode()]


def test_row68_numpys_settings_change_neither_results_nor_text() -> None:
    expected = work()
    with np.errstate(all="raise"), np.printoptions(precision=1, threshold=3, suppress=True):
        assert work() == expected
