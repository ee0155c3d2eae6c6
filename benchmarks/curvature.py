"""Second derivatives on LeNet-300-100 in float32: against a gradient here, against per-sample gradients in PyTorch.

Curvature: the loss's second derivatives and one pass back, after the forward pass that it shares with the gradient. A
gradient is forward, loss and backward.

Diagonal Fisher, F = 1/N Σ_n (∂E_n/∂w)²: forward, loss and backward on both sides, and the same numbers. PyTorch makes
N gradients by vmap(grad), squares them and takes the mean. A linear layer needs none of them: (dy ∘ dy)ᵀ (x ∘ x). Few
lines over the layers here; the library has no use for it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicompress import nn
from minicompress.pruning import curvature

from .timing import Contenders, Job
from .training import LENET_300_100, OURS, batch_of, network

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]


def our_model() -> nn.Sequential:
    model = nn.Sequential(network(LENET_300_100, OURS, rng=np.random.default_rng(0), dtype=np.float32))
    model.train(False)
    return model


def our_gradient(batch: int) -> Callable[[], None]:
    (x, labels), model = batch_of((batch, 784)), our_model()

    def gradient() -> None:
        _, dy = nn.cross_entropy(model.forward(x), labels)
        model.learn(dy)
        for parameter in model.parameters():
            parameter.clear()

    return gradient


def our_curvature(batch: int, second_derivative: bool) -> Callable[[], Any]:
    (x, labels), model = batch_of((batch, 784)), our_model()
    y = model.forward(x)

    def second() -> None:
        ds = [curvature.LOSSES[nn.cross_entropy](y, labels)]
        if second_derivative:
            ds.append(nn.cross_entropy(y, labels)[1])
        curvature.back(model, ds, {}, False)

    return second


def our_fisher(batch: int) -> Callable[[], list[np.ndarray]]:
    """Each call gives F of all parameters."""
    (x, labels), model = batch_of((batch, 784)), our_model()

    def fisher() -> list[np.ndarray]:
        _, d = nn.cross_entropy(model.forward(x), labels)
        d, found = d * d.dtype.type(batch), []
        for layer in reversed(model.layers):
            if isinstance(layer, nn.Linear):
                (inputs, W), squares = layer.saved, d * d / d.dtype.type(batch)
                found += [squares.sum(0), squares.T @ (inputs * inputs)]
                d = (W.T @ d.T).T if layer is not model.layers[0] else d
            else:
                d = layer.backward(d)
        return found[::-1]

    return fisher


def torch_fisher(batch: int) -> Callable[[], list[Any]]:
    torch.set_num_threads(1)
    layer = torch.nn
    model = layer.Sequential(*network(LENET_300_100, {"linear": layer.Linear, "relu": layer.ReLU}))
    for ours, theirs in zip(our_model().parameters(), model.parameters(), strict=True):
        theirs.data = torch.from_numpy(ours.data)
    x, labels = map(torch.from_numpy, batch_of((batch, 784)))
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters: dict[str, Any], x: Any, label: Any) -> Any:
        y = torch.func.functional_call(model, parameters, (x[None],))
        return layer.functional.cross_entropy(y, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: [g.square().mean(0) for g in gradients(parameters, x, labels).values()]


def curvature_job(batch: int, second_derivative: bool, target: float | None) -> Job:
    form = "curvature" if second_derivative else "curvature, Gauss-Newton"
    return Job(f"LeNet-300-100, {form}, batch {batch}", lambda: {
        "ours": our_curvature(batch, second_derivative), "a gradient, ours": our_gradient(batch)},
        {} if target is None else {"a gradient, ours": target})


def fisher_job(batch: int) -> Job:
    def make() -> Contenders:
        peers: Contenders = {"PyTorch vmap(grad)": torch_fisher(batch)} if torch else {}
        return {"ours": our_fisher(batch), **peers}

    return Job(f"LeNet-300-100, diagonal Fisher, batch {batch}", make, {"PyTorch vmap(grad)": 40.0})


def jobs() -> Iterator[Job]:
    for batch in (60, 128):
        yield curvature_job(batch, True, 1 / 0.7)
    yield curvature_job(60, False, 1 / 0.7)
    yield fisher_job(60)
