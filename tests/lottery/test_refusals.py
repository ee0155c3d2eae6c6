"""Bad input for lottery tickets, as tests/test_bad_input_topics.py has it for other topics; ids are the same rows."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicompress import nn
from minicompress.errors import NonFiniteError, RangeError, ShapeError, StateError
from minicompress.lottery import records, rethinking, supermask, tickets, trials
from minicompress.pruning.magnitude import prune

NAN = float("nan")
X, Y = np.random.default_rng(0).uniform(0, 1, (40, 64)), np.arange(40) % 10


def mlp() -> nn.Sequential:
    return nn.Sequential([nn.Linear(64, 16, rng=0), nn.ReLU(), nn.Linear(16, 10, rng=1)])


def untrained(model: nn.Layer, *_: Any) -> None:
    raise AssertionError("nothing may be trained before the input is checked")


def trial(**changed: Any) -> trials.Trial:
    plain = [w.data.copy() for w in mlp().weights()]
    return trials.Trial(mlp(), untrained, nn.error, plain, plain)._replace(**changed)


def compared(**options: Any) -> Any:
    return records.compare(lambda rng: mlp(), untrained, 0, tickets.densities(2, 2), **options)


def against(**options: Any) -> Any:
    return rethinking.against_random(mlp(), untrained, len, tickets.densities(2, 2), rng=0, **options)


def scratch(epochs: Any = 4, **options: Any) -> Any:
    return rethinking.scratch_or_tune(mlp(), rethinking.find_units(0.5), untrained, len, len, epochs, rng=0, **options)


def searched(rounds: Any, **options: Any) -> Any:
    return list(tickets.find_tickets(mlp(), lambda model: None, rounds, **options))


def masked() -> nn.Layer:
    model = mlp()
    prune(model.weights(), 0.5)
    return model


def nan_scores(initial: np.ndarray, final: np.ndarray) -> np.ndarray:
    return np.where(np.arange(initial.size).reshape(initial.shape) == 3, NAN, 1.0)


@pytest.mark.parametrize(("row", "kind", "message", "call"), [
    *((31, RangeError, message, lambda find=find, x=x: find(x))
      for find in (rethinking.find_units, rethinking.find_weights)
      for x, message in [(80, r"Did you mean 0\.8\?"), (-0.2, "-0.2; allowed"), (1.2, r"allowed: ≥ 0 and ≤ 1\.$"),
                         (NAN, "is nan; allowed")]),
    (21, RangeError, "Did you mean 'global'", lambda: rethinking.find_units(0.5, scope="globel")),
    (31, RangeError, r"density is 80; allowed.*Did you mean 0\.8",
     lambda: trials.choose(trial(), tickets.large_final, [80, 80])),
    (32, RangeError, "leaves no weight to train", lambda: rethinking.find_weights(1)),
    (34, RangeError, "round 2 keeps 0.6 of a weight of which the round before left 0.5",
     lambda: searched([[0.5, 0.5], [0.4, 0.6]])),
    (34, NonFiniteError, r"scores has 1 values.*first at \(0, 3\)",
     lambda: searched([[0.5, 0.5]], criterion=nan_scores)),
    (34, NonFiniteError, "a criterion's scores", lambda: trials.choose(trial(), nan_scores, [0.5, 0.5])),
    (35, StateError, "bake", lambda: trials.begin(masked(), untrained, nn.error)),
    (35, StateError, "bake", lambda: trials.ticket(trial(model=masked()), [np.ones((16, 64), bool)] * 2)),
    (35, StateError, "bake", lambda: supermask.hide(supermask.hide(mlp(), rng=0), rng=0)),
    (21, RangeError, "Did you mean 'Scratch-E'", lambda: scratch(arms=["Scratch-C"])),
    (26, RangeError, "epochs is 0", lambda: scratch(epochs=0)),
    (21, RangeError, "an arm is 'reinit'", lambda: compared(arms=("reinit",))),
    *((21, RangeError, "a round in at is", lambda call=call, n=n: call(at=(n,)))
      for call in (compared, against) for n in (0, 99)),
    *((0, ShapeError, "there are 1 masks for 2 weights", call) for call in (
        lambda: tickets.masked(mlp(), [np.ones((16, 64), bool)]),
        lambda: trials.ticket(trial(), [np.ones((16, 64), bool)]))),
    (0, ShapeError, "1 densities for 2 weights", lambda: trials.choose(trial(), tickets.large_final, [0.5])),
])
def test_lottery_tickets_are_refused_before_anything_is_trained(row: int, kind: type[Exception], message: str,
                                                                call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert caught.type is kind


def test_row35_what_a_search_refuses_is_not_changed() -> None:
    for model in (masked(), supermask.hide(mlp(), rng=0)):
        before = pickle.dumps(model.state())
        for refuse in (lambda m: trials.begin(m, untrained, nn.error), lambda m: supermask.hide(m, rng=0)):
            with pytest.raises(StateError):
                refuse(model)
        assert pickle.dumps(model.state()) == before


def test_row33_a_ticket_without_weights_in_a_layer_warns() -> None:
    masks = trials.choose(trial(), tickets.large_final, [0.0, 0.5])
    for call in (lambda: trials.ticket(trial(), masks), lambda: tickets.masked(mlp(), masks),
                 lambda: supermask.masked_only(trial(), tickets.large_final, [0.0, 0.5])):
        with pytest.warns(UserWarning, match=r"a weight of shape \(16, 64\) lost all its entries"):
            call()


def learned(x: Any = X, y: Any = Y, validation: Any = (X[:5] + 0.1, Y[:5]), test: Any = (X[:5] + 0.2, Y[:5]),
            lr: float = 1e-3) -> None:
    records.learn(mlp(), (x, y), validation, test, steps=5, every=5, rng=0, lr=lr)


def test_row24_row29_row30_the_other_training_loop_warns_and_explains_as_well() -> None:
    with pytest.warns(UserWarning, match="the learning rate is 0"):
        learned(lr=0)
    with pytest.warns(UserWarning, match="no training sample has the label 9"):
        learned(y=np.minimum(Y, 8))
    for name in ("validation", "test"):
        with pytest.warns(UserWarning, match=f"the {name} images are the training images"):
            learned(**{name: (X, Y)})
    with pytest.warns(UserWarning, match="networks expect about 1"):
        learned(255 * X, lr=1e-9)
    with pytest.raises(NonFiniteError, match=r"became (inf|nan) at step 2, first seen in .*such as 1e\+299"):
        learned(lr=1e300)
