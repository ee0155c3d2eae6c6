"""Lecture 07: rethinking the value of pruning. Is a small network better for having come out of a large one?

    pruned       train the large network for E epochs, cut it, fine-tune what is left
    Scratch-E    the same small network from new random weights, trained for E epochs
    Scratch-B    ... for E M / m epochs, with as many multiplications      M, m: those of the large and the small one

(Liu, Sun, Zhou, Huang & Darrell 2019, "Rethinking the Value of Network Pruning", section 3.) Their Scratch-B on
ImageNet stops at 2 E epochs; that on CIFAR, in their code, does not. The same question for lottery tickets (section 6):
is the original start better than a random one, at which learning rate, with which mask?

Not here: what the search for a small network costs, beyond counting it (lecture), and other ways to choose its shape.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import RangeError, StateError
from ..inputs import as_choice, as_fraction, as_generator, as_integer, as_number
from ..nn import BatchNorm, Conv2d, Layer, Linear, Parameter
from ..nn.layers import Seed, uniform_init
from ..pruning.importance import incoming_norm
from ..pruning.magnitude import keep_largest, kept_count
from ..pruning.masks import Masked, apply_mask
from ..pruning.structured import prune_units
from ..pruning.surgery import remove_units
from .tickets import Fit, chosen_rounds, find_tickets, masked

Cut = Callable[[Layer], None]  # removes the same from every network of one shape, in place
Find = Callable[[Layer], Cut]  # looks at a trained network


def norm_of_units(model: Layer, path: str) -> np.ndarray:
    """The L1 norm of each unit's incoming weights, the criterion of Li et al. 2017."""
    layer: Any = dict(model.walk())[path]
    return incoming_norm(layer.weight.forward())


def find_units(fraction: float, *, scope: str = "layerwise") -> Find:
    """Neurons and filters: the `fraction` of the lowest norms, of each layer or (scope "global") of all together.

    Raises RangeError at once, before anything is trained.
    """
    fraction, scope = as_fraction(fraction, "fraction"), as_choice(scope, "scope", ["layerwise", "global"])

    def find(trained: Layer) -> Cut:
        kept = prune_units(copy.deepcopy(trained), fraction, norm_of_units, scope=scope)

        def cut(model: Layer) -> None:
            for path, mask in kept.items():
                remove_units(model, path, mask)
        return cut
    return find


def find_weights(sparsity: float) -> Find:
    """Single weights: the fraction `sparsity` of each layer with the lowest |w|. What is cut stays behind a mask.

    Raises RangeError at once, before anything is trained; also for 1, which leaves nothing to train.
    """
    if as_fraction(sparsity, "sparsity") == 1:
        raise RangeError("sparsity is 1, which leaves no weight to train; allowed: 0 ≤ sparsity < 1.")

    def find(trained: Layer) -> Cut:
        masks = [keep_largest(np.abs(w.forward()), kept_count(w.forward().size, sparsity)) for w in trained.weights()]

        def cut(model: Layer) -> None:
            for weight, mask in zip(model.weights(), masks, strict=True):
                apply_mask(weight, mask)
        return cut
    return find


def kept(weight: Parameter) -> int:
    """How many entries of a plain or masked weight are not removed.   Raises StateError for other weights."""
    if not weight.parametrizations:
        return int(weight.data.size)
    if len(weight.parametrizations) > 1 or not isinstance(weight.parametrizations[0], Masked):
        raise StateError(f"a weight is made by {weight.parametrizations}; allowed: plain weights and masked ones.")
    return int(np.count_nonzero(weight.parametrizations[0].mask))


def fresh(model: Layer, rng: Seed, *, scaled: bool = False) -> Layer:
    """A copy at a new random start: He's uniform weights, biases 0, batch norm as if new; masks stay.

    scaled: fan-in counts kept weights only, so that the sparse layer passes on the variance that a dense one does; Liu
    et al. do so in their code, with fan-out. Frankle & Carbin's random start draws as for the dense network.
    Raises StateError for weights with another parametrization than a mask.
    """
    model, rng = copy.deepcopy(model), as_generator(rng)
    for _, node in model.walk():
        if isinstance(node, (Linear, Conv2d)):
            shape, left = node.weight.shape, max(kept(node.weight), 1)
            fan_in: Any = left / shape[0] if scaled else int(np.prod(shape[1:]))
            node.weight.data[...] = uniform_init(shape, fan_in, rng, node.weight.data.dtype)
            if node.bias is not None:
                node.bias.data[...] = 0
        elif isinstance(node, BatchNorm):
            node.scale.data[...], node.shift.data[...], node.mean[...], node.variance[...] = 1, 0, 0, 1
    return model


def multiplications(model: Layer, macs: Mapping[str, int]) -> int:
    """Σ MACs · kept / all over the layers      macs: of each path, as the ledger's `layer_macs` counts them

    The ledger counts what runs, zeros included; this is what a sparse product would be left with.
    """
    total = 0
    for path, layer in model.walk():
        if isinstance(layer, (Linear, Conv2d)) and path in macs:
            total += macs[path] * kept(layer.weight) // int(np.prod(layer.weight.shape))
    return total


def matched_epochs(epochs: int, dense: int, small: int, *, cap: float | None = None) -> int:
    """⌊E M / m⌋, and at most cap · E: epochs of the small network for no more multiplications than E of the dense one.

    dense, small: multiplications for one sample, M and m.   Raises RangeError.
    """
    epochs, dense, small = as_integer(epochs, "epochs", 1), as_integer(dense, "dense", 1), as_integer(small, "small", 1)
    matched = epochs * dense // small
    return matched if cap is None else min(matched, int(as_number(cap, "cap", 1) * epochs))


class Arm(NamedTuple):
    """What was trained for how many epochs, how many multiplications a sample costs, and what `measure` said then."""

    epochs: int
    macs: int
    result: Any


QUARTER, TUNED, ORIGINAL, SCRATCH_E, SCRATCH_2E, SCRATCH_B = ARMS = (
    "fine-tuned, E/4", "fine-tuned, E", "original start, E", "Scratch-E", "Scratch-B, at most 2E", "Scratch-B")
LAST_RATE = "fine-tuned, E/4, last rate"


def scratch_or_tune(initial: Layer, find: Find, fit: Callable[[Layer, int], Any], measure: Callable[[Layer], Any],
                    macs: Callable[[Layer], Mapping[str, int]], epochs: int, *, rng: Seed,
                    arms: Iterable[str] = ARMS, go_on: Callable[[Layer, int], Any] | None = None) -> dict[str, Arm]:
    """Train, cut, and train what is left in several ways: "dense", "cut" (not trained on), and the arms.

    initial: an untrained network, which is not changed. fit(model, epochs): trains a model in place, from its first
    epoch to its last, with a new optimizer; each arm goes through the whole schedule of learning rates.
    go_on(model, epochs): trains on at the lowest rate of the schedule, for the arm LAST_RATE, which is how Liu et al.
    fine-tune on CIFAR (in their code, at a hundredth of the first rate, for a quarter of the epochs).
    Raises RangeError for other arms, and for fewer than 1 epoch, before anything is trained.
    """
    allowed = ARMS if go_on is None else (*ARMS, LAST_RATE)
    arms, epochs = [as_choice(arm, "an arm", allowed) for arm in arms], as_integer(epochs, "epochs", 1)
    dense = copy.deepcopy(initial)
    fit(dense, epochs)
    cut = find(dense)
    pruned, ticket = copy.deepcopy(dense), copy.deepcopy(initial)
    cut(pruned)
    cut(ticket)
    large, small = (multiplications(model, macs(model)) for model in (dense, pruned))
    scratch = fresh(pruned, rng, scaled=True)
    plan = {QUARTER: (pruned, epochs // 4), LAST_RATE: (pruned, epochs // 4), TUNED: (pruned, epochs),
            ORIGINAL: (ticket, epochs), SCRATCH_E: (scratch, epochs),
            SCRATCH_2E: (scratch, matched_epochs(epochs, large, small, cap=2)),
            SCRATCH_B: (scratch, matched_epochs(epochs, large, small))}
    done = {"dense": Arm(epochs, large, measure(dense)), "cut": Arm(0, small, measure(pruned))}
    for name in arms:
        start, budget = plan[name]
        model = copy.deepcopy(start)
        (go_on if go_on and name == LAST_RATE else fit)(model, budget)
        done[name] = Arm(budget, small, measure(model))
    return done


class Against(NamedTuple):
    """A ticket after training, and its mask with two random starts: as for the dense layer, and scaled (`fresh`)."""

    density: float
    ticket: Any
    random: Any
    scaled: Any


def against_random(initial: Layer, fit: Fit, measure: Callable[[Layer], Any], rounds: Iterable[Sequence[float]], *,
                   rng: int, one_shot: bool = False, at: Iterable[int] | None = None) -> tuple[Any, list[Against]]:
    """What `measure` says of the dense network, and of the tickets of the rounds in `at` (1, 2, …; None: all).

    rounds: the densities of the weights after each (tickets.densities). rng: the seed of the random starts.
    Raises RangeError for a round that is not there, and what `find_tickets` raises.
    """
    rounds, dense, rows = list(rounds), None, []
    at = chosen_rounds(at, len(rounds))
    for i, ticket in enumerate(find_tickets(initial, fit, rounds, one_shot=one_shot)):
        if i == 0:
            dense = measure(ticket.network)
        elif i in at:
            results = [measure(ticket.network)]
            for scaled in (False, True):
                model = fresh(masked(initial, ticket.masks), rng, scaled=scaled)
                fit(model)
                results.append(measure(model))
            rows.append(Against(ticket.density, *results))
    return dense, rows
