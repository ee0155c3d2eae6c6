"""Binary weights and binary activations on MNIST, and the file that is left of them.

The learning rates are the best of 0.001 (not tried with dropout), 0.003 and 0.01 on the validation images, for seed 0
and 4 epochs; so is the dropout, of 0.2 and 0.5. The figures are errors on the test images.
"""

from __future__ import annotations

import numpy as np

from ... import data
from ...data import Dataset
from ...ledger import file_bytes
from ...nn import error, predict
from ...quantization.binary_experiments import Budget, Way, counts_exactly, learn, rounded
from ...quantization.packed import packed, xnor_speedup
from ...quantization.thresholds import with_thresholds
from ..row import EVERY_SEED, Claim, Criterion, Row, at_least, minutes, near, points, times, yes

FLOAT, DROPOUT, SIGNS, DRAWN, BNN = "float", "dropout", "deterministic", "stochastic", "binary activations"
WAYS = {
    FLOAT: Way(0.003),
    DROPOUT: Way(0.01, dropout=0.2),
    SIGNS: Way(0.003, binary=True),
    DRAWN: Way(0.003, binary=True, stochastic=True),
    BNN: Way(0.003, binary=True, signs=True),
}
MNIST = Budget((784, 512, 512, 512, 10), 8, 100, dtype=np.float32)


def compare(samples: Dataset, ways: dict[str, Way], budget: Budget, seed: int) -> dict[str, float]:
    """The errors of all ways, and what becomes of the binary network and its file."""
    models = {name: learn(way, budget, samples.train, seed) for name, way in ways.items()}
    figures = {name: error(model, *samples.test) for name, model in models.items()}
    x, bnn = samples.test.x, models[BNN]
    small = with_thresholds(bnn)
    outputs = np.concatenate([packed(small)(x[i : i + 1000]) for i in range(0, len(x), 1000)])
    gains = {f"gain, {name}": figures[FLOAT] - figures[name] for name in (DROPOUT, SIGNS, DRAWN)}
    return figures | gains | {"rounded": error(rounded(models[DRAWN]), *samples.test),
                      "counts": counts_exactly(bnn, x[:1000]),
                      "same": np.array_equal(outputs.argmax(1), predict(bnn, x).argmax(1)),
                      "ratio": file_bytes(models[FLOAT]) / file_bytes(small),
                      "cost": round(xnor_speedup(256, 3), 2)}


def run(seed: int) -> dict[str, float]:
    """The figures of one seed."""
    return compare(data.mnist(), WAYS, MNIST, seed)


def protocol(ways: dict[str, Way], budget: Budget) -> str:
    """The budget in words, with what differs from the papers."""
    rates = ", ".join(f"{name} {way.lr:g}" for name, way in ways.items())
    return (f"A perceptron {'-'.join(map(str, budget.sizes))} on MNIST in float32, batch norm after every linear map "
            f"and no biases: 55,000 training images, {budget.epochs} epochs of Adam on the squared hinge loss, batches "
            f"of {budget.batch}, cosine schedules from these learning rates: {rates}. All ways start from the same "
            f"numbers and see the same batches. Dropout: {100 * ways[DROPOUT].dropout:g} % of the hidden units. "
            f"Binary weights: ± H, real weights clipped at H = sqrt(1.5 / (in + out)), which is the papers' scaling "
            f"of learning rates. Binary activations: signs instead of ReLU, and deterministic weights. The ratio is "
            f"the float network's file over that of the one with binary activations, batch norm as thresholds. "
            f"BinaryConnect has three layers of 1,024 units, 50 % dropout, SGD, batches of 200 and up to 1,000 epochs, "
            f"and takes the epoch that is best on 10,000 validation images; the binarized network is larger, too. "
            f"Stochastic weights are tested as real ones, which is no binary network: they have no criterion.")


BINARY = Row(
    "binary", "Courbariaux, Bengio & David 2015, BinaryConnect, table 2; Hubara et al. 2016, Binarized Neural Networks",
    protocol(WAYS, MNIST), run,
    [Claim("error, real weights", "1.30 %", FLOAT),
     Claim("error, dropout", "1.01 %", DROPOUT),
     Claim("error, binary weights, deterministic", "1.29 %", SIGNS, criteria=[near(FLOAT, 0.004)]),
     Claim("error, binary weights, stochastic; real ones tested", "1.18 %", DRAWN),
     Claim("the same network, its signs tested", "-", "rounded"),
     Claim("error, binary weights and activations", "0.96 to 1.40 %", BNN, criteria=[near(FLOAT, 0.02)]),
     *(Claim(f"gain, {name}", published, f"gain, {name}", points, verdict=True, margin=0.001)
       for name, published in ((DROPOUT, "+0.29"), (SIGNS, "+0.01"), (DRAWN, "+0.12"))),
     Claim("popcounts equal the ± 1 products", "exact", "counts", yes, [EVERY_SEED]),
     Claim("packed network predicts the same", "-", "same", yes, [EVERY_SEED]),
     Claim("file, binary", "32x", "ratio", times, [at_least(28, times)]),
     Claim("XNOR-Net's cost, 256 channels, 3 x 3", "62.27x", "cost", lambda c: f"{c:.2f}x",
           [Criterion("= 62.27x", lambda ours, all: ours == 62.27)]),
     Claim("time on one core", "-", "seconds", minutes)])
