"""LeNet-300-100 on MNIST: untrained under a mask, and tickets that start elsewhere (Zhou et al. 2019).

Epochs and rates were tried on the validation images with seed 1; in each run they choose the density of every
heuristic mask. The figures are accuracies on the test images.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import data
from ...data import Dataset
from ...lottery.deconstruct import CRITERIA, KEPT, at_random
from ...lottery.supermask import WEIGHTS, drawn, hide, masked_only
from ...lottery.tickets import densities
from ...lottery.trials import Trial, begin, where_to_start
from ...nn import Adam, Layer, Linear, Parameter, ReLU, Sequential, constant, cosine, error, train
from ...table import percent
from ..row import SLACK, Claim, Criterion, Row, at_least, at_most, minutes

BATCH, DRAWS = 60, 10
STAGES = {"weights": (6, 1.2e-3, constant), "scores": (6, 0.1, cosine)}  # epochs, rate, schedule
ROUNDS, RESET = 24, 7  # of 20 %, and 10 % in the last layer: the densities that are tried, and that of the resets
HEURISTICS = ("large final, same sign", "large final", "magnitude increase, same sign", "magnitude increase",
              "large init and final", "movement", "large init", "small final", "random")
RESCALING = {"": False, ", rescaled": True}


def network(rng: np.random.Generator) -> Sequential:
    """LeNet-300-100 with Glorot's initial weights, as in the paper."""
    a, b, c = (Linear(m, n, rng=rng, init="glorot", dtype=np.float32) for m, n in ((784, 300), (300, 100), (100, 10)))
    return Sequential([a, ReLU(), b, ReLU(), c])


def heuristics(trial: Trial, samples: Dataset, rng: np.random.Generator) -> dict[str, float]:
    """Test accuracy of the untrained network under each mask, at the density that is best on the validation images."""
    figures = {}
    for name in HEURISTICS:
        criterion = CRITERIA.get(name) or at_random(rng)
        for kind, weights in WEIGHTS.items():
            models = [masked_only(trial, criterion, shares, weights) for shares in densities(3, ROUNDS)]
            best = min(models, key=lambda model: error(model, *samples.validation))
            figures[f"{name}, {kind}"] = 1 - error(best, *samples.test)
    return figures


def learned(trial: Trial, samples: Dataset, fit: Callable[[Layer, list[Parameter], str], None],
            rng: np.random.Generator) -> dict[str, float]:
    """Test accuracy under the learned masks: of the likelier values, and the mean over masks as drawn."""
    figures = {}
    for kind in WEIGHTS:
        for suffix, rescale in RESCALING.items():
            model = hide(trial.model, rng=rng, constant=kind != "init", rescale=rescale)
            fit(model, model.weights(), "scores")
            name = f"learned, {kind}{suffix}"
            figures[name] = 1 - error(model, *samples.test)
            figures[f"{name}, drawn"] = 1 - float(np.mean([error(drawn(model, rng), *samples.test)
                                                           for _ in range(DRAWS)]))
    return figures


def compare(model: Layer, samples: Dataset, seed: int) -> dict[str, float]:
    """All figures of one untrained network."""
    rng = np.random.default_rng([seed, 6])

    def fit(model: Layer, parameters: list[Parameter], stage: str) -> None:
        epochs, lr, schedule = STAGES[stage]
        for _ in train(model, Adam(parameters, lr), samples.train, epochs=epochs, rng=seed, batch=BATCH,
                       schedule=schedule, progress=False):
            pass

    trained = []

    def fit_weights(model: Layer) -> None:
        fit(model, model.parameters(), "weights")
        trained.append(1 - error(model, *samples.test))

    trial = begin(model, fit_weights, lambda model: trained[-1])
    resets = where_to_start(trial, densities(3, RESET)[-1], rng=rng)
    return {"trained": trained[0], **resets, **heuristics(trial, samples, rng), **learned(trial, samples, fit, rng)}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(network(np.random.default_rng(seed)), data.mnist(), seed)


def protocol() -> str:
    """The settings in words, with what differs from the paper."""
    (epochs, lr, _), (score_epochs, score_lr, _) = STAGES.values()
    return (f"LeNet-300-100 on MNIST in float32: 55,000 training images, Adam, batches of {BATCH}, Glorot's uniform "
            f"initial weights. Trained: {epochs} epochs at {lr:g}. Heuristic masks on the untrained network: one-shot, "
            f"the best on 5,000 validation images of {ROUNDS} densities 0.8ⁿ (0.9ⁿ in the last layer). Learned: "
            f"scores from 0, {score_epochs} epochs from {score_lr:g} with a cosine schedule; evaluated where the score "
            f"is at least 0, and as drawn (mean of {DRAWS} masks). Constants and factors have 5 bits. Resets: one-shot "
            f"large-final tickets at "
            f"{100 * 0.8**RESET:.1f} % ({100 * 0.9**RESET:.1f} % in the last layer), {epochs} epochs at {lr:g}. "
            f"The paper prunes in rounds, learns masks by SGD for many more epochs, and evaluates them as drawn.")


def near_rewinding(margin: float) -> Criterion:
    """ours ≥ mean of rewinding - margin"""
    return Criterion(f"≥ rewinding - {100 * margin:g}",
                     lambda ours, all: ours - all["rewind"].mean() >= -margin - SLACK)


BEST, BOTH = "large final, same sign, signed constant", "learned, signed constant, rescaled"
CRITERIA_OF: dict[str, list[Criterion]] = {
    BEST: [at_least(0.8, percent)],
    "random, init": [at_most(0.25, percent)],
    "random, signed constant": [at_most(0.25, percent)],
    "learned, init": [at_least(0.9, percent)],
    BOTH: [at_least(0.955, percent)],
    **{name: [near_rewinding(0.004)] for name in KEPT if name.endswith("same sign")},
}
PUBLISHED = {"large final, same sign, init": "79 %", BEST: "86 %", "random, init": "chance",
             "random, signed constant": "chance", "learned, init": "95.3 %", BOTH: "98.0 %",
             **{name: "as rewinding" for name in KEPT if name.endswith("same sign")}}


def claims() -> list[Claim]:
    """Untrained under heuristic masks, under learned ones, and the resets."""
    masks = [f"{name}, {kind}" for name in HEURISTICS for kind in WEIGHTS]
    scores = [f"learned, {kind}{suffix}{how}" for kind in WEIGHTS for suffix in RESCALING for how in ("", ", drawn")]
    names = {**{name: f"untrained: {name}" for name in [*masks, *scores]}, "trained": "trained",
             **{name: f"reset: {name}" for name in KEPT}}
    return [*(Claim(what, PUBLISHED.get(name, "-"), name, criteria=CRITERIA_OF.get(name, ()))
              for name, what in names.items()),
            Claim("time on one core", "-", "seconds", minutes)]


SUPERMASKS = Row("supermasks", "Zhou, Lan, Liu & Yosinski 2019, sections 3 and 5", protocol(), run, claims())
