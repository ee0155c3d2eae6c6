"""Going on from a checkpoint ends with the same bits, or is refused."""

import copy
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import NonFiniteError, ShapeError, StateError

rng = np.random.default_rng(0)
X, X2 = rng.uniform(-1, 1, (50, 4)), rng.uniform(-1, 1, (20, 4))
LABELS, LABELS2 = ((x[:, 0] > 0).astype(int) + (x[:, 1] > 0.3) for x in (X, X2))
EPOCHS = 5


class Memory:
    """The simplest saver: one checkpoint, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        return copy.deepcopy(self.kept)

    def save(self, state: dict[str, Any]) -> None:
        self.kept = copy.deepcopy(state)


class Noisy(nn.Parametrization):
    """w = x + u, u uniform, drawn once a step"""

    rng: np.random.Generator
    drawn: np.ndarray | None = None

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def forward(self, data: np.ndarray) -> np.ndarray:
        if self.drawn is None:
            self.drawn = self.rng.uniform(-0.1, 0.1, data.shape)
        return data + self.drawn

    def renew(self) -> None:
        self.drawn = None


def model(seed: int, width: int = 8) -> nn.Sequential:
    last = nn.Linear(width, 3, rng=seed)
    last.weight.become(last.weight.data, [Noisy(seed)])
    first, dropout = nn.Linear(4, width, rng=seed), nn.Dropout(0.2, rng=seed)
    return nn.Sequential([first, nn.BatchNorm(width), nn.ReLU(), dropout, last])


def jitter(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + rng.uniform(-0.1, 0.1, x.shape)


def run(net: nn.Layer, saver: Any, stop: int = 99, kind: type[nn.Optimizer] = nn.Adam, lr: float = 0.02,
        samples: Any = (X, LABELS), **given: Any) -> list[nn.Record]:
    """Train, and break off after epoch `stop`."""
    options = {"epochs": EPOCHS, "rng": 0, "batch": 16, "schedule": nn.cosine, "transform": jitter, "progress": False,
               "validation": (X2, LABELS2), "saver": saver, **given}
    records = []
    for record in nn.train(net, kind(net.parameters(), lr), samples, **options):
        records.append(record)
        if record.epoch == stop:
            break
    return records


def contents(net: nn.Node) -> list[Any]:
    return [v.bit_generator.state if isinstance(v, np.random.Generator) else np.asarray(v).tobytes()
            for v in net.state().values()]


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
@pytest.mark.parametrize("patience", [None, 1, 9])
def test_a_run_broken_off_at_every_epoch_ends_with_the_same_bits(kind: type, patience: int | None) -> None:
    whole = model(0)
    expected = run(whole, None, kind=kind, patience=patience)
    saver = Memory()
    for stop in range(1, EPOCHS + 2):
        net = model(stop - 1)  # from the second on another seed: everything must come from the checkpoint
        records = run(net, saver, stop, kind, patience=patience)
    assert contents(net) == contents(whole)
    assert [r[:3] for r in records] == [r[:3] for r in expected]


def test_a_finished_run_is_not_trained_again() -> None:
    saver, net, other = Memory(), model(0), model(1)
    first = run(net, saver)
    assert run(other, saver) == first
    assert contents(other) == contents(net)


@pytest.mark.parametrize("change", [
    {"samples": (X + 1e-12, LABELS)}, {"samples": (X, (LABELS + 1) % 3)}, {"lr": 0.03}, {"kind": nn.SGD}, {"rng": 1},
    {"batch": 17}, {"epochs": 6}, {"schedule": nn.linear}, {"transform": None}, {"patience": 3},
], ids=lambda change: next(iter(change)))
def test_another_run_is_refused_unless_forced(change: dict[str, Any]) -> None:
    saver = Memory()
    run(model(0), saver, stop=2)
    net, same = model(1), model(1)
    with pytest.raises(StateError, match="belongs to another run"):
        run(net, saver, **change)
    assert all((p.data == q.data).all() for p, q in zip(net.parameters(), same.parameters(), strict=True))
    if change != {"kind": nn.SGD}:  # Adam's memory does not fit
        assert len(run(net, saver, stop=99, force=True, **change)) == change.get("epochs", EPOCHS)


def test_the_refusal_shows_both_settings() -> None:
    saver = Memory()
    run(model(0), saver, stop=1)
    with pytest.raises(StateError, match=r"'lr': 0\.02.*'lr': 0\.5.*force=True"):
        run(model(0), saver, lr=0.5)


def test_a_forced_run_has_its_own_settings() -> None:
    saver, net = Memory(), model(0)
    run(net, saver, stop=1)
    optimizer = nn.Adam(net.parameters(), 0.5, beta1=0.1)
    list(nn.train(net, optimizer, (X, LABELS), epochs=2, rng=0, saver=saver, force=True, progress=False))
    assert (optimizer.lr, optimizer.beta1, optimizer.t) == (0.5, 0.1, 4 + 1)


def test_the_settings_of_the_optimizer_count() -> None:
    saver, net = Memory(), model(0)
    options: dict[str, Any] = {"epochs": 2, "rng": 0, "saver": saver, "progress": False}
    next(nn.train(net, nn.SGD(net.parameters(), 0.1, momentum=0.9), (X, LABELS), **options))
    for settings in ({"momentum": 0.8}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}, {"grid": 0}):
        with pytest.raises(StateError, match="another run"):
            nn.train(net, nn.SGD(net.parameters(), 0.1, **settings), (X, LABELS), **options)


def test_a_checkpoint_of_another_architecture_is_refused() -> None:
    saver = Memory()
    run(model(0), saver, stop=1)
    with pytest.raises(ShapeError, match=r"layers\.0\.weight\.data has shape \(9, 4\) here, \(8, 4\) in the state"):
        run(model(0, width=9), saver)


def test_no_checkpoint_holds_weights_that_are_not_finite() -> None:
    """The last step of an epoch may make them so, when no further loss would tell."""
    net, saver = nn.Sequential([nn.Linear(4, 1, rng=0)]), Memory()
    with pytest.raises(NonFiniteError, match=r"layers\.0\.weight\.data has 4 values"):
        list(nn.train(net, nn.SGD(net.parameters(), 1e308), (X, np.full((50, 1), 1e3)), epochs=2, rng=0, batch=50,
                      loss=nn.mean_squared_error, saver=saver, progress=False))
    assert saver.kept is None
