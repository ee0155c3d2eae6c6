"""Channels from layer to layer: what has no narrow form is refused, and the ends are found in every branch."""

import numpy as np
import pytest

from minicompress.dynamic.msdnet import msdnet
from minicompress.dynamic.skipping import SkipNet, skippable
from minicompress.dynamic.slicing import SHARED, SWITCHABLE, export, selector_of, slim
from minicompress.errors import ShapeError
from minicompress.nn import (
    BatchNorm,
    ChannelShuffle,
    Concat,
    Conv2d,
    Gate,
    Linear,
    MultiExit,
    ReLU,
    Residual,
    Sequential,
    predict,
)

IMAGES = np.random.default_rng(0).uniform(-1, 1, (5, 2, 6, 6))


def shaken(model):
    """Every array gets numbers of its own, so that none can be mistaken for another."""
    rng = np.random.default_rng(9)
    for path, value in model.state().items():
        if isinstance(value, np.ndarray):
            value += rng.uniform(0.1, 1, value.shape) * (1 if path.endswith("variance") else 0.3)
    return model


def between(part):
    return Sequential([Linear(4, 4, rng=0), part, Linear(4, 4, rng=1)])


def conv(n_in, n_out):
    return Conv2d(n_in, n_out, 3, rng=0, padding=1)


UNRULED = {
    "groups": lambda: between(Conv2d(4, 4, 3, rng=0, groups=2)),
    "gate": lambda: between(Gate(4)),
    "concat": lambda: between(Concat([Linear(4, 4, rng=0)])),
    "shuffle": lambda: between(ChannelShuffle(2)),
    "dense": lambda: msdnet(1, 3, scales=2, exits=2, width=4, growth=4, rng=0),
    "skipped": lambda: SkipNet(conv(1, 4), [skippable(4, rng=0)], between(ReLU())),
    "a sum at the end": lambda: Sequential([Linear(4, 4, rng=0), Residual(Linear(4, 4, rng=1))]),
    "a sum at the start": lambda: Sequential([Residual(Linear(4, 4, rng=0)), Linear(4, 4, rng=1)]),
    "depthwise at the end": lambda: Sequential([conv(2, 4), Conv2d(4, 4, 3, rng=0, groups="channels")]),
    "one layer in two places": lambda: Sequential([layer := Linear(4, 4, rng=0), ReLU(), layer]),
}


@pytest.mark.parametrize("case", UNRULED)
def test_layers_without_a_rule_are_refused_and_nothing_is_changed(case):
    model = UNRULED[case]()
    before = [(id(node), type(node)) for _, node in model.walk()]
    with pytest.raises(ShapeError, match="no rule"):
        slim(model, [0.5, 1])
    assert before == [(id(node), type(node)) for _, node in model.walk()]
    assert not any(parameter.parametrizations for parameter in model.parameters())


ENDS = {  # where the first and last layers are not the first and last of a walk: each must run at every width
    "shortcuts": (lambda: Sequential([Residual(conv(2, 4), conv(2, 4)), ReLU(), Residual(conv(4, 3), conv(4, 3))]),
                  [(5, 3, 6, 6)]),
    "an exit reads the input": (lambda: MultiExit([Sequential([]), Sequential([conv(2, 4), BatchNorm(4), ReLU()])],
                                                  [conv(2, 3), Sequential([conv(4, 3), ReLU()])]), 2 * [(5, 3, 6, 6)]),
    "norms at the ends": (lambda: Sequential([BatchNorm(2), conv(2, 4), ReLU(), conv(4, 3), BatchNorm(3), ReLU()]),
                          [(5, 3, 6, 6)]),
    "depthwise first": (lambda: Sequential([Conv2d(2, 2, 3, rng=0, padding=1, groups="channels"), conv(2, 4), ReLU(),
                                            conv(4, 3)]), [(5, 3, 6, 6)]),
    "the inside is shown": (lambda: MultiExit([conv(2, 4), conv(4, 4)], [Sequential([]), conv(4, 3)]),
                            [(5, 2, 6, 6), (5, 3, 6, 6)]),
}


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
@pytest.mark.parametrize("case", ENDS)
def test_what_reads_the_input_and_what_gives_outputs_is_found_in_every_branch(case, norms):
    build, shapes = ENDS[case]
    model = shaken(build())
    body = slim(model, [0.5, 1], norms=norms)
    whole, plain = predict(body, IMAGES), predict(model, IMAGES)
    np.testing.assert_array_equal(np.concatenate(whole, 1), np.concatenate(plain, 1))
    selector_of(body).index = 0
    outputs = predict(body, IMAGES)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [z.shape for z in outputs] == shapes
    small = predict(export(body, 0), IMAGES)
    for mine, its in zip(small if isinstance(small, tuple) else (small,), outputs, strict=True):
        np.testing.assert_array_equal(mine, its)
