"""Kinds: what a file's numbers mean, for ever, and which values a field may have."""

from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.dynamic.msdnet import Grow, Pyramid
from minicompress.dynamic.skipping import SkipNet
from minicompress.errors import FormatError, MiniCompressError
from minicompress.storage.kinds import KINDS, build, fits

TABLE = """
1 Parameter: data parametrizations
2 Sequential: layers
3 Linear: weight bias
4 ReLU:
5 Conv2d: weight bias stride padding groups
6 MaxPool2d: kernel stride
7 Flatten:
8 BatchNorm: scale shift mean variance momentum eps grid
9 Sigmoid:
10 Tanh:
11 Sign:
12 AvgPool2d: kernel stride
13 GlobalAvgPool:
14 Dropout: p rng
15 Gate: gate
16 Residual: body shortcut
17 Concat: branches
18 MultiExit: stages exits
19 Selector: index
20 Switch: layers selector
32 Masked: mask
33 Scatter: mask
34 Codebook: codes
35 Scaled: codes zero counts
36 Signed: bits counts
38 Threshold: limit
39 ChannelShuffle: groups
42 Sliced: shapes selector
43 Pyramid: down
44 Grow: same down
45 Coarsest: exit
46 Skippable: body gate
47 SkipNet: stem blocks head
"""


def test_the_numbers_kinds_and_fields_are_what_files_were_written_with() -> None:
    """Files live longer than releases: lines may be added here, none may change. Changed fields take a new number."""
    now = [f"{n} {kind.__name__}: {' '.join(kind.fields())}".rstrip() for n, kind in sorted(KINDS.items())]
    assert now == TABLE.strip().splitlines()


def test_every_kind_has_one_number_below_192_and_typed_fields() -> None:
    assert len(set(KINDS.values())) == len(KINDS)
    assert all(0 < number < 192 for number in KINDS)  # 64 + number is one byte
    for kind in KINDS.values():
        with pytest.raises(MiniCompressError if kind.fields() else ValueError):
            build(kind, [object()] * max(1, len(kind.fields())))


RELU = nn.ReLU()


@pytest.mark.parametrize(("hint", "right", "wrong"), [
    (int, [0, -5, 2**100], [True, 1.0, "1", None]),
    (float, [0.5, -0.0], [1, float("nan"), float("inf"), True, None]),
    (int | str, [3, "channels"], [False, 2.0, None, ("a",)]),
    (tuple, [(), (1, "a")], [[1], None, 3]),
    (np.ndarray, [np.zeros(3)], [[0.0], 0.0, None]),
    (np.random.Generator, [np.random.default_rng(0)], [0, None]),
    (nn.Layer, [RELU], [None, [RELU], nn.Selector(), nn.Parameter([1.0])]),
    (nn.Parameter | None, [None, nn.Parameter([1.0])], [RELU, 0, False]),
    (list[nn.Layer], [[], [RELU, RELU]], [[None], (RELU,), RELU, None, [nn.Selector()]]),
])
def test_fits(hint: Any, right: list, wrong: list) -> None:
    assert [fits(value, hint) for value in right] == [True] * len(right)
    assert [fits(value, hint) for value in wrong] == [False] * len(wrong)


def test_build_makes_a_node_without_its_constructor_and_validates_it() -> None:
    weight, bias = nn.Parameter(np.ones((2, 3))), nn.Parameter(np.zeros(2))
    layer = build(nn.Linear, [weight, bias])
    assert layer.weight is weight
    assert layer.bias is bias
    with pytest.raises(FormatError, match=r"the bias of a Linear is a ReLU; allowed: .*Parameter"):
        build(nn.Linear, [weight, RELU])
    with pytest.raises(MiniCompressError, match="bias"):
        build(nn.Linear, [weight, nn.Parameter(np.zeros(3))])


ONE, W = nn.Parameter(np.ones(2)), nn.Parameter(np.ones((2, 1, 3, 3)))


@pytest.mark.parametrize(("kind", "values"), [
    (nn.Dropout, [1.0, np.random.default_rng(0)]),
    (nn.Dropout, [-0.5, np.random.default_rng(0)]),
    (nn.Selector, [-1]),
    (nn.ChannelShuffle, [0]),
    (nn.Switch, [[RELU], nn.Selector(1)]),
    (nn.Concat, [[]]),
    (nn.MultiExit, [[], []]),
    (Pyramid, [[]]),
    (Grow, [[RELU], [RELU]]),
    (SkipNet, [RELU, [], RELU]),
    (SkipNet, [RELU, [RELU], RELU]),
    (nn.MultiExit, [[RELU], []]),
    (nn.Linear, [ONE, None]),
    (nn.Gate, [W]),
    (nn.Gate, [nn.Parameter(1.0)]),
    (nn.Parameter, [np.array([np.nan]), []]),
    (nn.Parameter, [np.array([1, 2]), []]),
    (nn.Parameter, [np.array([1, 2], np.float16), []]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(2), -np.ones(2), 0.9, 1e-5, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.full(2, np.nan), np.ones(2), 0.9, 1e-5, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(2), np.full(2, np.inf), 0.9, 1e-5, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(3), np.ones(2), 0.9, 1e-5, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(2), np.ones(2), 1.5, 1e-5, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(2), np.ones(2), 0.9, 0.0, 0.0]),
    (nn.BatchNorm, [ONE, ONE, np.zeros(2), np.ones(2), 0.9, 1e-5, -1.0]),
    (nn.MaxPool2d, [(2,), (2, 2)]),
    (nn.MaxPool2d, [(2, 2), (0, 2)]),
    (nn.AvgPool2d, [(2, 2.0), (2, 2)]),
    (nn.Conv2d, [W, ONE, (1, 1), (-1, 0), 1]),
    (nn.Conv2d, [W, ONE, (1, 1), (2**60, 0), 1]),
    (nn.Conv2d, [W, ONE, (2**60, 1), (0, 0), 1]),
    (nn.Conv2d, [W, ONE, (1, 1), (0, 0), 0]),
    (nn.Conv2d, [W, ONE, (1, 1), (0, 0), 3]),
    (nn.Conv2d, [W, ONE, (1, 1), (0, 0), "all"]),
    (nn.Conv2d, [nn.Parameter(np.ones((0, 1, 3, 3))), None, (1, 1), (0, 0), 1]),
])
def test_values_that_no_constructor_would_make_are_refused(kind: type, values: list) -> None:
    with pytest.raises(MiniCompressError):
        build(kind, values)
