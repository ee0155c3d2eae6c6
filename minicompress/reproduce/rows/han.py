"""LeNet-300-100 on MNIST, pruned in the five ways of Han et al. 2015, figure 5; each of their orderings gets a verdict.

The penalties are those with the lowest validation error of dense networks, of three strengths and the seeds 1 and 2;
retraining was tuned on the validation images with seed 2. The figures are errors on the test images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ... import data, plots
from ...data import Dataset
from ...nn import Adam, Layer, cosine, error, train
from ...pruning.trade_off import CURVES, ITERATIVE, L1, L1_RETRAINED, L2, L2_RETRAINED, five_curves
from ...tour import lenet_300_100
from .. import results
from ..row import Claim, Row, minutes, near, points

DENSITIES = (0.5, 0.2, 0.08, 0.04, 0.02)
SHOWN = (0.08, 0.02)  # the paper's density for this network (table 4), and one where every way costs accuracy
STRENGTHS = {"l1": 3e-5, "l2": 1e-4}
ROUNDS, BATCH = 5, 100
STAGES = {"dense": (15, 2e-3), "retrain": (10, 1e-3), "round": (1, 1e-3), "last round": (6, 1e-3)}  # epochs, rate
TICKS = (2, 5, 10, 20, 50)  # of the picture, in percent
DENSE = "dense, L1", "dense, L2"

ORDERINGS: dict[str, Callable[[Mapping[str, float]], float]] = {  # error of each curve → gain, positive as claimed
    "L1: retraining helps": lambda e: e[L1] - e[L1_RETRAINED],
    "L2: retraining helps": lambda e: e[L2] - e[L2_RETRAINED],
    "not retrained: L1 beats L2": lambda e: e[L2] - e[L1],
    "retrained: L2 beats L1": lambda e: e[L1_RETRAINED] - e[L2_RETRAINED],
    "L2: rounds beat one step": lambda e: e[L2_RETRAINED] - e[ITERATIVE],
    "L2 in rounds is the best of the five": lambda e: min(e[name] for name in CURVES[:-1]) - e[ITERATIVE],
}


def at(what: str, density: float) -> str:
    """ "L2, iterative at 8 %" """
    return f"{what} at {100 * density:g} %"


def compare(build: Callable[[], Layer], samples: Dataset, seed: int, stages: Mapping[str, tuple[int, float]] = STAGES
            ) -> dict[str, float]:
    """Test errors, dense and of every curve at every density, and the gains of the orderings at each."""
    dense = []

    def measure(model: Layer) -> float:
        return error(model, *samples.test)

    def fit(model: Layer, penalty: Callable[[], float], stage: str) -> None:
        epochs, lr = stages[stage]
        for _ in train(model, Adam(model.parameters(), lr), samples.train, epochs=epochs, rng=seed, batch=BATCH,
                       schedule=cosine, penalty=penalty, progress=False):
            pass
        if stage == "dense":
            dense.append(measure(model))

    curves = five_curves(build, fit, measure, densities=DENSITIES, rounds=ROUNDS, **STRENGTHS)
    figures = dict(zip(DENSE, dense, strict=True))
    for i, density in enumerate(DENSITIES):
        errors = {name: curves[name][i] for name in CURVES}
        figures |= {at(name, density): value for name, value in errors.items()}
        figures |= {at(what, density): gain(errors) for what, gain in ORDERINGS.items()}
    return figures


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(lambda: lenet_300_100(784, 10, np.random.default_rng(seed), np.float32), data.mnist(), seed)


def protocol() -> str:
    """The settings in words, with what differs from the paper."""
    (dense, fast), (retrain, slow), (short, rate), (last, last_rate) = STAGES.values()
    densities = ", ".join(f"{100 * density:g}" for density in DENSITIES)
    return (f"LeNet-300-100 on MNIST in float32: 55,000 training images, Adam with cosine schedules, batches of "
            f"{BATCH}, in the same order at every stage. Two dense networks from the same start: {dense} epochs at "
            f"{fast:g}, with an L1 penalty of {STRENGTHS['l1']:g} or an L2 penalty of {STRENGTHS['l2']:g} on the "
            f"weights, which stays on in retraining. Pruned by magnitude, the layers in one ranking, to {densities} % "
            f"of the weights; retrained for {retrain} epochs at {slow:g}. Iterative, with as many epochs in all: "
            f"{ROUNDS} rounds from the dense network to each density, {short} epoch at {rate:g} after each and {last} "
            f"at {last_rate:g} after the last. The paper shows AlexNet on ImageNet, without budgets; its iterative "
            f"networks are retrained ones, pruned and retrained again.")


def claims() -> list[Claim]:
    """The dense errors, half of the weights, then errors and orderings at the densities that are shown."""
    halves = [Claim(at(name, 0.5), "as dense", at(name, 0.5), criteria=[near(dense, 0.002)])
              for name, dense in zip((L1, L2), DENSE, strict=True)]
    errors = [Claim(at(name, density), "-", at(name, density)) for density in SHOWN for name in CURVES]
    orderings = [Claim(at(what, density), "yes", at(what, density), points, verdict=True)
                 for what in ORDERINGS for density in SHOWN]
    return [*(Claim(name, "-", name) for name in DENSE), *halves, *errors, *orderings,
            Claim("time on one core", "-", "seconds", minutes)]


HAN_CURVES = Row("han-curves", "Han, Pool, Tran & Dally 2015, figure 5", protocol(), run, claims(), seeds=5)


def picture(folder: Path = Path("results")) -> None:
    """Draw the curves, each the mean over the seeds between the lowest and the highest, into han-curves.png."""
    found = [result["figures"] for result in results.read(folder, HAN_CURVES).values()]
    with plots.style():
        figure = Figure(figsize=(7, 4))
        ax = figure.subplots()
        for name in CURVES:
            values = 100 * np.array([[figures[at(name, density)] for density in DENSITIES] for figures in found])
            ax.plot(DENSITIES, values.mean(0), "o--" if "not" in name else "o-", markersize=4, label=name)
            ax.fill_between(DENSITIES, values.min(0), values.max(0), alpha=0.2)
        ax.set(xscale="log", yscale="log", xlabel="weights kept (%)", ylabel="test error (%)")
        ax.set_xticks(DENSITIES, [f"{100 * density:g}" for density in DENSITIES])
        ax.set_yticks(TICKS, [str(tick) for tick in TICKS])
        ax.minorticks_off()
        ax.invert_xaxis()
        ax.legend()
        figure.savefig(folder / "han-curves.png", metadata={"Software": None})
