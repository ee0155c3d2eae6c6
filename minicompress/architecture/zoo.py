"""Lecture 14: the published mobile networks on paper. Layers are counted from their sizes, nothing is computed.

    mobilenet(width, side)   Howard et al. 2017, table 1           squeezenet()    Iandola et al. 2016, table 1
    mobilenet_v2()           Sandler et al. 2018, table 2          shufflenet()    Zhang et al. 2018, table 1
    mobilenet(full=True)     the same with full convolutions       xception()      Chollet 2017, figure 5

Each returns a list of Lines, from `ledger.conv_cost` and `ledger.linear_cost`. Counted are kernels, biases where there
are any, and the scale and shift of batch norms (`norm`), but not their running statistics, which are not trained:
Keras adds these in its "total parameters". Multiply-accumulates are those of convolutions and linear maps, the ones
with padded zeros included; padding, stride and pooling decide the sides of the images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import RangeError, ShapeError
from ..inputs import as_choice, as_integer, as_number
from ..ledger import conv_cost, linear_cost

POINTWISE, DEPTHWISE, FULL, LINEAR = "1 x 1", "depthwise", "k x k", "linear"


class Line(NamedTuple):
    """One layer: its kind, (channels in, out, side of the output), kernels and biases, batch norm's numbers, MACs."""

    kind: str
    sizes: tuple[int, int, int]
    weights: int
    norm: int
    macs: int


class Plan:
    """A network under construction: the channels and the side of the image so far, and the lines of its layers."""

    def __init__(self, channels: int, side: int, lines: list[Line] | None = None) -> None:
        self.channels, self.side = as_integer(channels, "channels", 1), as_integer(side, "side", 1)
        self.lines = [] if lines is None else lines

    def fork(self) -> Plan:
        """A branch that starts here and writes into the same lines."""
        return Plan(self.channels, self.side, self.lines)

    def shrink(self, stride: int, kernel: int | None = None) -> None:
        """side ← side / stride, rounded up (padded), or with a kernel (side - kernel) // stride + 1 (not padded)"""
        self.side = -(-self.side // stride) if kernel is None else (self.side - kernel) // stride + 1
        if self.side < 1:
            raise RangeError(f"a kernel of {kernel} leaves no image; allowed: a larger side at the start.")

    def conv(self, n_out: int, kernel: int, stride: int = 1, *, groups: int = 1, norm: bool = True, bias: bool = False,
             padded: bool = True) -> None:
        """A convolution, by default with batch norm in place of biases."""
        n_in, n_out = self.channels, as_integer(n_out, "channels", 1)
        self.shrink(stride, None if padded else kernel)
        kind = POINTWISE if kernel == 1 else DEPTHWISE if groups == n_in else FULL
        weights, macs = conv_cost(n_in, n_out, kernel, self.side, groups=groups)
        sizes = n_in, n_out, self.side
        self.lines.append(Line(kind, sizes, weights - (not bias) * n_out, 2 * norm * n_out, macs))
        self.channels = n_out

    def depthwise(self, stride: int = 1, *, norm: bool = True) -> None:
        """3 x 3, one kernel a channel."""
        self.conv(self.channels, 3, stride, groups=self.channels, norm=norm)

    def linear(self, n_out: int) -> list[Line]:
        """The classifier behind global pooling, with biases; the lines are complete."""
        weights, macs = linear_cost(self.channels, as_integer(n_out, "classes", 1))
        self.lines.append(Line(LINEAR, (self.channels, n_out, 1), weights, 0, macs))
        return self.lines


MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
MOBILENET_V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                (6, 320, 1, 1)]
SHUFFLENET = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # groups → channels of the first stage


def mobilenet(width: float = 1.0, side: int = 224, classes: int = 1000, *, full: bool = False) -> list[Line]:
    """(channels, stride) of MOBILENET, each depthwise then pointwise, or with `full` one 3 x 3 convolution

    width: every number of channels times width, rounded down (section 3.3). side: the resolution multiplier times 224.
    """
    width = as_number(width, "width", above=0)
    plan = Plan(3, side)
    plan.conv(int(32 * width), 3, 2)
    for channels, stride in MOBILENET:
        if full:
            plan.conv(int(channels * width), 3, stride)
        else:
            plan.depthwise(stride)
            plan.conv(int(channels * width), 1)
    return plan.linear(classes)


def mobilenet_v2(side: int = 224, classes: int = 1000) -> list[Line]:
    """(expansion, channels, repeats, stride of the first) of MOBILENET_V2; then 1 x 1 to 1,280"""
    plan = Plan(3, side)
    plan.conv(32, 3, 2)
    for expansion, channels, repeats, stride in MOBILENET_V2:
        for i in range(repeats):
            if expansion > 1:
                plan.conv(expansion * plan.channels, 1)
            plan.depthwise(stride if i == 0 else 1)
            plan.conv(channels, 1)
    plan.conv(1280, 1)
    return plan.linear(classes)


def squeezenet(side: int = 227, classes: int = 1000) -> list[Line]:
    """Version 1.0: 7 x 7, eight Fire modules, 1 x 1 to the classes; biases, no batch norm, no linear layer

    Side 227 gives the images of 111, 55, 27 and 13 in the paper's table, which gives the input as 224.
    """
    plan = Plan(3, side)
    plan.conv(96, 7, 2, norm=False, bias=True, padded=False)
    for channels, pooled in [(128, True), (128, False), (256, False), (256, True), (384, False), (384, False),
                             (512, False), (512, True)]:
        if pooled:
            plan.shrink(2, 3)
        plan.conv(channels // 8, 1, norm=False, bias=True)
        plan.fork().conv(channels // 2, 1, norm=False, bias=True)
        plan.conv(channels // 2, 3, norm=False, bias=True)
        plan.channels = channels
    plan.conv(classes, 1, norm=False, bias=True)
    return plan.lines


def shufflenet(groups: int = 3, side: int = 224, classes: int = 1000) -> list[Line]:
    """Stages of 4, 8 and 4 units of 1, 2 and 4 times SHUFFLENET[groups] channels, inside a quarter of them"""
    as_choice(str(as_integer(groups, "groups")), "groups", map(str, SHUFFLENET))
    plan = Plan(3, side)
    plan.conv(24, 3, 2)
    plan.shrink(2)  # max pooling
    for stage, repeats in enumerate([4, 8, 4]):
        channels = SHUFFLENET[groups] * 2**stage
        for i in range(repeats):
            made = channels if i else channels - plan.channels  # the rest of the first unit's output is pooled input
            plan.conv(channels // 4, 1, groups=groups if stage or i else 1)
            plan.depthwise(1 if i else 2)
            plan.conv(made, 1, groups=groups)
            plan.channels = channels
    return plan.linear(classes)


def xception(side: int = 299, classes: int = 1000) -> list[Line]:
    """Entry, middle and exit flow: modules of separable convolutions; shortcuts of 1 x 1 where the image shrinks"""
    plan = Plan(3, side)
    plan.conv(32, 3, 2, padded=False)
    plan.conv(64, 3, padded=False)

    def separable(*widths: int) -> None:
        for n_out in widths:
            plan.depthwise(norm=False)
            plan.conv(n_out, 1)

    def module(*widths: int) -> None:
        plan.fork().conv(widths[-1], 1, 2)
        separable(*widths)
        plan.shrink(2)  # max pooling

    for channels in (128, 256, 728):
        module(channels, channels)
    separable(*[728] * 24)  # eight modules of three, with the identity as shortcut
    module(728, 1024)
    separable(1536, 2048)
    return plan.linear(classes)


def total(lines: Iterable[Line]) -> tuple[int, int]:
    """(weights, macs): all kernels, biases, scales and shifts; all multiply-accumulates"""
    lines = list(lines)
    return sum(line.weights + line.norm for line in lines), sum(line.macs for line in lines)


def shares(lines: Iterable[Line]) -> dict[str, tuple[float, float]]:
    """Kind of layer → its shares of kernels and biases, and of the multiply-accumulates; batch norm left out"""
    lines = list(lines)
    if not lines:
        raise ShapeError("no lines came; allowed: at least one layer.")
    weights, macs = sum(line.weights for line in lines), sum(line.macs for line in lines)
    return {kind: (sum(line.weights for line in lines if line.kind == kind) / weights,
                   sum(line.macs for line in lines if line.kind == kind) / macs)
            for kind in (POINTWISE, DEPTHWISE, FULL, LINEAR)}
