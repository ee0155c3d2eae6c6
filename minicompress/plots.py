"""The figures of the course, in one style: colours that the colour-blind can tell apart, labelled axes, small files."""

from __future__ import annotations

import matplotlib as mpl
from cycler import cycler

# Okabe and Ito's palette (Wong 2011, Nature Methods 8, 441): black, blue, vermilion, bluish green, orange, sky blue, purple
COLORS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"]
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = COLORS[1:]


def use_style() -> None:
    """Set the course's style for all figures from here on, and make stored pictures equal from run to run."""
    mpl.rcParams.update({
        "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, "#000000"]),
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e6e6",
        "axes.axisbelow": True, "axes.titlesize": 10, "axes.labelsize": 10, "font.size": 9, "legend.frameon": False,
        "figure.figsize": (7.0, 3.0), "figure.dpi": 110, "figure.constrained_layout.use": True,
        "image.cmap": "gray_r", "lines.linewidth": 1.8, "svg.hashsalt": "minicompress",
    })
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    InlineBackend.instance().print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Software": None}}
