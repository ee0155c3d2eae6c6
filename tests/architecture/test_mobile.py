"""Small networks: every kind trains at both sizes, costs what the ledger says, and a budget is used up."""

import numpy as np
import pytest

from minicompress import data
from minicompress.architecture.mobile import BLOCKS, Arm, compare, cost, fit, network, widest
from minicompress.errors import RangeError
from minicompress.ledger import conv_cost, linear_cost
from minicompress.nn import BatchNorm, error, predict

DIGITS = data.digits(images=True)
FEW = DIGITS.train.x[:100], DIGITS.train.labels[:100]
kinds = pytest.mark.parametrize("kind", BLOCKS)


@kinds
@pytest.mark.parametrize("side", [8, 28])
def test_every_kind_runs_at_both_sizes(kind: str, side: int) -> None:
    model = network(BLOCKS[kind], 8, rng=0, side=side, grid=2**-10)
    assert predict(model, np.random.default_rng(0).random((3, 1, side, side))).shape == (3, 10)
    norms = [node for _, node in model.walk() if isinstance(node, BatchNorm)]
    assert norms and {norm.grid for norm in norms} == {2**-10}
    ratio = cost(model, side).macs / cost(network(BLOCKS[kind], 8, rng=0)).macs
    assert ratio == pytest.approx(1 if side == 8 else 3.0625, rel=0.02)  # a fourth of (28 / 8)²: the first stride is 2


@kinds
def test_every_kind_learns(kind: str) -> None:
    arm = Arm(BLOCKS[kind], 8, 0.02) if kind != "Fire" else Arm(BLOCKS[kind], 24, 0.005)  # no batch norm
    assert error(fit(arm, FEW, 0, epochs=20, batch=20), *FEW) < 0.5


@kinds
def test_every_kind_learns_from_images_of_28_x_28(kind: str) -> None:
    x, labels = np.pad(np.kron(FEW[0], np.ones((3, 3))), [(0, 0), (0, 0), (2, 2), (2, 2)]), FEW[1]
    arm = Arm(BLOCKS[kind], 8, 0.02) if kind != "Fire" else Arm(BLOCKS[kind], 24, 0.01)
    assert error(fit(arm, (x, labels), 0, epochs=20, batch=10), x, labels) < 0.7  # by chance about 0.9


def test_the_cost_of_the_full_network_by_hand() -> None:
    layers = [conv_cost(1, 6, 3, 8), conv_cost(6, 12, 3, 4), conv_cost(12, 12, 3, 4), linear_cost(12, 10)]
    weights, macs = np.sum(layers, 0)
    norms = 2 * (6 + 12 + 12) - (6 + 12 + 12)  # scales and shifts, in place of biases
    assert cost(network(BLOCKS["full"], 6, rng=0)) == (weights + norms, macs)


@pytest.mark.parametrize(("kind", "step"), [("separable", 1), ("Fire", 4), ("ShuffleNet unit", 4)])
@pytest.mark.parametrize("what", ["weights", "macs"])
def test_a_budget_is_used_up_and_not_exceeded(kind: str, step: int, what: str) -> None:
    width = widest(BLOCKS[kind], 6_000, what, step=step)
    assert width % step == 0
    ours, wider = (getattr(cost(network(BLOCKS[kind], w, rng=0)), what) for w in (width, width + step))
    assert ours <= 6_000 < wider


def test_budgets_that_make_no_sense_are_refused() -> None:
    with pytest.raises(RangeError, match="no width fits 10 weights"):
        widest(BLOCKS["full"], 10, "weights")
    with pytest.raises(RangeError, match="weights, macs"):
        widest(BLOCKS["full"], 10, "mac")


def test_a_comparison_follows_from_its_seed_alone() -> None:
    arms = {"full": Arm(BLOCKS["full"], 4), "slow": Arm(BLOCKS["full"], 4, 1e-4)}
    first = compare(arms, FEW, FEW, 3, epochs=4)
    assert compare(dict(reversed(arms.items())), FEW, FEW, 3, epochs=4) == first
    assert first["full"] < first["slow"] <= 1
