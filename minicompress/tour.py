"""The main job: a network trained on real images, compressed into a file of a few kilobytes, and loaded back.

    dense → pruned in rounds → dead units → shared weights → trained centroids → half precision and codes

Each stage is measured on the test images and as a file; nothing is chosen by these figures. Training on the digits is
in float64 on the gradient grid: the same seed gives the same file on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import __version__, data, report, storage
from .data import Dataset
from .errors import MiniCompressError, StorageError
from .inputs import as_choice, as_integer
from .ledger import Ledger, finished
from .nn import Adam, Layer, Linear, Record, ReLU, Sequential, cosine, error, l1, predict, train
from .quantization.deep_compression import prune_and_share


class Recipe(NamedTuple):
    """How a tour trains: stages as (epochs, learning rate), densities and L1 penalty of pruning, bits a code."""

    batch: int
    dense: tuple[int, float]
    densities: tuple[float, ...]
    prune: tuple[int, float]
    l1: float
    bits: int
    centroids: tuple[int, float]


DIGITS = Recipe(50, (30, 3e-3), (0.4, 0.25, 0.16, 0.11, 0.08, 0.06, 0.05, 0.04), (15, 5e-3), 2e-5, 3, (8, 1e-3))
MNIST = Recipe(100, (20, 2e-3), (0.4, 0.25, 0.16, 0.11, 0.08, 0.06, 0.05), (10, 2e-3), 1e-5, 4, (6, 5e-4))
QUICK = {"dense": 6, "prune": 3, "centroids": 2}  # epochs; with every second density

DATA: dict[str, tuple[Callable[[], Dataset], Recipe]] = {
    "digits": (data.digits, DIGITS),
    "mnist": (data.mnist, MNIST),
    "fashion-mnist": (data.fashion_mnist, MNIST),
}


class Tour(NamedTuple):
    """What a tour leaves behind: its ledger, the networks at their stages, and the folder with the files."""

    ledger: Ledger
    dense: Layer
    pruned: Layer
    final: Layer
    records: list[Record]
    folder: Path
    sha256: str


def lenet_300_100(n_in: int, classes: int, rng: np.random.Generator, dtype: Any) -> Sequential:
    """LeNet-300-100 (LeCun et al. 1998): two hidden layers, of 300 and 100 units."""
    sizes = [n_in, 300, 100, classes]
    layers: list[Layer] = []
    for a, b in itertools.pairwise(sizes):
        layers += [Linear(a, b, rng=rng, dtype=dtype), ReLU()]
    return Sequential(layers[:-1])


def train_stage(model: Layer, samples: Dataset, recipe: Recipe, stage: str, *, rng: np.random.Generator,
                progress: bool = True) -> list[Record]:
    """Train the model as the recipe says for a stage: "dense", "prune" (with its L1 penalty) or "train centroids"."""
    epochs, lr = {"dense": recipe.dense, "prune": recipe.prune, "train centroids": recipe.centroids}[stage]
    penalty = (lambda: l1(model.weights(), recipe.l1)) if stage == "prune" else None
    return list(train(model, Adam(model.parameters(), lr), samples.train, epochs=epochs, rng=rng, batch=recipe.batch,
                      validation=samples.validation, schedule=cosine, penalty=penalty, progress=progress))


def tour(name: str = "digits", *, seed: int = 0, out: str | Path = "tour", quick: bool = False,
         say: Callable[[str], None] = print) -> Tour:
    """Compress a network trained on the data set `name`, and write model.mcz, ledger.json and report.html into `out`.

    Raises RangeError for an unknown name or a negative seed, DataUnavailable, StorageError.
    """
    read, recipe = DATA[as_choice(name, "data", DATA)]
    rng, folder = np.random.default_rng(as_integer(seed, "seed", 0)), make_folder(out)
    samples = read()
    x = samples.train.x
    if quick:
        changes = {stage: (epochs, getattr(recipe, stage)[1]) for stage, epochs in QUICK.items()}
        recipe = recipe._replace(densities=recipe.densities[1::2], **changes)  # type: ignore[arg-type]
    model = lenet_300_100(x.shape[1], len(samples.classes), rng, x.dtype)
    say(f"{name}: {len(x):,} training, {len(samples.validation.x):,} validation and {len(samples.test.x):,} test "
        f"images; a network {x.shape[1]}-300-100-{len(samples.classes)}, seed {seed}")

    ledger, started = Ledger(samples.test.x), time.perf_counter()

    def enter(stage: str, precision: str = "single") -> Layer:
        nonlocal started
        network = finished(model, precision)
        row = ledger.add(stage, network, error(network, *samples.test), time.perf_counter() - started)
        say(f"  {stage:<20} error {row.error:7.2%} {row.bytes:>11,} bytes  {row.ratio:5.1f}x  {row.seconds:6.1f} s")
        started = time.perf_counter()
        return network

    fit = functools.partial(train_stage, model, samples, recipe, rng=rng)
    records = fit("dense")
    dense = pruned = enter("dense")
    names = iter([f"pruned to {density:.0%}" for density in recipe.densities])
    titles = {"dead units": "dead units removed", "share": f"shared, {recipe.bits} bits",
              "train centroids": "centroids trained"}
    for stage in prune_and_share(model, fit, densities=recipe.densities, bits=recipe.bits):
        network = enter(titles.get(stage) or next(names))
        pruned = network if stage == "dead units" else pruned
    final = enter("half precision", "half")
    sha256 = write(folder, final, ledger, samples)
    result = Tour(ledger, dense, pruned, final, records, folder, sha256)
    write_report(result, name, seed, samples)
    return result


def write_report(result: Tour, name: str, seed: int, samples: Dataset) -> None:
    """Write report.html beside the other files."""
    facts = {"data": name, "seed": str(seed), "sha256 of model.mcz": result.sha256, "minicompress": __version__,
             "NumPy": np.__version__, "Python": platform.python_version()}
    report.write(result.folder / "report.html", title=f"minicompress tour: {name}", ledger=result.ledger,
                 records=result.records, dense=result.dense, pruned=result.pruned, final=result.final,
                 parts=storage.inspect(result.folder / "model.mcz"), samples=samples.test, facts=facts)


def make_folder(out: str | Path) -> Path:
    """The folder for a tour's files, made if need be.   Raises StorageError."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {folder} cannot be made: {error.strerror}. Hint: --out DIR.") from error
    return folder


def write(folder: Path, final: Layer, ledger: Ledger, samples: Dataset) -> str:
    """Write model.mcz and ledger.json, check that the file gives the same network, and return the file's sha256."""
    path = folder / "model.mcz"
    storage.save(path, final)
    again = storage.load(path)
    if not np.array_equal(predict(again, samples.test.x), predict(final, samples.test.x)):
        raise MiniCompressError(f"{path} does not give the same outputs as the network that was saved.")
    try:
        (folder / "ledger.json").write_text(ledger.to_json(), encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{folder}/ledger.json cannot be written: {error.strerror}. Hint: --out DIR.") from error
    return hashlib.sha256(path.read_bytes()).hexdigest()
