"""MobileNet's cost, and that of its neighbours, from the sizes of their layers (Howard et al. 2017)."""

from __future__ import annotations

from fractions import Fraction

from ...architecture.blocks import kernel_weights
from ...architecture.zoo import mobilenet, mobilenet_v2, shufflenet, squeezenet, total, xception
from ..row import EVERY_SEED, Claim, Criterion, Row, count, yes


def ratio_holds() -> bool:
    """Whether separable / full = 1 / O + 1 / k², exactly, for every C, O and k up to 16, 16 and 7."""
    sizes = [(C, O, k) for C in range(1, 17) for O in range(1, 17) for k in range(1, 8)]
    pairs = [(kernel_weights(*size), Fraction(1, size[1]) + Fraction(1, size[2] ** 2)) for size in sizes]
    return all(Fraction(cheap, whole) == ratio for (whole, cheap), ratio in pairs)


def run(seed: int) -> dict[str, float]:
    """Weights and multiply-accumulates of the zoo; the seed does not matter."""
    networks = {"mobilenet": mobilenet(), "half": mobilenet(0.5), "small": mobilenet(1, 128),
                "full": mobilenet(full=True), "mobilenet_v2": mobilenet_v2(), "squeezenet": squeezenet(),
                "shufflenet": shufflenet(), "xception": xception()}
    figures: dict[str, float] = {"ratio": ratio_holds()}
    for name, lines in networks.items():
        figures[f"{name} weights"], figures[f"{name} macs"] = total(lines)
    return figures


def rounds_to(value: float, unit: int, text: str) -> Criterion:
    """ours, rounded as the paper rounds, is the paper's"""
    return Criterion(f"rounds to {text}", lambda ours, all: abs(ours - value * unit) <= 0.5 * unit)


def equals(value: int) -> Criterion:
    """ours is the published number"""
    return Criterion(f"= {count(value)}", lambda ours, all: ours == value)


def counted(what: str, published: str, figure: str, *criteria: Criterion) -> Claim:
    """A line of the table whose figure is an integer."""
    return Claim(what, published, figure, count, criteria)


MILLION = 10**6
MOBILENET = Row(
    "mobilenet", "Howard et al. 2017, MobileNets, section 3 and tables 1, 4, 6 and 7; and its neighbours",
    "Counted from the sizes of the layers, without running anything. Weights are kernels, biases where there are any, "
    "and the scales and shifts of batch norms; multiply-accumulates those of convolutions and linear maps. SqueezeNet "
    "at 227 pixels, Xception at 299, the others at 224. The published 4,866M fit without the classifier's 1,024,000. "
    "The seed does not matter.", run,
    [Claim("separable over full = 1/O + 1/k², exactly", "1/N + 1/D²", "ratio", yes, [EVERY_SEED]),
     counted("MobileNet: multiply-accumulates", "569M", "mobilenet macs", rounds_to(569, MILLION, "569M")),
     counted("MobileNet: weights", "4.2M", "mobilenet weights", rounds_to(42, MILLION // 10, "4.2M")),
     counted("width 0.5: multiply-accumulates", "149M", "half macs", rounds_to(149, MILLION, "149M")),
     counted("width 0.5: weights", "1.3M", "half weights", rounds_to(13, MILLION // 10, "1.3M")),
     counted("128 pixels: multiply-accumulates", "186M", "small macs", rounds_to(186, MILLION, "186M")),
     counted("full convolutions: multiply-accumulates", "4,866M", "full macs"),
     counted("full convolutions: weights", "29.3M", "full weights", rounds_to(293, MILLION // 10, "29.3M")),
     counted("MobileNetV2: multiply-accumulates", "300M", "mobilenet_v2 macs"),
     counted("MobileNetV2: weights", "3,504,872 (torchvision)", "mobilenet_v2 weights", equals(3_504_872)),
     counted("SqueezeNet 1.0: multiply-accumulates", "-", "squeezenet macs"),
     counted("SqueezeNet 1.0: weights", "1,248,424", "squeezenet weights", equals(1_248_424)),
     counted("ShuffleNet 1x, 3 groups: multiply-accumulates", "140M", "shufflenet macs"),
     counted("ShuffleNet 1x, 3 groups: weights", "1.9M (its repository)", "shufflenet weights",
             rounds_to(19, MILLION // 10, "1.9M")),
     counted("Xception: multiply-accumulates", "-", "xception macs"),
     counted("Xception: weights", "22,855,952", "xception weights", equals(22_855_952))],
    seeds=1)
