"""Training: the same bits again, what each argument does, what ends it early. Checkpoints: test_resume.py."""

import copy
import itertools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import NonFiniteError, RangeError

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (50, 4))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
X2 = rng.uniform(-1, 1, (20, 4))
LABELS2 = (X2[:, 0] > 0).astype(int) + (X2[:, 1] > 0.3)


def model(seed: int = 0) -> nn.Sequential:
    return nn.Sequential([nn.Linear(4, 8, rng=seed), nn.BatchNorm(8), nn.ReLU(), nn.Dropout(0.2, rng=seed + 1),
                          nn.Linear(8, 3, rng=seed + 2)])


def bits(node: nn.Node) -> bytes:
    return b"".join(np.asarray(v).tobytes() for v in node.state().values() if not isinstance(v, np.random.Generator))


def fit(net: nn.Layer, optimizer: Any = None, samples: Any = (X, LABELS), **given: Any) -> list[nn.Record]:
    options = {"epochs": 4, "rng": 0, "batch": 16, "progress": False, **given}
    return list(nn.train(net, optimizer or nn.SGD(net.parameters(), 0.1), samples, **options))


def test_training_learns() -> None:
    net = model()
    records = fit(net, nn.Adam(net.parameters(), 0.02), epochs=60, validation=(X2, LABELS2))
    assert [r.epoch for r in records] == list(range(1, 61))
    assert records[-1].loss < 0.3 * records[0].loss
    assert records[-1].error == nn.error(net, X2, LABELS2) <= 0.2
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(records))


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_the_same_seed_gives_the_same_bits(kind: type[nn.Optimizer]) -> None:
    def once(seed: int, x: np.ndarray = X) -> bytes:
        net = model()
        fit(net, kind(net.parameters(), 0.05), (x, LABELS), rng=seed)
        return bits(net)

    assert once(0) == once(0) != once(1)
    assert once(0) == once(0, np.asfortranarray(X)), "nor does the order in memory matter"
    with np.errstate(all="raise"):
        assert once(0) == once(0), "nor NumPy's settings"


@pytest.mark.parametrize("batch", [1, 16, 49, 50, 999])
def test_every_sample_is_used_once_an_epoch(batch: int) -> None:
    seen: list[np.ndarray] = []
    sizes = [min(batch, 50 - i) for i in range(0, 50, batch)]

    def look(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append(x)
        return x

    records = fit(model(), batch=batch, epochs=2, transform=look)
    assert [len(x) for x in seen] == 2 * sizes
    first, second = np.concatenate(seen[: len(sizes)]), np.concatenate(seen[len(sizes) :])
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(X, axis=0))
    assert (first != second).any(), "in another order each epoch"
    assert np.isfinite(records[-1].loss)


def test_a_batch_of_one_follows_that_samples_gradient() -> None:
    net = nn.Sequential([nn.Linear(4, 3, rng=0)])
    before = copy.deepcopy(net)
    with pytest.warns(UserWarning, match="no training sample has the label"):
        fit(net, nn.SGD(net.parameters(), 0.1, grid=0), (X[:1], LABELS[:1]), epochs=1, batch=1)
    _, dz = nn.cross_entropy(before.forward(X[:1]), LABELS[:1])
    np.testing.assert_allclose(net.layers[0].weight.data, before.layers[0].weight.data - 0.1 * dz.T @ X[:1])


def test_the_recorded_loss_is_the_mean_over_samples() -> None:
    net = nn.Sequential([nn.Linear(4, 3, rng=0)])
    expected, _ = nn.cross_entropy(net.forward(X), LABELS)
    net.train()
    with pytest.warns(UserWarning, match="learning rate is 0"):
        (record,) = fit(net, nn.SGD(net.parameters(), 0), epochs=1)
    assert record.loss == pytest.approx(expected, rel=1e-12)
    assert np.isnan(record.error), "there was no validation set"


def test_no_epochs_only_evaluate() -> None:
    net = model()
    before = bits(net)
    (record,) = fit(net, epochs=0, validation=(X2, LABELS2))
    assert record == (0, record.loss, nn.error(net, X2, LABELS2), 0.0)
    assert bits(net) == before


def test_patience_puts_the_best_weights_back() -> None:
    errors, states = iter([0.5, 0.3, 0.3, 0.4, 0.1]), []

    def scripted(net: nn.Layer, x: np.ndarray, labels: np.ndarray) -> float:
        states.append(bits(net))
        return next(errors)

    net = model()
    records = fit(net, epochs=9, validation=(X2, LABELS2), measure=scripted, patience=2)
    assert [r.error for r in records] == [0.5, 0.3, 0.3, 0.4]
    assert bits(net) == states[1], "the first of equals"
    with pytest.raises(RangeError, match="patience needs a validation set"):
        fit(net, patience=2)
    with pytest.raises(RangeError, match="patience is 0"):
        fit(net, patience=0, validation=(X2, LABELS2))


def test_a_schedule_sees_the_share_done_and_leaves_the_rate() -> None:
    shares: list[float] = []
    net = model()
    optimizer = nn.SGD(net.parameters(), 0.1)
    fit(net, optimizer, epochs=2, schedule=lambda share: shares.append(share) or 0.0)
    assert shares == [i / 8 for i in range(8)]
    assert optimizer.lr == 0.1
    assert bits(net.layers[0]) == bits(model().layers[0]), "a factor of zero"


def test_a_penalty_joins_loss_and_gradient() -> None:
    net, plain = model(), model()
    loss = fit(plain, epochs=1)[0].loss
    record = fit(net, epochs=1, penalty=lambda: nn.l2(net.weights(), 10.0))[0]
    assert record.loss > loss
    assert np.square(net.layers[0].weight.data).sum() < np.square(plain.layers[0].weight.data).sum()


def test_a_transform_draws_from_the_trainings_generator_and_may_write() -> None:
    def jitter(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x += rng.uniform(-0.1, 0.1, x.shape)
        return x

    before, one, same, plain = X.copy(), model(), model(), model()
    fit(one, transform=jitter)
    fit(same, transform=jitter)
    fit(plain)
    np.testing.assert_array_equal(X, before)
    assert bits(one) == bits(same) != bits(plain)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal: a process in the background starts with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore:.*hardly changed")
@pytest.mark.parametrize("seen", ["step", "measure"])
def test_ctrl_c_leaves_a_complete_step(seen: str, ctrl_c: None) -> None:
    """During a step it waits for the step's end; between epochs there is nothing to wait for."""
    calls = 0

    def interrupt(x: Any, *_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGINT)
        return x if seen == "step" else 0.5

    before = signal.getsignal(signal.SIGINT)
    net, same = model(), model()
    optimizer, steps = nn.SGD(net.parameters(), 0.1), 2 if seen == "step" else 8
    callback: dict[str, Callable] = {"transform" if seen == "step" else "measure": interrupt}
    with pytest.raises(KeyboardInterrupt):
        fit(net, optimizer, validation=(X2, LABELS2), schedule=nn.linear, **callback)
    assert signal.getsignal(signal.SIGINT) is before
    assert (optimizer.t, optimizer.lr) == (steps, 0.1)
    counted = nn.SGD(same.parameters(), 0.1)
    stopper = nn.train(same, counted, (X, LABELS), epochs=4, rng=0, batch=16, schedule=nn.linear, progress=False,
                       transform=lambda x, rng: x if counted.t < steps else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(stopper)
    assert all((p.data == q.data).all() for p, q in zip(net.parameters(), same.parameters(), strict=True))
    assert np.isfinite(nn.predict(net, X)).all()
    assert len(fit(net, optimizer, epochs=1)) == 1


def test_an_explosion_is_named_and_leaves_finite_weights() -> None:
    net = nn.Sequential([nn.Linear(4, 8, rng=0), nn.BatchNorm(8), nn.Linear(8, 8, rng=1), nn.ReLU(),
                         nn.Linear(8, 3, rng=2)])
    with pytest.raises(NonFiniteError, match=r"at step \d+, first seen in (layer layers\.\d, |the loss)") as caught:
        fit(net, nn.SGD(net.parameters(), 1e160), epochs=20)
    assert "smaller learning rate, such as 1e+159" in str(caught.value)
    assert all(np.isfinite(v).all() for v in net.state().values())
