"""LeNet-300-100 on MNIST: winning tickets beside the dense network, and beside other initial weights under their masks.

The recipe is the paper's with a shorter training, tried with seed 1. The figures are errors on the test images, at the
step of the least validation loss unless they say otherwise.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from ... import data
from ...data import Dataset
from ...lottery.records import REINITIALIZED, TICKET, compare, learn
from ...lottery.tickets import densities
from ...nn import Layer, Linear, ReLU, Sequential
from ..row import Claim, Criterion, Row, at_least, count, minutes, points

RATE, OUTPUT_RATE = 0.2, 0.1  # pruned in a round: of the hidden layers, of the output layer
STEPS, EVERY, BATCH, LR = 3000, 100, 60, 1.2e-3
MANY, SOME, FEW = 7, 9, 15  # rounds
NAMES = {0: "dense", MANY: "21.1 %", SOME: "13.5 %", FEW: "3.6 %"}  # of the weights left
CONTROLLED = MANY, FEW


def network(n_in: int, classes: int, rng: np.random.Generator) -> Sequential:
    """LeNet-300-100 from Glorot's uniform initialization, in float32."""
    layers: list[Layer] = []
    for a, b in itertools.pairwise([n_in, 300, 100, classes]):
        layers += [Linear(a, b, rng=rng, init="glorot", dtype=np.float32), ReLU()]
    return Sequential(layers[:-1])


def search(samples: Dataset, seed: int, steps: int, every: int) -> dict[str, float]:
    """Errors of the dense network, of tickets and of their controls; gains, positive as claimed; steps."""
    fit = functools.partial(learn, samples=samples.train, validation=samples.validation, test=samples.test,
                            steps=steps, every=every, rng=seed, batch=BATCH, lr=LR)
    results = compare(lambda rng: network(samples.train.x.shape[1], len(samples.classes), rng), fit, seed,
                      densities(3, FEW, RATE, OUTPUT_RATE), arms=(REINITIALIZED,), at=CONTROLLED)
    found = {(r.arm, r.round): r for r in results}
    dense, tickets = found[TICKET, 0], {name: found[TICKET, n] for n, name in NAMES.items()}
    figures = {name: ticket.error for name, ticket in tickets.items()}
    figures |= {f"{name}, gain": dense.error - ticket.error for name, ticket in tickets.items()}
    figures |= {f"{name}, last gain": dense.last - ticket.last for name, ticket in tickets.items()}
    for n in CONTROLLED:
        other, name = found[REINITIALIZED, n].error, NAMES[n]
        figures |= {f"{name}, other": other, f"{name}, lead": other - figures[name]}
    return figures | {"dense, stop": dense.stop, f"{NAMES[MANY]}, stop": tickets[NAMES[MANY]].stop}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return search(data.mnist(), seed, STEPS, EVERY)


def protocol() -> str:
    """The settings in words, with what differs from the paper."""
    return (f"LeNet-300-100 on MNIST in float32: 55,000 training images, Glorot's initialization in its uniform form, "
            f"Adam at {LR:g}, {STEPS:,} batches of {BATCH} in each of {FEW} rounds, in the same order. A round prunes "
            f"{100 * RATE:g} % of each hidden layer and {100 * OUTPUT_RATE:g} % of the output layer by magnitude and "
            f"rewinds the rest to its start. Re-initialized: another start under the ticket's mask. Errors are those "
            f"at the least validation loss, measured every {EVERY} steps. The paper: normal deviates, 50,000 batches "
            f"in a round, 5 networks. Its claim that tickets train faster needs longer rounds than these, in which "
            f"the least loss comes near the end.")


def claims() -> list[Claim]:
    """Errors, then what tickets gain over the dense network and over re-initialized ones."""
    many, some, few = (NAMES[n] for n in (MANY, SOME, FEW))

    def gain(name: str, published: str, figure: str, *criteria: Criterion) -> Claim:
        return Claim(name, published, figure, points, criteria)

    return [*(Claim(f"error, {name}", "-", name) for name in NAMES.values()),
            *(Claim(f"error, {NAMES[n]}, re-initialized", "-", f"{NAMES[n]}, other") for n in CONTROLLED),
            gain(f"{many}: points better than dense", "better", f"{many}, gain", at_least(0.001, points)),
            gain(f"{some}: points better than dense", "+0.3", f"{some}, gain"),
            gain(f"{few}: points better than dense", "0", f"{few}, gain", at_least(-0.004, points)),
            gain(f"{many}: points better than re-initialized", "+0.5", f"{many}, lead", at_least(0.005, points)),
            gain(f"{few}: points better than re-initialized", "better", f"{few}, lead", at_least(0.015, points)),
            gain(f"{many}: points better than dense, at the last step", "better", f"{many}, last gain"),
            gain(f"{few}: points better than dense, at the last step", "-", f"{few}, last gain"),
            Claim("step of the least validation loss, dense", "-", "dense, stop", count),
            Claim(f"step of the least validation loss, {many}", "earlier", f"{many}, stop", count),
            Claim("time on one core", "-", "seconds", minutes)]


LOTTERY = Row("lottery", "Frankle & Carbin 2019, The Lottery Ticket Hypothesis, section 2", protocol(), run, claims())
