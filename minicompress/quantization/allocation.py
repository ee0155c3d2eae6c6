"""Lecture 10: bit allocation. How many bits for which layer?

    E(l, b) = the error when the weights of layer l alone share 2ᵇ numbers, without training

Han, Mao and Dally 2016 (table 6) give AlexNet's convolutions 8 bits and its linear layers 5. Here a greedy choice: all
layers start with many bits; then, again and again, the layer gives up a bit whose loss rises least for each bit of
storage saved, as long as the loss stays within a limit. Measure on validation images.

Not here: training between the choices, which no choice can foresee.
"""

import copy
from collections.abc import Callable, Sequence

from ..errors import RangeError, ShapeError
from ..inputs import as_integer, as_number
from ..nn import Layer, Parameter
from .sharing import Codebook, share_together, shared_bits

Measure = Callable[[Layer], float]


def share_layers(model: Layer, bits: int | Sequence[int | None], init: str = "linear") -> Layer:
    """A copy of the model whose weights share at most 2ᵇ numbers each.

    bits: one b for all, or one for each; None: not shared. 1 number for all weights is `share(weight, 1)`.
    Raises ShapeError where there are more or fewer than weights, RangeError outside 1 .. 16, and what `share` raises.
    """
    model = copy.deepcopy(model)
    weights = model.weights()
    chosen = list(bits) if isinstance(bits, Sequence) else [bits] * len(weights)
    if len(chosen) != len(weights):
        raise ShapeError(f"there are {len(chosen)} numbers of bits for {len(weights)} weights; allowed: one each.")
    for weight, b in zip(weights, chosen, strict=True):
        if b is not None:
            share_together([weight], 2 ** as_integer(b, "bits", 1, 16), init)
    return model


def stored_bits(model: Layer) -> int:
    """Σ (n ⌈log₂K⌉ + 32 K) over the shared weights: codes of fixed width, and numbers in single precision."""
    books = [(p.parametrizations[0], p.data.size) for p in model.weights() if p.parametrizations]
    return sum(shared_bits(book.codes.size, k) for book, k in books if isinstance(book, Codebook))


def sensitivity(model: Layer, bits: Sequence[int], measure: Measure) -> dict[str, list[float]]:
    """Path of each weight → E at each number of bits."""
    weights = model.weights()
    paths = [path for path, node in model.walk() if isinstance(node, Parameter) and node in weights]
    return {path: [measure(share_layers(model, [b if i == j else None for j in range(len(paths))])) for b in bits]
            for i, path in enumerate(paths)}


def allocate(model: Layer, limit: float, measure: Measure, *, most: int = 6) -> list[int]:
    """Bits for each weight such that measure(share_layers(model, bits)) ≤ limit, by the greedy choice from `most` down.

    Of two equal choices, the layer that comes first. Raises RangeError where `most` bits for all are above the limit.
    """
    limit, bits = as_number(limit, "limit"), [as_integer(most, "most", 1, 16)] * len(model.weights())
    shared = share_layers(model, bits)
    loss, size = measure(shared), stored_bits(shared)
    if not loss <= limit:  # NaN, too
        raise RangeError(f"with {most} bits for all, the loss is {loss:g}; allowed: at most {limit:g}. Hint: a larger "
                         f"limit, or more bits.")
    while True:
        tries = []
        for i in (i for i, b in enumerate(bits) if b > 1):
            shared = share_layers(model, [b - (i == j) for j, b in enumerate(bits)])
            value, smaller = measure(shared), stored_bits(shared)
            if value <= limit:
                tries.append(((value - loss) / max(size - smaller, 1), i, value, smaller))
        if not tries:
            return bits
        _, i, loss, size = min(tries)
        bits[i] -= 1
