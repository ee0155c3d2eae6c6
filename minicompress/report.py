"""The report of a tour: one HTML file with its pictures inside, to be read from top to bottom without a network.

Equal inputs give equal bytes, but for the seconds in the ledger.
"""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from html import escape
from string import Template

import numpy as np
from matplotlib.figure import Figure

from . import plots
from .ledger import Ledger
from .nn import Layer, Record, predict
from .storage import Part
from .storage.disk import write_bytes
from .table import percent

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --text: #1c2126; --quiet: #58636d; --line: #d5dade; --page: #fcfcfa; }
@media (prefers-color-scheme: dark) { :root { --text: #dfe3e6; --quiet: #9ca6ae; --line: #3d454b; --page: #16191c; } }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.55 Charter, Georgia, serif; }
main { max-width: 47rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; }
.result { font-size: 1.15rem; }
figure { margin: 1rem 0; }
figcaption { padding-top: 0.4rem; color: var(--quiet); font-size: 0.9rem; }
.scroll { overflow-x: auto; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 4px; padding: 0.5rem; }
img { display: block; width: 100%; min-width: 34rem; height: auto; }
table { width: 100%; border-collapse: collapse; font: 0.82rem/1.4 system-ui, sans-serif; }
th, td { padding: 0.25rem 0 0.25rem 0.9rem; border-bottom: 1px solid var(--line); text-align: right;
         white-space: nowrap; font-weight: normal; font-variant-numeric: tabular-nums; }
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--quiet); vertical-align: bottom; }
tbody tr:last-child > * { font-weight: bold; }
pre { padding: 0.7rem 1rem; border: 1px solid var(--line); border-radius: 4px; font-size: 0.85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.2rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
</body>
</html>
""")

LOAD = """from minicompress import nn, storage
model = storage.load("model.mcz")
labels = nn.predict(model, x).argmax(axis=1)  # x: {shape}"""


def write(path: str | os.PathLike[str], *, title: str, ledger: Ledger, records: Sequence[Record], dense: Layer,
          pruned: Layer, final: Layer, parts: Sequence[Part], samples: tuple[np.ndarray, np.ndarray],
          facts: dict[str, str]) -> None:
    """Write the report of one compression to `path`; dense, pruned and final are the same layers at three stages.

    parts: what `storage.inspect` says of the file. samples: test images and their labels; pictures of them, and of the
    first layer, are left out where they are not square. Raises StorageError.
    """
    x, labels = samples
    shape = f"({', '.join(['N', *map(str, x.shape[1:])])}), as in training"
    with plots.style():
        sections = {
            "": f'<p class="result">{escape(result(ledger))}</p>',
            "From stage to stage": ledger_table(ledger, len(x)) + stages_figure(ledger),
            "Training the dense network": training_figure(records),
            "What happens to the weights": weights_figure(dense, pruned, final),
            "What the first layer still looks at": masks_figure(final),
            "Every byte of the file": parts_figure(parts),
            "Test images and what the network reads in them": digits_figure(x, labels, predict(final, x).argmax(1)),
            "Loading the file": f'<pre class="scroll"><code>{escape(LOAD.format(shape=shape))}</code></pre>',
            "Facts": "<dl>\n" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(facts[k])}</dd>\n" for k in facts) + "</dl>",
        }
    body = [f"<section>\n{heading and f'<h2>{heading}</h2>'}\n{text}\n</section>" for heading, text in sections.items()
            if text]
    write_bytes(path, PAGE.substitute(title=escape(title), body="\n".join(body)).encode())


def result(ledger: Ledger) -> str:
    """The one sentence for somebody who reads no further."""
    first, last = ledger.stages[0], ledger.stages[-1]
    return (f"A network of {first.weights:,} weights became a file of {last.bytes:,} bytes, {last.ratio:.1f} times "
            f"smaller than the {first.bytes:,} bytes before, at a test error of {percent(last.error)} instead of "
            f"{percent(first.error)}.")


def ledger_table(ledger: Ledger, images: int) -> str:
    """The ledger as an HTML table, and what its columns mean."""
    header = ["stage", "error", "weights", "trained", "non-zero", "MACs", "bytes", "ratio", "seconds"]
    rows = []
    for s in ledger.stages:
        cells = [percent(s.error), *(f"{n:,}" for n in (s.weights, s.trained, s.nonzero, s.macs, s.bytes)),
                 f"{s.ratio:.1f}", f"{s.seconds:.1f}"]
        rows.append(f'<tr><th scope="row">{escape(s.name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n')
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    return f"""<figure>
<div class="scroll" tabindex="0" role="region" aria-label="Ledger">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{"".join(rows)}</tbody>
</table>
</div>
<figcaption>Error: on {images:,} test images, where one image is {percent(1 / images)}. Trained: numbers that an
optimizer moves. MACs: multiply-accumulates for one image. Bytes: the network's file at that stage. Ratio: the first
file over this one.</figcaption>
</figure>
"""


def picture(figure: Figure, alt: str, caption: str) -> str:
    """A drawn figure as an HTML figure, the SVG file inside it."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    code = base64.b64encode(file.getvalue()).decode()
    return f"""<figure>
<div class="card scroll"><img src="data:image/svg+xml;base64,{code}" alt="{escape(alt)}"></div>
<figcaption>{escape(caption)}</figcaption>
</figure>
"""


def stages_figure(ledger: Ledger) -> str:
    figure = Figure((7, 0.9 + 0.22 * len(ledger.stages)))
    plots.ratios(figure.subplots(1, 2, width_ratios=[3, 2]), ledger.stages)
    return picture(figure, "Bars of the ratio and points of the test error, stage by stage, as in the table.",
                   "The ratio and the price that was paid for it. The dashed line is the first stage's error.")


def training_figure(records: Sequence[Record]) -> str:
    if not records:
        return ""
    figure, first, last = Figure((7, 2.6)), records[0], records[-1]
    plots.training_curve(figure.subplots(1, 2), records)
    return picture(figure, f"Two curves over {last.epoch} epochs. The loss goes from {first.loss:.3g} to "
                   f"{last.loss:.3g}, the validation error from {percent(first.error)} to {percent(last.error)}.",
                   "Loss on the training images and error on the validation images after each epoch.")


def weights_figure(*stages: Layer) -> str:
    """A row for each layer with weights, the first four at most, and a column for each stage."""
    rows = list(zip(*(stage.weights() for stage in stages), strict=True))[:4]
    nodes = dict(stages[0].walk())
    paths = [path.removesuffix(".weight") for path, node in nodes.items() if any(node is row[0] for row in rows)]
    figure = Figure((7, 0.3 + 1.9 * len(rows)))
    axes = figure.subplots(len(rows), len(stages), sharex=True, squeeze=False)
    for line, row, path in zip(axes, rows, paths, strict=True):
        for ax, weight in zip(line, row, strict=True):
            plots.weight_histogram(ax, weight.forward())
            ax.set(xlabel="", ylabel="")
            ax.title.set_size(9)
        line[0].set_ylabel(f"{nodes[path]!r}\ncount")
    for ax, name in zip(axes[0], ("dense", "pruned", "shared"), strict=True):
        ax.set_title(f"{name}\n{ax.get_title()}", fontsize=9)
    figure.supxlabel("weight", fontsize=10)
    return picture(figure, "Histograms of the weights of each layer: dense, pruned, and shared by a few numbers.",
                   "Left: all weights. Middle: pruning takes out the small ones, so a gap opens around zero. Right: "
                   "each layer keeps a few numbers; a stem shows how many weights share one. Biases are not shown.")


def masks_figure(final: Layer) -> str:
    weight = final.weights()[0].forward()
    side = weight.shape[-1] if weight.ndim == 4 else math.isqrt(weight[0].size)
    if weight.shape[2:] != (side, side) and weight[0].size != side**2:
        return ""
    figure = Figure((7, 2.3))
    left, right = figure.subplots(1, 2, width_ratios=[2.6, 1])
    plots.masks(left, weight, side)
    plots.pixel_use(right, weight, side)
    return picture(figure, f"Pictures of {side} by {side} pixels: the weights that units of the first layer kept.",
                   "Left: the units of the first layer that keep the most weights, each as a picture of its inputs. "
                   "Right: how many units kept a weight for each pixel.")


def parts_figure(parts: Sequence[Part]) -> str:
    figure = Figure((7, 0.7 + 0.2 * min(len(parts), 25)))
    plots.file_parts(figure.subplots(), parts)
    total, largest = sum(part.bytes for part in parts), max(parts, key=lambda part: part.bytes)
    return picture(figure, f"Bars of the bytes of each part; the largest is {largest.name} with {largest.bytes:,}.",
                   f"The file's {total:,} bytes by what they are for, and the code that was chosen for them.")


def digits_figure(x: np.ndarray, labels: np.ndarray, predictions: np.ndarray, most: int = 30) -> str:
    """Wrong ones first, two rows of them at most; right ones fill three rows."""
    if math.isqrt(x[0].size) ** 2 != x[0].size:
        return ""
    wrong, right = np.flatnonzero(predictions != labels), np.flatnonzero(predictions == labels)
    chosen = np.concatenate([wrong[:20], right])[:most]
    figure = Figure((7, 0.82 * math.ceil(len(chosen) / 10)))
    plots.digits_with_predictions(figure.subplots(), x[chosen], labels[chosen], predictions[chosen])
    misread = ", ".join(f"{labels[i]} read as {predictions[i]}" for i in wrong[:20])
    return picture(figure, f"Some test images. Misread: {misread or 'none'}.",
                   f"{len(wrong):,} of {len(x):,} test images are misread. Framed here: {len(wrong[:20])} of them.")
