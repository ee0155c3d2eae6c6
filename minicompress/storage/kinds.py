"""What a file may hold: every kind of node with its number. Numbers are for ever; a new kind takes a new one.

A kind whose fields change takes a new number too, so that old files keep their meaning.
"""

from __future__ import annotations

import types
import typing
from typing import Any

import numpy as np

from .. import nn
from ..dynamic.msdnet import Coarsest, Grow, Pyramid
from ..dynamic.skipping import SkipNet, Skippable
from ..dynamic.slicing import Sliced
from ..errors import FormatError
from ..pruning.masks import Masked, Scatter
from ..quantization.binary import Signed
from ..quantization.sharing import Codebook
from ..quantization.thresholds import Threshold
from ..quantization.uniform import Scaled

KINDS: dict[int, type[nn.Node]] = {
    1: nn.Parameter,
    2: nn.Sequential,
    3: nn.Linear,
    4: nn.ReLU,
    5: nn.Conv2d,
    6: nn.MaxPool2d,
    7: nn.Flatten,
    8: nn.BatchNorm,
    9: nn.Sigmoid,
    10: nn.Tanh,
    11: nn.Sign,
    12: nn.AvgPool2d,
    13: nn.GlobalAvgPool,
    14: nn.Dropout,
    15: nn.Gate,
    16: nn.Residual,
    17: nn.Concat,
    18: nn.MultiExit,
    19: nn.Selector,
    20: nn.Switch,
    32: Masked,
    33: Scatter,
    34: Codebook,
    35: Scaled,
    36: Signed,
    38: Threshold,
    39: nn.ChannelShuffle,
    42: Sliced,
    43: Pyramid,
    44: Grow,
    45: Coarsest,
    46: Skippable,
    47: SkipNet,
}
NUMBERS = {kind: number for number, kind in KINDS.items()}
FIELDS: dict[type[nn.Node], dict[str, Any]] = {  # in their order, with the types they are annotated with
    kind: {name: typing.get_type_hints(kind)[name] for name in kind.fields()} for kind in NUMBERS}


def build(kind: type[nn.Node], values: list[Any]) -> nn.Node:
    """A node from the values of its fields, without its constructor.   Raises FormatError for a wrong type."""
    node = kind.__new__(kind)
    for (name, hint), value in zip(FIELDS[kind].items(), values, strict=True):
        if not fits(value, hint):
            raise FormatError(f"the {name} of a {kind.__name__} is a {type(value).__name__}; allowed: {hint}.")
        setattr(node, name, value)
    node.validate()
    return node


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the annotated type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is list:
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, float) and np.isfinite(value)
    return isinstance(value, origin or hint) and (hint is bool or not isinstance(value, bool))
