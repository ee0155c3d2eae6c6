"""What a layer is, and the first two: Linear and Flatten.

Shapes are (N, features) and (N, C, H, W). In memory the batch is innermost, (features, N) and (C, H, W, N) seen through
a transpose, so that each inner loop of NumPy runs over the batch. One rule about sharing: a layer may write in place
only into arrays that it has made itself during the same call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError, StateError
from ..inputs import as_choice, as_generator, as_integer
from .node import Node
from .parameter import Parameter

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
        """Only the gradients of the parameters: for a first layer, of whose input nobody needs the gradient."""
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
    """W ~ U(-a, a),  a = sqrt(gain / fan_in)      variance a² / 3

    gain 6: variance 2 / fan_in, He initialization in its uniform form (He et al. 2015, section 2.2)

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
            hint = "x[None] for one sample" if x.ndim < 2 else "images become rows by Flatten() or .reshape(len(x), -1)"
            raise ShapeError(f"{self!r} got x of shape {x.shape}; allowed: (N, {W.shape[1]}). Hint: {hint}.")
        b = None if self.bias is None else self.bias.forward()
        if b is not None and len(b) != len(W):
            self.validate()
        self.save(x, W)
        yT = W @ x.T
        if b is not None:
            yT += b[:, None]
        return yT.T

    def learn(self, dy: np.ndarray) -> None:
        x, _ = self.recall()
        self.weight.backward_matmul(dy.T, x)
        if self.bias is not None:
            self.bias.backward_matmul(dy.T, np.ones(len(dy), dy.dtype))

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


class Flatten(Layer):
    """y[n] = x[n] as one row      x (N, C, H, W)   y (N, C H W)   saved: the shape of x"""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.save(x.shape)
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        (shape,) = self.recall()
        return dy.reshape(shape)
