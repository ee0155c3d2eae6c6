"""Training steps: the same network here, in PyTorch and in scikit-learn; and its matrix products alone.

A step is forward, loss, backward and optimizer, through the public layers, on one batch of random numbers, in float32.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicompress import nn

from .timing import Contenders, Job

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]
try:
    from sklearn.neural_network import MLPClassifier
except ImportError:
    MLPClassifier = None

Shape = tuple[int, ...]
DIGITS_MLP = "linear 64 64, relu, linear 64 32, relu, linear 32 10"
LENET_300_100 = "linear 784 300, relu, linear 300 100, relu, linear 100 10"
DIGITS_CNN = "conv 1 8 3 {0}, relu, pool, conv 8 16 3 {0}, relu, {1}flatten, linear {2} 10"
LENET_5 = "conv 1 20 5 0, relu, pool, conv 20 50 5 0, relu, pool, flatten, linear 800 500, relu, linear 500 10"
OPTIMIZERS: dict[str, Callable[..., nn.Optimizer]] = {"SGD": nn.SGD, "Adam": nn.Adam}
TORCH: dict[str, dict[str, bool]] = {
    "PyTorch eager": {},
    "PyTorch fused": {"fused": True},
    "channels_last": {"channels_last": True},
    "channels_last fused": {"channels_last": True, "fused": True},
}
OURS: dict[str, Callable[..., nn.Layer]] = {
    "linear": lambda a, b, **kwargs: nn.Linear(a, b, **kwargs),
    "conv": lambda a, b, k, p, **kwargs: nn.Conv2d(a, b, k, padding=p, **kwargs),
    "relu": lambda **_: nn.ReLU(),
    "pool": lambda **_: nn.MaxPool2d(),
    "flatten": lambda **_: nn.Flatten(),
}


def network(text: str, kinds: dict[str, Callable[..., Any]], **kwargs: Any) -> list[Any]:
    """The layers that a text names: "linear 64 10" is kinds["linear"](64, 10, **kwargs)."""
    layers = [layer.split() for layer in text.split(",")]
    return [kinds[kind](*map(int, sizes), **kwargs) for kind, *sizes in layers]


def batch_of(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs (N, ...) and labels 0 .. 9."""
    rng = np.random.default_rng(0)
    return rng.random(shape, dtype=np.float32), rng.integers(0, 10, shape[0])


def our_step(text: str, shape: Shape, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[[], None]:
    x, labels = batch_of(shape)
    x = x.astype(dtype)
    model = nn.Sequential(network(text, OURS, rng=np.random.default_rng(0), dtype=dtype))
    update = OPTIMIZERS[optimizer](model.parameters(), 1e-3)

    def step() -> None:
        _, dy = nn.cross_entropy(model.forward(x), labels)
        model.learn(dy)
        update.step()

    return step


def torch_step(text: str, shape: Shape, optimizer: str = "SGD", fused: bool = False,
               channels_last: bool = False) -> Callable[[], None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = torch.nn
    kinds = {"linear": layer.Linear, "conv": lambda a, b, k, p: layer.Conv2d(a, b, k, padding=p), "relu": layer.ReLU,
             "pool": lambda: layer.MaxPool2d(2), "flatten": layer.Flatten}
    model = layer.Sequential(*network(text, kinds))
    x, labels = map(torch.from_numpy, batch_of(shape))
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    momentum = {"momentum": 0.9} if optimizer == "SGD" else {}
    update = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3, fused=fused or None, **momentum)

    def step() -> None:
        update.zero_grad()
        layer.functional.cross_entropy(model(x), labels).backward()
        update.step()

    return step


def sklearn_step(text: str, shape: Shape, optimizer: str, batch: int) -> Callable[[], Any]:
    """partial_fit, the only way to a single step there (where all rows are one batch); it checks its inputs."""
    hidden = tuple(int(layer.split()[2]) for layer in text.split(",") if "linear" in layer)[:-1]
    x, labels = batch_of(shape)
    model = MLPClassifier(hidden, solver=optimizer.lower(), alpha=0, batch_size=batch, random_state=0,
                          nesterovs_momentum=False, learning_rate_init=1e-3)
    return lambda: model.partial_fit(x, labels, classes=np.arange(10))


def products(text: str, shape: Shape) -> Callable[[], None]:
    """The matrix products of a step and nothing else: what no implementation in NumPy can undercut.

    A layer with W (O, K) and M columns has W X (O, M), its gradient dY Xᵀ and, but for the first layer, Wᵀ dY.
    """
    x, _ = batch_of(shape)
    calls: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for layer in network(text, OURS, rng=0, dtype=np.float32):
        x = layer.forward(x)
        if isinstance(layer, nn.Linear | nn.Conv2d):
            W = layer.weight.data.reshape(len(layer.weight.data), -1)
            dY = np.zeros((len(W), x.size // len(W)), np.float32)
            X = np.zeros((W.shape[1], dY.shape[1]), np.float32)
            calls += [(W, X, dY.copy()), (dY, X.T, W.copy())] + [(W.T, dY, X.copy())] * bool(calls)

    def multiply() -> None:
        for a, b, out in calls:
            np.matmul(a, b, out=out)

    return multiply


def step_job(name: str, text: str, shape: Shape, targets: dict[str, float], optimizer: str = "SGD") -> Job:
    """A training step against PyTorch as it comes, with its fused optimizer and, for images, channels last."""

    def make() -> Contenders:
        contenders: Contenders = {"ours": our_step(text, shape, optimizer)}
        images = len(shape) == 4
        for peer, settings in TORCH.items():
            if torch and (images or "channels_last" not in settings):
                contenders[peer] = torch_step(text, shape, optimizer, **settings)
        if MLPClassifier and not images:
            contenders["scikit-learn"] = sklearn_step(text, shape, optimizer, shape[0])
        contenders["matrix products"] = products(text, shape)
        return contenders

    return Job(f"{name}, {optimizer}, batch {shape[0]}", make, targets)


def epoch_job(optimizer: str) -> Job:
    """LeNet-300-100 for an epoch of 20 batches of 60: nn.train against partial_fit on all of them at once."""
    shape = (1200, 784)
    samples = batch_of(shape)

    def make() -> Contenders:
        model = nn.Sequential(network(LENET_300_100, OURS, rng=np.random.default_rng(0), dtype=np.float32))
        update = OPTIMIZERS[optimizer](model.parameters(), 1e-3)
        contenders: Contenders = {"ours": lambda: list(nn.train(model, update, samples, epochs=1, rng=0, batch=60,
                                                                progress=False))}
        if MLPClassifier:
            contenders["scikit-learn"] = sklearn_step(LENET_300_100, shape, optimizer, 60)
        return contenders

    return Job(f"LeNet-300-100, {optimizer}, an epoch of 1,200", make, {})


def grid_job(name: str, text: str, shape: Shape, target: float | None) -> Job:
    """float64 on the gradient grid, as in the lessons, against float32."""
    targets = {} if target is None else {"ours, float32": target}
    return Job(f"{name}, float64 on the grid, batch {shape[0]}", lambda: {
        "ours": our_step(text, shape, dtype=np.float64), "ours, float32": our_step(text, shape)}, targets)


def jobs() -> Iterator[Job]:
    for optimizer, batch, eager, fused in (("SGD", 60, 1.25, 1.15), ("SGD", 128, 1.15, 1.1), ("Adam", 60, 1.3, 1.0),
                                           ("Adam", 128, 1.3, 1.0)):
        targets = {"PyTorch eager": eager, "PyTorch fused": fused, "scikit-learn": 2.0}
        yield step_job("LeNet-300-100", LENET_300_100, (batch, 784), targets, optimizer)
    yield from map(epoch_job, OPTIMIZERS)
    for optimizer in OPTIMIZERS:
        yield step_job("digits MLP", DIGITS_MLP, (32, 64), {"PyTorch eager": 4.0}, optimizer)
    targets = {"PyTorch eager": 4.0, "channels_last": 4.0}
    yield step_job("digits CNN, valid", DIGITS_CNN.format(0, "", 16), (32, 1, 8, 8), targets)
    yield step_job("digits CNN, padded", DIGITS_CNN.format(1, "pool, ", 64), (32, 1, 8, 8), targets)
    yield step_job("LeNet-5", LENET_5, (64, 1, 28, 28), {"PyTorch eager": 1.2})
    yield grid_job("digits MLP", DIGITS_MLP, (32, 64), 1 / 1.4)
    yield grid_job("LeNet-300-100", LENET_300_100, (60, 784), None)
