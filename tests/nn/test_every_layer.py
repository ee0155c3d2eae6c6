"""What holds for every layer in every configuration: its gradients, its manners with memory, its state."""

import copy
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import StateError

IMAGES = (3, 4, 7, 6)  # N, C, H, W: a batch, channels, height and width that differ
TRAINING, EVALUATION = True, False


def conv(n_in: int, n_out: int, kernel: Any, rng: int = 0, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel, rng=rng, **options)


def switch(index: int) -> nn.Switch:
    return nn.Switch([nn.BatchNorm(4), nn.Sequential([nn.Gate(4), nn.Tanh()])], nn.Selector(index))


def exits() -> nn.MultiExit:
    """The first exit is the identity; the second stage reads what the first exit shows."""
    return nn.MultiExit([nn.Linear(5, 4, rng=1), nn.Sequential([nn.Tanh(), nn.Linear(4, 4, rng=2)])],
                        [nn.Sequential([]), nn.Linear(4, 2, rng=3)])


def configurations() -> Iterator[tuple[str, Callable[[], nn.Layer], tuple[int, ...], bool]]:
    """(name, what makes the layer, shape of x, training) for every layer."""
    for bias in (True, False):
        yield f"Linear bias={bias}", functools.partial(nn.Linear, 5, 3, bias=bias, rng=0), (4, 5), TRAINING
    for kernel, stride, padding, groups, bias in itertools.product(
            (1, 3, (2, 3)), (1, 2, (2, 1)), (0, 1, (0, 2)), (1, 2, "channels"), (True, False)):
        options = {"stride": stride, "padding": padding, "groups": groups, "bias": bias}
        n_out = 4 if groups == "channels" else 6
        make = functools.partial(conv, 4, n_out, kernel, **options)
        yield f"Conv2d kernel={kernel} {options}", make, IMAGES, TRAINING
    for kind, (kernel, stride) in itertools.product(
            (nn.MaxPool2d, nn.AvgPool2d), ((2, None), (3, 1), (3, 2), (2, 3), ((2, 3), (1, 2)), (1, 2), (4, 3))):
        yield f"{kind.__name__} {kernel} {stride}", functools.partial(kind, kernel, stride), IMAGES, TRAINING
    yield "GlobalAvgPool", nn.GlobalAvgPool, IMAGES, TRAINING
    for kind, shape in itertools.product((nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Flatten), ((4, 5), IMAGES)):
        yield f"{kind.__name__} {len(shape)}-D", kind, shape, TRAINING
    for shape, training in itertools.product(((6, 4), IMAGES), (TRAINING, EVALUATION)):
        name = f"{len(shape)}-D training={training}"
        yield f"Dropout {name}", lambda: nn.Dropout(0.3, rng=0), shape, training
        yield f"BatchNorm {name}", lambda: nn.BatchNorm(4), shape, training
        yield f"Gate {name}", lambda: nn.Gate(4), shape, training
        yield f"Switch {name}", lambda: switch(1), shape, training
        yield f"ChannelShuffle {name}", lambda: nn.ChannelShuffle(2), shape, training
    yield "Switch, first", lambda: switch(0), (6, 4), TRAINING
    yield "Sequential, empty", lambda: nn.Sequential([]), (4, 5), TRAINING
    yield ("Sequential", lambda: nn.Sequential([nn.Linear(5, 6, rng=1), nn.ReLU(), nn.Dropout(0.5, rng=2),
                                                nn.Linear(6, 2, rng=3)]), (4, 5), TRAINING)
    yield ("Sequential of images", lambda: nn.Sequential([conv(4, 3, 3), nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(2),
                                                          nn.Flatten(), nn.Linear(12, 2, rng=1)]), IMAGES, TRAINING)
    yield "Residual", lambda: nn.Residual(nn.Sequential([nn.ReLU(), conv(4, 4, 3, padding=1)])), IMAGES, TRAINING
    yield "Residual, shortcut", lambda: nn.Residual(conv(4, 2, 3, 1, padding=1), conv(4, 2, 1, 2)), IMAGES, TRAINING
    yield "Concat", lambda: nn.Concat([conv(4, 2, 1), conv(4, 3, 3, padding=1), nn.Sequential([])]), IMAGES, TRAINING
    yield "Concat 2-D", lambda: nn.Concat([nn.Tanh(), nn.Linear(5, 2, rng=1)]), (4, 5), TRAINING
    yield "MultiExit", exits, (4, 5), TRAINING


class Case(NamedTuple):
    make: Callable[[], nn.Layer]
    shape: tuple[int, ...]
    training: bool

    def drawn(self, rng: np.random.Generator) -> tuple[nn.Layer, np.ndarray, Any]:
        """A layer, x and dy. Parameters are random: the ones and zeros that some have at first would hide mistakes."""
        layer, x = self.make(), rng.uniform(-2, 2, self.shape)
        for p in layer.parameters():
            p.data[...] = rng.uniform(0.5, 1.5, p.data.shape) * np.sign(p.data + 0.1)
        dys = tuple(rng.uniform(-1, 1, part.shape) for part in self.forward(layer, x))
        return layer, x, together(dys)

    def forward(self, layer: nn.Layer, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """The outputs of a pass before which everything that a pass changes is set back."""
        layer.train(self.training)
        for _, node in layer.walk():
            if isinstance(node, nn.Dropout):
                node.rng = np.random.default_rng(7)
            if isinstance(node, nn.BatchNorm):
                node.mean[...], node.variance[...] = 0.25, 1.5
        return parts(layer.forward(x))

    def gradients(self, layer: nn.Layer, x: np.ndarray, dy: Any, learn: bool = False) -> list[np.ndarray]:
        """The gradients of all parameters, after that of x unless the layer only learns."""
        self.forward(layer, x)
        for p in layer.parameters():
            p.clear()
        dx = [layer.learn(dy)][:0] if learn else [layer.backward(dy)]
        return dx + [p.grad.copy() for p in layer.parameters()]


def parts(y: Any) -> tuple[np.ndarray, ...]:
    return y if isinstance(y, tuple) else (y,)


def together(ys: tuple[np.ndarray, ...]) -> Any:
    return ys if len(ys) > 1 else ys[0]


CASES = {name: Case(*rest) for name, *rest in configurations()}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def slope(f: Callable[[float], float], h: float) -> float:
    """f'(0) by the four-point stencil, whose error is of order h⁴."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def gradient_errors(case: Case, rng: np.random.Generator) -> list[float]:
    """Relative errors of the derivatives along random directions; none where a kink is nearer than the steps."""
    layer, x, dy = case.drawn(rng)
    arrays, errors = [x, *(p.data for p in layer.parameters())], []
    for array, gradient in zip(arrays, case.gradients(layer, x, dy), strict=True):
        start, v = array.copy(), rng.uniform(-1, 1, array.shape)

        def along(t: float, array: np.ndarray = array, start: np.ndarray = start, v: np.ndarray = v) -> float:
            array[...] = start + t * v
            value = sum(float((d * y).sum()) for d, y in zip(parts(dy), case.forward(layer, x), strict=True))
            array[...] = start
            return value

        numeric = slope(along, 1e-3)
        scale = max(abs(numeric), 1e-3)  # some are zero: a bias before batch norm, a branch not in force
        if abs(numeric - slope(along, 5e-4)) > 1e-9 * scale:
            return []
        errors.append(abs(numeric - float((gradient * v).sum())) / scale)
    return errors


@every
def test_gradients_are_the_derivatives(case: Case) -> None:
    rng = np.random.default_rng(1)
    errors = next(filter(None, (gradient_errors(case, rng) for _ in range(100))))
    assert max(errors) < 1e-7


@every
def test_learn_gives_the_gradients_of_backward(case: Case) -> None:
    layer, x, dy = case.drawn(np.random.default_rng(2))
    _, *expected = case.gradients(layer, x, dy)
    for gradient, same in zip(case.gradients(layer, x, dy, learn=True), expected, strict=True):
        np.testing.assert_array_equal(gradient, same)


def memories(x: np.ndarray) -> Iterator[np.ndarray]:
    """x in other orders of memory, all of them read-only: a layer that writes into its input fails."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]))
    wide[..., ::2] = x
    swapped = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    for copied in (x.copy(), np.asfortranarray(x), swapped, wide[..., ::2], x[::-1].copy()[::-1]):
        copied.flags.writeable = False
        yield copied


@every
def test_memory_order_does_not_matter(case: Case) -> None:
    layer, x, dy = case.drawn(np.random.default_rng(3))
    expected = [y.copy() for y in case.forward(layer, x)] + case.gradients(layer, x, dy)
    for other, *ds in zip(memories(x), *map(memories, parts(dy)), strict=True):
        got = [*case.forward(layer, other), *case.gradients(layer, other, together(tuple(ds)))]
        for one, same in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-12, atol=1e-12)


@every
def test_float32_stays_float32(case: Case) -> None:
    layer, x, dy = case.drawn(np.random.default_rng(4))
    for _, node in layer.walk():
        for name, value in vars(node).items():
            if isinstance(value, np.ndarray):
                setattr(node, name, value.astype(np.float32))
    ys = case.forward(layer, x.astype(np.float32))
    gradients = case.gradients(layer, x.astype(np.float32), together(tuple(d.astype(np.float32) for d in parts(dy))))
    assert {a.dtype for a in [*ys, *gradients]} == {np.dtype(np.float32)}


@every
def test_a_copy_is_independent(case: Case) -> None:
    layer, x, _ = case.drawn(np.random.default_rng(5))
    twin = copy.deepcopy(layer)
    before = [y.copy() for y in case.forward(layer, x)]
    for p in twin.parameters():
        p.data += 1
    for y, same in zip(case.forward(layer, x), before, strict=True):
        np.testing.assert_array_equal(y, same)
    twin.restore(layer.state())
    for y, same in zip(case.forward(twin, x), before, strict=True):
        np.testing.assert_array_equal(y, same)


@every
def test_forward_and_backward_alternate(case: Case) -> None:
    layer, x, dy = case.drawn(np.random.default_rng(6))
    if not [node for _, node in layer.walk() if isinstance(node, nn.Layer) and node.saved is not None]:
        return  # the empty Sequential keeps nothing
    with pytest.raises(StateError, match="before its forward"):
        case.make().backward(dy)
    layer.train()
    layer.forward(x)
    with pytest.raises(StateError, match="called twice"):
        layer.forward(x)
    layer.train()  # forgets the pass whose backward never came
    layer.backward(layer.forward(x))
    layer.forward(x)
    layer.train(False)
    assert [layer.forward(x) for _ in range(3)]
