"""Training as a generator: one record an epoch, so that a notebook, a command or a test decides what to do with it.

    for record in train(model, Adam(model.parameters()), (x, labels), epochs=30, rng=0, validation=(x2, labels2)):
        print(record)
"""

from __future__ import annotations

import copy
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from ..errors import NonFiniteError, RangeError, StateError
from ..inputs import as_generator, as_integer, check_finite
from .evaluation import Samples, as_samples, check_classes, error, warn_of_slips
from .layers import Layer, Seed
from .losses import Loss, cross_entropy, squared_hinge
from .optim import Optimizer, constant
from .parameter import Parameter


class Record(NamedTuple):
    """One epoch: its number from 1, the mean loss while it ran, the error on validation at its end, seconds so far."""

    epoch: int
    loss: float
    error: float
    seconds: float


class Saver(Protocol):
    """Where checkpoints go: storage.Checkpoint, or anything with these two methods."""

    def load(self) -> dict[str, Any] | None: ...
    def save(self, state: dict[str, Any]) -> None: ...


def train(model: Layer, optimizer: Optimizer, samples: Samples, *, epochs: int, rng: Seed, batch: int = 50,
          loss: Loss = cross_entropy, validation: Samples | None = None,
          measure: Callable[[Layer, Any, Any], float] = error, schedule: Callable[[float], float] = constant,
          penalty: Callable[[], float] | None = None, transform: Callable[..., np.ndarray] | None = None,
          patience: int | None = None, saver: Saver | None = None, force: bool = False,
          progress: bool = True) -> Iterator[Record]:
    """Minimize the loss over mini-batches, in a new random order each epoch; the last batch may be smaller.

    samples (x, target), N rows each; validation: measured after each epoch by `measure` (NaN where there is none).
    schedule: the learning rate's factor as a function of the fraction of all steps done. penalty: called after
    each backward pass, adds to the gradients. transform(x, rng=rng): a change of each batch of inputs, such as jitter.
    patience: stop after so many epochs without a lower validation error, with the weights of the best epoch put back.
    saver: a checkpoint after each epoch; training goes on from the one it finds there, to the same bits, unless the
    data or the settings differ (StateError; force=True goes on all the same). epochs=0 only evaluates.

    Ctrl-C ends the step under way first: the model stays usable. A loss that is not finite raises NonFiniteError before
    the weights are touched, naming the step and the layer. Arguments are checked at the call, not at the first record.
    """
    x, target = as_samples(samples, "x")
    validation = None if validation is None else as_samples(validation, "the validation x")
    if patience is not None and validation is None:
        raise RangeError("patience needs a validation set; allowed: validation=(x, labels).")
    run = _Run(model, optimizer, as_generator(rng), as_integer(epochs, "epochs", 0, 10**6),
               as_integer(batch, "batch", 1))
    run.functions = loss, measure, schedule, penalty, transform
    run.patience = None if patience is None else as_integer(patience, "patience", 1)
    run.saver, run.progress = saver, progress
    if loss in (cross_entropy, squared_hinge) and not (target.dtype.kind == "f" and target.ndim == 2):
        check_classes(model, x, target)
    warn_of_slips(x, optimizer.lr, validation=validation)
    if saver is not None:
        run.resume(x, target, None if isinstance(rng, np.random.Generator) else int(rng), force)
    return run.records(x, target, validation)


def explain(model: Layer, value: float, step: int, lr: float, kept: str) -> str:
    """The message for a loss that is not finite, in this step from 1: where it was first seen, what is kept, a hint."""
    where = "the loss itself"
    for path, node in model.walk():
        arrays = [v for v in (node.saved or ()) if isinstance(v, np.ndarray)] if isinstance(node, Layer) else []
        arrays += [p.data for p in node.parameters()] if isinstance(node, Layer) and arrays else []
        if not all(np.isfinite(a).all() for a in arrays):
            where = f"layer {path or 0}, {node!r}"
            break
    return (f"the loss became {value} at step {step}, first seen in {where}; {kept}. "
            f"Hint: a smaller learning rate, such as {lr / 10:g}.")


class _Run:
    """One training: what `train` was given, and what must survive from epoch to epoch."""

    patience: int | None = None
    saver: Saver | None = None
    progress: bool = True
    functions: tuple[Any, ...] = ()

    def __init__(self, model: Layer, optimizer: Optimizer, rng: np.random.Generator, epochs: int, batch: int) -> None:
        self.model, self.optimizer, self.rng, self.epochs, self.batch = model, optimizer, rng, epochs, batch
        self.done: list[Record] = []
        self.best: dict[str, Any] | None = None
        self.lr = optimizer.lr
        self.fingerprint: dict[str, Any] = {}

    def records(self, x: np.ndarray, target: np.ndarray, validation: Samples | None) -> Iterator[Record]:
        _, measure, *_ = self.functions
        start = time.perf_counter() - (self.done[-1].seconds if self.done else 0.0)
        yield from self.done
        if self.epochs == 0 and not self.done:
            yield Record(0, float("nan"), measure(self.model, *validation) if validation else float("nan"), 0.0)
        bar = tqdm(total=self.epochs, initial=len(self.done), unit="epoch", delay=2,
                   disable=None if self.progress else True)
        with bar:
            while len(self.done) < self.epochs and not self.is_over():
                with Uninterrupted() as interrupt, np.errstate(all="ignore"):  # `epoch` looks for what overflows
                    value = self.epoch(x, target, interrupt)
                error = measure(self.model, *validation) if validation else float("nan")
                self.done.append(Record(len(self.done) + 1, value, error, time.perf_counter() - start))
                if self.patience is not None and error < min([r.error for r in self.done[:-1]], default=np.inf):
                    self.best = copy.deepcopy(self.model.state())
                if self.saver is not None:
                    self.saver.save(self.state())
                bar.update()
                yield self.done[-1]
        if self.best is not None:
            self.model.restore(self.best)

    def epoch(self, x: np.ndarray, target: np.ndarray, interrupt: Uninterrupted) -> float:
        """One pass over the samples; the mean of its losses, penalty included."""
        loss, _, schedule, penalty, transform = self.functions
        steps = -(-len(x) // self.batch)
        order, total = self.rng.permutation(len(x)), 0.0
        self.model.train()
        for i in range(steps):
            chosen = order[i * self.batch : (i + 1) * self.batch]
            images = x[chosen] if transform is None else transform(x[chosen], rng=self.rng)
            value, dy = loss(self.model.forward(images), target[chosen])
            step = len(self.done) * steps + i
            if not np.isfinite(value):
                kept = "the last checkpoint is kept" if self.saver else "the weights are those before this step"
                raise NonFiniteError(explain(self.model, value, step + 1, self.lr, kept))
            self.model.learn(dy)
            if penalty is not None:
                value += penalty()
            self.optimizer.lr = self.lr * schedule(step / (self.epochs * steps))
            self.optimizer.step()
            self.optimizer.lr = self.lr
            total += value * len(chosen)
            interrupt.check()
        for path, node in self.model.walk():
            if isinstance(node, Parameter):
                check_finite(node.data, f"{path}.data")
        losses = [*(r.loss for r in self.done[:5]), total / len(x)]
        if len(losses) == 5 and np.ptp(losses) <= 1e-3 * np.max(losses):
            warnings.warn("the loss has hardly changed in 5 epochs: are all units dead, or all weights equal?",
                          stacklevel=3)
        return losses[-1]

    def is_over(self) -> bool:
        errors = [r.error for r in self.done]
        return self.patience is not None and bool(errors) and len(errors) - 1 - int(np.argmin(errors)) >= self.patience

    def state(self) -> dict[str, Any]:
        """All that a checkpoint must hold for a run that ends with the same bits."""
        return {"fingerprint": self.fingerprint, "model": self.model.state(), "optimizer": self.optimizer.state(),
                "rng": self.rng, "records": [list(r) for r in self.done], "best": self.best}

    def resume(self, x: np.ndarray, target: np.ndarray, seed: int | None, force: bool) -> None:
        """Go on from the saver's checkpoint, if it has one.   Raises StateError where data or settings differ."""
        data, answers = (zlib.crc32(np.ascontiguousarray(a).data) for a in (x, target))
        names = [getattr(f, "__name__", type(f).__name__) for f in self.functions]
        self.fingerprint = {"data": data, "target": answers, "seed": seed, "batch": self.batch, "epochs": self.epochs,
                            "optimizer": type(self.optimizer).__name__, **self.optimizer.settings(),
                            "functions": names, "patience": self.patience}
        saved = self.saver.load() if self.saver else None
        if saved is None:
            return
        if saved["fingerprint"] != self.fingerprint and not force:
            raise StateError(f"the checkpoint belongs to another run: it has {saved['fingerprint']}, this run has "
                             f"{self.fingerprint}. Hint: force=True goes on all the same, another path starts anew.")
        self.model.restore(saved["model"])
        settings = self.optimizer.settings()
        self.optimizer.restore(saved["optimizer"])
        vars(self.optimizer).update(settings)  # under force those of this run
        self.rng.bit_generator.state = saved["rng"].bit_generator.state
        self.done, self.best = [Record(*r) for r in saved["records"]], saved["best"]


class Uninterrupted:
    """Ctrl-C waits until `check`, between two steps; not outside of the main thread, nor where it is ignored."""

    def __enter__(self) -> Uninterrupted:
        self.asked = False
        in_main = threading.current_thread() is threading.main_thread()
        self.active = in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        if self.active:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def check(self) -> None:
        """Raise the KeyboardInterrupt that came in the meantime."""
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.active:
            signal.signal(signal.SIGINT, self.before)
        if kind is None:
            self.check()
