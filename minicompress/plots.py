"""The figures of the course, in one style: colours that the colour-blind can tell apart, labelled axes, small files.

Each function draws on axes that it is given and returns nothing: `fig, ax = plt.subplots(); file_parts(ax, parts)`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .errors import ShapeError
from .inputs import as_array, as_integer, as_labels

# Okabe and Ito's palette (Wong 2011, Nature Methods 8, 441): black, blue, vermilion, green, orange, sky blue, purple
COLORS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"]
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = COLORS[1:]
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, "#000000"]),
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e6e6",
    "axes.axisbelow": True, "axes.titlesize": 10, "axes.labelsize": 10, "font.size": 9, "legend.frameon": False,
    "figure.figsize": (7.0, 3.0), "figure.dpi": 110, "figure.constrained_layout.use": True,
    "image.cmap": "gray_r", "lines.linewidth": 1.8, "svg.hashsalt": "minicompress",
}


def use_style() -> None:
    """Set the course's style for all figures from here on, and make stored pictures equal from run to run."""
    mpl.rcParams.update(STYLE)
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    settings: Any = {"bbox_inches": "tight", "metadata": {"Software": None}}
    InlineBackend.instance().print_figure_kwargs = settings


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The course's style inside a `with` block, whatever the settings around it, which come back at its end."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def training_curve(axes: Sequence[Axes], records: Iterable[Any]) -> None:
    """Two axes: training loss, on a log scale, and validation error in percent, over the epochs of some nn.Records."""
    epochs, losses, errors = np.array([(r.epoch, r.loss, r.error) for r in records], float).reshape(-1, 3).T
    marker = "o" if len(epochs) < 20 else ""
    for ax, values, label in zip(axes, (losses, 100 * errors), ("training loss", "validation error (%)"), strict=True):
        ax.plot(epochs, values, marker=marker, markersize=4)
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if (losses > 0).any():
        axes[0].set_yscale("log")
    axes[1].set_ylim(0, 1.1 * max(100 * np.nanmax(errors), 1) if np.isfinite(errors).any() else 100)


def weight_histogram(ax: Axes, weights: np.ndarray, bins: int = 50, most_stems: int = 64) -> None:
    """How often each weight occurs, zeros left to the title; where few numbers are shared, a stem at each of them."""
    w = as_array(weights, "weights").ravel()
    kept = w[w != 0]
    values, counts = np.unique(kept, return_counts=True)
    title = f"{kept.size:,} weights"
    if len(values) <= most_stems < w.size:
        ax.vlines(values, 0, counts, color=BLUE)
        ax.plot(values, counts, "o", color=BLUE, markersize=4)
        title += f", {len(values)} values"
    else:
        ax.hist(kept, bins, color=BLUE, histtype="stepfilled")
    ax.set(xlabel="weight", ylabel="count", ylim=(0, None))
    ax.set_title(title if kept.size == w.size else f"{title}\n{w.size - kept.size:,} zeros")


def pictures(x: np.ndarray, side: int) -> np.ndarray:
    """x (n, …) as pictures (m, side, side); m = n unless a row holds several.   Raises ShapeError."""
    as_integer(side, "side", 1)
    if x.ndim < 2 or x[0].size % side**2:
        raise ShapeError(f"an array of shape {x.shape} meets pictures of {side} x {side}; allowed: (n, {side**2}). "
                         f"Hint: side is the square root of the number of pixels.")
    return x.reshape(-1, side, side)


def mosaic(images: np.ndarray, columns: int, gap: tuple[int, int] = (1, 1)) -> np.ndarray:
    """The pictures (n, H, W) beside and below each other, as one; `gap` pixels below and right of each are NaN."""
    n, H, W = images.shape
    rows = -(-n // columns)
    cells = np.full((rows * columns, H + gap[0], W + gap[1]), np.nan)
    cells[:n, :H, :W] = images
    return cells.reshape(rows, columns, H + gap[0], -1).swapaxes(1, 2).reshape(rows * (H + gap[0]), -1)


def masks(ax: Axes, mask: np.ndarray, side: int, count: int = 40, columns: int = 10) -> None:
    """The `count` rows of mask (n, side²) that keep most, as pictures in their order: kept is dark, removed white."""
    images = pictures(np.asarray(mask) != 0, side)
    first = np.sort(np.argsort(-images.sum((1, 2)), kind="stable")[:count])
    tiles = np.pad(mosaic(images[first], columns), ((1, 0), (1, 0)), constant_values=np.nan)
    ax.imshow(tiles, mpl.colormaps["gray_r"].with_extremes(bad="#b8c4cc"), vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(f"{len(first)} of {len(images)} units: kept dark, removed white")


def pixel_use(ax: Axes, mask: np.ndarray, side: int) -> None:
    """How many rows of mask (n, side²) keep each pixel, as one picture with its scale."""
    image = ax.imshow(pictures(np.asarray(mask) != 0, side).sum(0), "Blues", vmin=0, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title("units that see a pixel")
    ax.figure.colorbar(image, ax=ax, shrink=0.8)


def file_parts(ax: Axes, parts: Iterable[tuple[str, str, int]], most: int = 24) -> None:
    """Bytes of each (name, codec, bytes) of a file as bars, in the file's order; beyond `most`, the smallest in one."""
    parts = list(parts)
    order = sorted(range(len(parts)), key=lambda i: -parts[i][2])
    shown = [parts[i] for i in sorted(order[:most])]
    if rest := [parts[i][2] for i in order[most:]]:
        shown.append((f"{len(rest)} smaller parts", "", sum(rest)))
    names, codecs, sizes = zip(*shown, strict=True)
    bars = ax.barh(range(len(shown)), sizes, color=BLUE)
    ax.bar_label(bars, [f"{size:,}  {codec}" for size, codec in zip(sizes, codecs, strict=True)], padding=3)
    ax.set_yticks(range(len(shown)), names, parse_math=False)
    ax.set(xlabel="bytes", xlim=(0, 1.25 * max(sizes)), ylim=(len(shown) - 0.4, -0.6))
    ax.grid(False, axis="y")


def digits_with_predictions(ax: Axes, x: np.ndarray, labels: np.ndarray, predictions: np.ndarray,
                            columns: int = 10) -> None:
    """Square images x (n, …), each above its prediction; a wrong one is framed and named in bold: "8 read as 3"."""
    labels, predictions = as_labels(labels, len(x)), as_labels(predictions, len(x), name="predictions")
    side = math.isqrt(x[0].size)
    down, right = side // 2, side // 4
    ax.imshow(mosaic(pictures(x, side), columns, (down, right)), interpolation="nearest")
    for i, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        top, left = i // columns * (side + down) - 0.5, i % columns * (side + right) - 0.5
        text, color, weight, width = str(prediction), "black", "normal", 0.5
        if label != prediction:
            text, color, weight, width = f"{label} read as {prediction}", VERMILION, "bold", 2
        ax.add_patch(Rectangle((left, top), side, side, fill=False, clip_on=False, color=color, linewidth=width))
        ax.text(left + side / 2, top + 1.08 * side, text, ha="center", va="top", fontsize=7, color=color, weight=weight)
    ax.set_axis_off()


def ratios(axes: Sequence[Axes], stages: Sequence[Any]) -> None:
    """Two axes side by side: the ratio and the test error in percent of each stage of a ledger, from top to bottom."""
    places, values = range(len(stages)), [100 * stage.error for stage in stages]
    bars = axes[0].barh(places, [stage.ratio for stage in stages], color=BLUE)
    axes[0].bar_label(bars, [f"{stage.ratio:.1f}" for stage in stages], padding=3)
    axes[0].set(xlabel="times smaller", xlim=(0, 1.15 * max(stage.ratio for stage in stages)))
    axes[0].set_yticks(places, [stage.name for stage in stages], parse_math=False)
    axes[1].axvline(values[0], color="#808080", linestyle="--", linewidth=1)
    axes[1].plot(values, places, "o", color=VERMILION)
    for place, value in zip(places, values, strict=True):
        axes[1].annotate(f"{value:.2f}", (value, place), xytext=(6, 0), textcoords="offset points", va="center",
                         bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    axes[1].set(xlabel="test error (%)", xlim=(0, 1.25 * max(*values, 0.1)))
    axes[1].set_yticks(places, [""] * len(stages))
    for ax in axes:
        ax.set_ylim(len(stages) - 0.4, -0.6)
        ax.grid(False, axis="y")


def error_bars(ax: Axes, x: Sequence[float], means: Sequence[float], halves: Sequence[float], label: str = "") -> None:
    """A curve of means with bars of ± half, such as intervals over seeds; a point that is NaN is left out."""
    ax.errorbar(x, means, yerr=halves, label=label, marker="o", markersize=4, capsize=3, elinewidth=1)
