"""Optimal brain damage on the digits: what deletions cost, as predicted and in fact (LeCun, Denker & Solla 1990).

The loss is the training images', as in the saliencies. Nothing was chosen by test images; their errors are only shown.
"""

from __future__ import annotations

import copy

import numpy as np

from ... import data
from ...data import Samples
from ...nn import Adam, Layer, Linear, Sequential, Tanh, error, linear, mean_squared_error, train
from ...pruning.magnitude import magnitudes, prune
from ...pruning.obd import mean_loss, optimal_brain_damage, predicted_rise, saliencies
from ...table import percent
from ..row import Claim, Criterion, Row, times

HIDDEN, TARGET, LR, BATCH = 30, 0.8, 2e-3, 100
EPOCHS, MORE = 150, 100  # of training, of retraining
ROUNDS = {"ten rounds": 10, "one shot": 1}
RULES = (*ROUNDS, "magnitude", "random")
LEVELS, RETRAINED = (0.3, 0.5), 0.6
RESTORED = 2  # hidden units

Regression = tuple[np.ndarray, np.ndarray]


def as_regression(samples: Samples) -> Regression:
    """(x, t)      t (N, 10): +0.8 for the right class, -0.8 for the others"""
    return samples.x, np.where(samples.labels[:, None] == np.arange(10), TARGET, -TARGET)


def fit(model: Layer, samples: Regression, epochs: int, rng: np.random.Generator) -> None:
    """Adam with a learning rate that falls to zero."""
    for _ in train(model, Adam(model.parameters(), LR), samples, epochs=epochs, batch=BATCH, rng=rng,
                   loss=mean_squared_error, schedule=linear, progress=False):
        pass


def trained_network(samples: Regression, rng: np.random.Generator) -> Sequential:
    """64-30-10: tanh units, linear outputs."""
    model = Sequential([Linear(64, HIDDEN, rng=rng, init="glorot"), Tanh(),
                        Linear(HIDDEN, 10, rng=rng, init="glorot")])
    fit(model, samples, EPOCHS, rng)
    return model


def cost(model: Layer, samples: Regression, sparsity: float, rule: str,
         rng: np.random.Generator) -> tuple[float, float]:
    """(predicted, actual) rise of the loss when a copy of the model loses a fraction of its weights by one of RULES."""
    model = copy.deepcopy(model)
    if rule in ROUNDS:
        done = optimal_brain_damage(model, mean_squared_error, samples, sparsity, rounds=ROUNDS[rule])
        return sum(deletion.predicted for deletion in done), sum(deletion.actual for deletion in done)
    s, dense = saliencies(model, mean_squared_error, samples), mean_loss(model, mean_squared_error, samples)
    prune(model.weights(), sparsity, score=magnitudes if rule == "magnitude" else lambda p: rng.random(p.shape))
    return predicted_rise(s, model.weights()), mean_loss(model, mean_squared_error, samples) - dense


def cost_with_units_restored(model: Layer, samples: Regression) -> float:
    """The rise after one shot when the hidden units that lost most incoming weights get all of them back.

    Each weight of a saturated unit alone is cheap, because the others hold it there; their saliencies know no more.
    """
    pruned = copy.deepcopy(model)
    optimal_brain_damage(pruned, mean_squared_error, samples, max(LEVELS), rounds=1)
    weight, dense = pruned.weights()[0], model.weights()[0].forward()
    emptiest = np.argsort(np.count_nonzero(weight.forward(), axis=1), kind="stable")[:RESTORED]
    weight.bake()
    weight.data[emptiest] = dense[emptiest]
    return mean_loss(pruned, mean_squared_error, samples) - mean_loss(model, mean_squared_error, samples)


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    digits, rng = data.digits(), np.random.default_rng(seed)
    samples = as_regression(digits.train)
    model = trained_network(samples, rng)
    figures: dict[str, float] = {}
    for level in LEVELS:
        for rule in RULES:
            predicted, figures[f"{rule} {level}"] = cost(model, samples, level, rule, rng)
            figures[f"{rule} {level} / predicted"] = figures[f"{rule} {level}"] / predicted
        for rule in ROUNDS:
            figures[f"{rule} {level} / magnitude"] = figures[f"{rule} {level}"] / figures[f"magnitude {level}"]
    figures["restored"] = cost_with_units_restored(model, samples)
    longer, pruned = copy.deepcopy(model), copy.deepcopy(model)
    optimal_brain_damage(pruned, mean_squared_error, samples, RETRAINED)
    for name, stage, epochs in (("dense", model, 0), ("longer", longer, MORE), ("pruned", pruned, MORE)):
        fit(stage, samples, epochs, rng)
        figures[name] = mean_loss(stage, mean_squared_error, samples)
        figures[f"{name} error"] = error(stage, *digits.test)
    return figures


PROTOCOL = (
    f"64-{HIDDEN}-10 on the digits in float64, tanh units, linear outputs, targets ±{TARGET}: 1,000 training images, "
    f"Adam from {LR:g} to 0 in {EPOCHS} epochs, batches of {BATCH}. E: squared errors, summed over the outputs, mean "
    f"over the training images. Deleted: weights, not biases, without retraining; in {ROUNDS['ten rounds']} equal "
    f"rounds with saliencies computed anew, or at once (one shot). Restored: all incoming weights of the {RESTORED} "
    f"hidden units that lost most. Retrained: {100 * RETRAINED:g} % deleted in rounds, then {MORE} epochs from {LR:g}. "
    f"The paper's network is larger, and reads zip codes.")


def decimals(value: float) -> str:
    """0.12345 as "0.1235"."""
    return f"{value:.4f}"


def level_claims(level: float) -> list[Claim]:
    """The lines on one share of deleted weights."""
    gone = f"{100 * level:g} % deleted"
    ratio, right = f"ten rounds {level} / magnitude", f"ten rounds {level} / predicted"
    half = Criterion("≤ 1/2 on every seed", lambda ours, all: (all[ratio] <= 1 / 2).all())
    thrice = Criterion("within 3x on every seed",
                       lambda ours, all: ((all[right] >= 1 / 3) & (all[right] <= 3)).all())
    published = {"ten rounds": "≪ magnitude", "one shot": "≪ magnitude", "magnitude": "≪ random"}
    return [*(Claim(f"{gone}: rise of E, {rule}", published.get(rule, "-"), f"{rule} {level}", decimals)
              for rule in RULES),
            Claim(f"{gone}: ten rounds / magnitude", "≪ 1", ratio, decimals, [half]),
            Claim(f"{gone}: one shot / magnitude", "≪ 1", f"one shot {level} / magnitude", decimals),
            Claim(f"{gone}: actual / predicted, ten rounds", "1 to 30 %", right, times, [thrice]),
            Claim(f"{gone}: actual / predicted, one shot", "1 to 30 %", f"one shot {level} / predicted", times)]


NO_LOSS = Criterion("≤ dense on every seed", lambda ours, all: (all["pruned"] <= all["dense"]).all())

OBD = Row(
    "obd", "LeCun, Denker & Solla 1990 (Optimal Brain Damage), figures 1 and 2", PROTOCOL, run,
    [*(claim for level in LEVELS for claim in level_claims(level)),
     Claim(f"{100 * max(LEVELS):g} % deleted: rise of E, one shot, {RESTORED} units restored", "-", "restored",
           decimals),
     Claim("E, dense", "-", "dense", decimals),
     Claim(f"E, {100 * RETRAINED:g} % deleted, retrained", "as dense", "pruned", decimals, [NO_LOSS]),
     Claim("E, dense, trained as much longer", "-", "longer", decimals),
     Claim("test error, dense", "-", "dense error", percent),
     Claim(f"test error, {100 * RETRAINED:g} % deleted, retrained", "as dense", "pruned error", percent),
     Claim("test error, dense, trained as much longer", "-", "longer error", percent)], seeds=5)
