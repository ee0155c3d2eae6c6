"""The zoo: published weights and multiply-accumulates, and the counting itself against networks that run."""

import itertools

import numpy as np
import pytest

from minicompress import nn
from minicompress.architecture.blocks import (
    convolution,
    fire,
    full,
    inverted_residual,
    separable,
    shuffle_unit,
    xception_module,
)
from minicompress.architecture.zoo import (
    DEPTHWISE,
    LINEAR,
    MOBILENET,
    MOBILENET_V2,
    POINTWISE,
    Plan,
    mobilenet,
    mobilenet_v2,
    shares,
    shufflenet,
    squeezenet,
    total,
    xception,
)
from minicompress.counting import layer_macs
from minicompress.errors import RangeError


def test_published_weights_to_the_last_one() -> None:
    assert total(mobilenet())[0] == 4_231_976  # Keras, trainable
    assert total(mobilenet_v2())[0] == 3_504_872  # torchvision
    assert total(squeezenet())[0] == 1_248_424  # the paper
    assert total(xception())[0] == 22_855_952  # the paper and Keras, trainable
    assert total(shufflenet())[0] == 1_865_728


@pytest.mark.parametrize(("width", "side", "millions", "weights"), [
    (1, 224, 569, 4.2), (0.75, 224, 325, 2.6), (0.5, 224, 149, 1.3), (0.25, 224, 41, 0.5),
    (1, 192, 418, 4.2), (1, 160, 291, 4.2), (1, 128, 186, 4.2)])
def test_mobilenet_at_every_width_and_resolution(width: float, side: int, millions: int, weights: float) -> None:
    ours = total(mobilenet(width, side))
    assert (round(ours[0] / 1e6, 1), round(ours[1] / 1e6)) == (weights, millions)


def test_other_published_macs() -> None:
    assert total(mobilenet())[1] == 568_740_352
    assert round(total(mobilenet_v2())[1] / 1e6) == 301  # published as 300
    assert total(shufflenet(3))[1] == 137_460_672  # published as 140 for the whole family
    assert 0.95 < total(shufflenet(8))[1] / total(shufflenet(3))[1] < 1.05  # groups buy channels, not MACs
    weights, macs = total(mobilenet(full=True))
    assert round(weights / 1e6, 1) == 29.3
    assert (macs - 1024 * 1000) // 10**6 == 4866  # without the classifier


def test_squeezenet_in_the_version_that_rounds_pooled_sides_up() -> None:
    """torchvision at 224 pixels has sides 109, 54, 27 and 13; its documented 0.82 GFLOPS are these."""
    plan = Plan(3, 224)
    plan.conv(96, 7, 2, padded=False)
    for channels, side in [(128, 54), (128, 54), (256, 54), (256, 27), (384, 27), (384, 27), (512, 27), (512, 13)]:
        plan.side = side
        plan.conv(channels // 8, 1)
        plan.fork().conv(channels // 2, 1)
        plan.conv(channels // 2, 3)
        plan.channels = channels
    plan.conv(1000, 1)
    assert total(plan.lines)[1] == 818_924_576


def test_sides_are_those_of_the_papers() -> None:
    assert [line.sizes[2] for line in squeezenet()][::6] == [111, 55, 27, 27, 13]
    assert sorted({line.sizes[2] for line in xception()}) == [1, 10, 19, 37, 74, 147, 149]
    assert sorted({line.sizes[2] for line in shufflenet()}) == [1, 7, 14, 28, 56, 112]


def test_shares_of_mobilenet_are_those_of_its_table_2() -> None:
    ours = {kind: tuple(round(100 * s, 2) for s in pair) for kind, pair in shares(mobilenet()).items()}
    assert ours[POINTWISE] == (74.57, 94.86)  # published 74.59, 94.86
    assert ours[DEPTHWISE] == (1.06, 3.06)
    assert ours[LINEAR] == (24.35, 0.18)  # published 24.33: without biases


def counted(model: nn.Layer, side: int) -> tuple[int, int]:
    """(weights, macs) of a network that really runs."""
    products = layer_macs(model, np.zeros((1, 3, side, side)))
    return sum(p.data.size for p in model.parameters()), sum(products.values())


def head(channels: int, classes: int) -> list[nn.Layer]:
    return [nn.GlobalAvgPool(), nn.Linear(channels, classes, rng=0)]


@pytest.mark.parametrize("plain", [False, True])
def test_mobilenet_counts_as_it_runs(plain: bool) -> None:
    widths = [8, *(channels // 4 for channels, _ in MOBILENET)]
    layers = convolution(3, 8, 3, rng=0, stride=2)
    for n_in, n_out, (_, stride) in zip(widths[:-1], widths[1:], MOBILENET, strict=True):
        layers.append((full if plain else separable)(n_in, n_out, rng=0, stride=stride))
    model = nn.Sequential([*layers, *head(256, 10)])
    assert counted(model, 64) == total(mobilenet(0.25, 64, 10, full=plain))


def test_mobilenet_v2_counts_as_it_runs() -> None:
    layers, n_in = convolution(3, 32, 3, rng=0, stride=2), 32
    for expansion, channels, repeats, stride in MOBILENET_V2:
        for i in range(repeats):
            layers.append(inverted_residual(n_in, channels, rng=0, expansion=expansion, stride=1 if i else stride))
            n_in = channels
    model = nn.Sequential([*layers, *convolution(320, 1280, 1, rng=0), *head(1280, 10)])
    assert counted(model, 32) == total(mobilenet_v2(32, 10))


def test_squeezenet_counts_as_it_runs() -> None:
    layers = [nn.Conv2d(3, 96, 7, stride=2, rng=0), nn.ReLU(), nn.MaxPool2d(3, 2)]
    widths = [96, 128, 128, 256, 0, 256, 384, 384, 512, 0, 512]  # 0: pooling, which keeps the channels
    for n_in, n_out in itertools.pairwise(widths):
        layers.append(fire(n_in or n_out, n_out, rng=0) if n_out else nn.MaxPool2d(3, 2))
    model = nn.Sequential([*layers, nn.Conv2d(512, 10, 1, rng=0), nn.ReLU(), nn.GlobalAvgPool()])
    assert counted(model, 67) == total(squeezenet(67, 10))


def test_shufflenet_counts_as_it_runs() -> None:
    layers, n_in = [*convolution(3, 24, 3, rng=0, stride=2), nn.MaxPool2d(2)], 24
    for n_out, repeats in [(240, 4), (480, 8), (960, 4)]:
        for i in range(repeats):
            first = 1 if n_in == 24 else 3
            layers.append(shuffle_unit(n_in, n_out, rng=0, stride=1 if i else 2, groups=3, first_groups=first))
            n_in = n_out
    assert counted(nn.Sequential([*layers, *head(960, 10)]), 64) == total(shufflenet(3, 64, 10))


def test_xception_counts_as_it_runs() -> None:
    """At the least side whose images halve without a rest, 37: 16, 8, 4, 2 and 1 behind the stem."""
    f32 = {"rng": 0, "dtype": np.float32}
    layers = [nn.Conv2d(3, 32, 3, stride=2, bias=False, **f32), nn.BatchNorm(32), nn.ReLU(),
              nn.Conv2d(32, 64, 3, bias=False, **f32), nn.BatchNorm(64), nn.ReLU()]
    layers += [xception_module(a, b, stride=2, **f32) for a, b in itertools.pairwise([64, 128, 256, 728])]
    layers += [xception_module(728, 728, **f32) for _ in range(8)]
    layers.append(xception_module(728, 1024, stride=2, inner=728, **f32))
    for n_in, n_out in itertools.pairwise([1024, 1536, 2048]):
        layers.append(nn.Conv2d(n_in, n_in, 3, padding=1, groups="channels", bias=False, **f32))
        layers += convolution(n_in, n_out, 1, **f32)
    assert counted(nn.Sequential([*layers, *head(2048, 10)]), 37) == total(xception(37, 10))


def test_a_plan_without_an_image_is_refused() -> None:
    with pytest.raises(RangeError, match="leaves no image"):
        squeezenet(20)
    with pytest.raises(RangeError, match="width"):
        mobilenet(0)
