"""Layers that work on one sample at a time: Linear, activations, Flatten, Dropout, Gate, and batch normalization.

Shapes are (N, features) and (N, C, H, W). In memory the batch is innermost, (features, N) and (C, H, W, N) seen through
a transpose, so that each inner loop of NumPy runs over the batch. One rule about sharing: a layer may write in place
only into arrays that it has made itself during the same call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError, StateError
from ..inputs import as_choice, as_generator, as_integer, as_number
from .grid import to_grid
from .parameter import Node, Parameter

Seed = int | np.random.Generator


class Layer(Node):
    """y = forward(x),   dx = backward(dy)

    saved: what the last forward pass kept for the backward pass, as each layer documents. In training mode a second
    forward before the backward raises StateError, because it would overwrite `saved`; evaluation mode never raises.
    """

    saved: Any = None
    pending: bool = False  # a forward pass in training mode waits for its backward pass

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Add the gradients of the parameters to their `grad`, and return the gradient of the input."""
        raise NotImplementedError

    def learn(self, dy: np.ndarray) -> None:
        """backward(dy) for a first layer: nobody needs the gradient of the input."""
        self.backward(dy)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)

    def save(self, *values: Any) -> None:
        """Keep what the backward pass needs."""
        if self.pending and self.training:
            raise StateError(f"{self!r} was called twice before its backward pass; allowed in training mode: once. "
                             f"Hint: model.train(False) before an evaluation.")
        self.saved, self.pending = values, True

    def recall(self) -> Any:
        """What the last forward pass kept."""
        if self.saved is None:
            raise StateError(f"backward of {self!r} before its forward; allowed: forward first.")
        self.pending = False
        return self.saved

    def reset(self) -> None:
        self.pending = False

    def parameters(self) -> list[Parameter]:
        """All parameters, each once."""
        return [node for _, node in self.walk() if isinstance(node, Parameter)]

    def weights(self) -> list[Parameter]:
        """The parameters that are called `weight`: those of linear maps and convolutions, without biases and scales."""
        return [node for path, node in self.walk() if isinstance(node, Parameter) and path.split(".")[-1] == "weight"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def uniform_init(shape: tuple[int, ...], fan_in: int, rng: Seed, dtype: Any, gain: float = 6.0) -> np.ndarray:
    """W ~ U(-a, a),  a = sqrt(6 / fan_in)      He initialization in its uniform form (He et al. 2015, section 2.2)

    Uniform, because NumPy's normal deviates use exp and log, which differ from machine to machine.
    """
    limit = np.sqrt(gain / fan_in)
    return as_generator(rng).uniform(-limit, limit, shape).astype(dtype)


class Linear(Layer):
    """y = x Wᵀ + b      x (N, in)   W (out, in)   b (out,)   y (N, out)

    init "he" (variance 2 / in) or "glorot" (2 / (in + out); Glorot & Bengio 2010, eq. 16).   saved: x, W
    Raises ShapeError for an x of another width, RangeError for sizes below 1.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, n_in: int, n_out: int, *, rng: Seed, bias: bool = True, init: str = "he",
                 dtype: Any = np.float64) -> None:
        n_in, n_out = as_integer(n_in, "n_in", 1), as_integer(n_out, "n_out", 1)
        fan = n_in if as_choice(init, "init", ["he", "glorot"]) == "he" else n_in + n_out
        self.weight = Parameter(uniform_init((n_out, n_in), fan, rng, dtype))
        self.bias = Parameter(np.zeros(n_out, dtype)) if bias else None

    def forward(self, x: np.ndarray) -> np.ndarray:
        W = self.weight.forward()
        if x.ndim != 2 or x.shape[1] != W.shape[1]:
            raise ShapeError(f"{self!r} got x of shape {x.shape}; allowed: (N, {W.shape[1]}). "
                             f"Hint: images become rows by Flatten() or x.reshape(len(x), -1).")
        self.save(x, W)
        yT = W @ x.T
        if self.bias is not None:
            yT += self.bias.forward()[:, None]
        return yT.T

    def learn(self, dy: np.ndarray) -> None:
        x, _ = self.recall()
        self.weight.backward_matmul(dy.T, x)
        if self.bias is not None:
            self.bias.backward(dy.T @ np.ones(len(dy), dy.dtype))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.learn(dy)
        _, W = self.saved
        return (W.T @ dy.T).T  # this order keeps the batch innermost in memory

    def validate(self) -> None:
        shape = self.weight.shape
        if len(shape) != 2 or (self.bias is not None and self.bias.shape != shape[:1]):
            raise ShapeError(f"a linear layer has weight {shape} and bias {self.bias and self.bias.shape}; "
                             f"allowed: (out, in) and (out,).")

    def __repr__(self) -> str:
        return "Linear({1} → {0})".format(*self.weight.shape)


class ReLU(Layer):
    """y = max(x, 0),   dx = dy [y > 0]      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = np.maximum(x, 0)
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (y > 0)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)),   dx = dy y (1 - y)      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = 0.5 + 0.5 * np.tanh(0.5 * x)  # the same function, without overflow
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (y * (1 - y))


class Tanh(Layer):
    """y = tanh(x),   dx = dy (1 - y²)      any shape   saved: y"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = np.tanh(x)
        self.save(y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (y,) = self.recall()
        return dy * (1 - y * y)


class Sign(Layer):
    """y = +1 where x ≥ 0, else -1;   dx = dy [|x| ≤ 1]      any shape   saved: x

    The derivative is zero almost everywhere; the straight-through rule replaces it by that of the hard tanh
    (Hubara et al. 2016, "Binarized Neural Networks", eq. 4).
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x)
        return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (x,) = self.recall()
        return dy * (np.abs(x) <= 1)


class Flatten(Layer):
    """y[n] = x[n] as one row      x (N, C, H, W)   y (N, C H W)   saved: the shape of x"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x.shape)
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (shape,) = self.recall()
        return dy.reshape(shape)


class Dropout(Layer):
    """y = x ∘ m / (1 - p),  m ~ Bernoulli(1 - p) in training;   y = x in evaluation      any shape   saved: m / (1 - p)

    Each layer draws from its own generator (Srivastava et al. 2014, section 10, the scaling at training time).
    Raises RangeError unless 0 ≤ p < 1.
    """

    p: float
    rng: np.random.Generator

    def __init__(self, p: float, *, rng: Seed) -> None:
        self.p, self.rng = as_number(p, "p", 0, below=1), as_generator(rng)

    def forward(self, x: np.ndarray) -> np.ndarray:
        if not self.training:
            self.save(x.dtype.type(1))
            return x
        kept = self.rng.random(x.shape[::-1]).T >= self.p
        factor = kept * x.dtype.type(1 / (1 - self.p))
        self.save(factor)
        return x * factor

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (factor,) = self.recall()
        return dy * factor

    def validate(self) -> None:
        as_number(self.p, "p", 0, below=1)


def per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """values (C,) in a shape that multiplies x (N, C) or (N, C, H, W) channel by channel."""
    if x.ndim not in (2, 4) or x.shape[1] != len(values):
        raise ShapeError(f"x has shape {x.shape}; allowed: (N, {len(values)}) or (N, {len(values)}, H, W).")
    return values.reshape((-1,) + (1,) * (x.ndim - 2))


class Gate(Layer):
    """y[n, c] = g[c] x[n, c]      x (N, C) or (N, C, H, W)   g (C,), ones at first   saved: x, g in x's shape

    A gate changes nothing until it is trained or read: dg is how the loss would react to closing channel c.
    """

    gate: Parameter

    def __init__(self, channels: int, dtype: Any = np.float64) -> None:
        self.gate = Parameter(np.ones(as_integer(channels, "channels", 1), dtype))

    def forward(self, x: np.ndarray) -> np.ndarray:
        g = per_channel(self.gate.forward(), x)
        self.save(x, g)
        return x * g

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x, g = self.recall()
        self.gate.backward((dy * x).sum((0, 2, 3)[: x.ndim - 1]))
        return dy * g


class BatchNorm(Layer):
    """y = γ x̂ + β,  x̂ = (x - μ) / sqrt(σ² + ε)      x (N, C) or (N, C, H, W)   γ, β (C,)

    μ and σ² are those of the batch in training, the running ones in evaluation; running ← momentum · running +
    (1 - momentum) · batch, rounded to `grid` (Ioffe & Szegedy 2015, algorithms 1 and 2).   saved: x̂, γ / sqrt(σ² + ε)
    """

    scale: Parameter
    shift: Parameter
    mean: np.ndarray
    variance: np.ndarray
    momentum: float
    eps: float
    grid: float

    def __init__(self, channels: int, *, momentum: float = 0.9, eps: float = 1e-5, grid: float = 2.0**-20,
                 dtype: Any = np.float64) -> None:
        C = as_integer(channels, "channels", 1)
        self.scale, self.shift = Parameter(np.ones(C, dtype)), Parameter(np.zeros(C, dtype))
        self.mean, self.variance = np.zeros(C, dtype), np.ones(C, dtype)
        self.momentum, self.eps = as_number(momentum, "momentum", 0, below=1), as_number(eps, "eps", above=0)
        self.grid = as_number(grid, "grid", 0)

    def forward(self, x: np.ndarray) -> np.ndarray:
        gamma, beta = per_channel(self.scale.forward(), x), per_channel(self.shift.forward(), x)
        if self.training:
            axes = (0, 2, 3)[: x.ndim - 1]
            mean, variance = x.mean(axes), x.var(axes)
            for running, batch in ((self.mean, mean), (self.variance, variance)):
                running[...] = to_grid(self.momentum * running + (1 - self.momentum) * batch, self.grid)
        else:
            mean, variance = self.mean, self.variance
        factor = 1 / np.sqrt(variance + x.dtype.type(self.eps))
        normal = (x - per_channel(mean, x)) * per_channel(factor, x)
        self.save(normal, gamma * per_channel(factor, x))
        return normal * gamma + beta

    def backward(self, dy: np.ndarray) -> np.ndarray:
        normal, factor = self.recall()
        axes = (0, 2, 3)[: dy.ndim - 1]
        dshift, dscale = dy.sum(axes), (dy * normal).sum(axes)
        self.shift.backward(dshift)
        self.scale.backward(dscale)
        if not self.training:
            return dy * factor
        n = dy.size // len(dshift)
        return factor * (dy - per_channel(dshift / n, dy) - normal * per_channel(dscale / n, dy))

    def validate(self) -> None:
        sizes = {self.scale.shape, self.shift.shape, self.mean.shape, self.variance.shape}
        if len(sizes) > 1 or len(self.mean.shape) != 1:
            raise ShapeError(f"a batch norm's arrays have shapes {sorted(sizes)}; allowed: (C,) for all four.")
        if not (self.variance >= 0).all():
            raise RangeError("a batch norm's running variance is negative; allowed: ≥ 0.")
        as_number(self.eps, "eps", above=0)
