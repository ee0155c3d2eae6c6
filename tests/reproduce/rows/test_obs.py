"""Optimal brain surgeon's row: what a run gives, how far deletion goes, what the protocol says, when it counts."""

import numpy as np
import pytest

from minicompress import data
from minicompress.nn import Linear, Sequential, Sigmoid, predict
from minicompress.reproduce.report import claim_lines
from minicompress.reproduce.rows import obs
from minicompress.reproduce.rows.obs import (
    OBS,
    PROBLEMS,
    penalized_loss,
    protocol,
    run,
    smallest,
    targets,
    trained_network,
    wrong,
)


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINICOMPRESS_DATA", raising=False)
        patch.setattr(obs, "EPOCHS", 400)
        return run(0)


def test_a_run_gives_every_figure_that_is_claimed(figures):
    assert {claim.figure for claim in OBS.claims} == set(figures) and figures["original"] == 0
    for number in (1, 2):
        assert figures[f"{number} surgeon"] < figures[f"{number} damage"] <= figures[f"{number} magnitude"]
        assert figures[f"{number} surgeon train"] == 1
    assert figures["3 surgeon train"] >= 1 - 9 / 122 and figures["3 surgeon"] < 10


def first_input():
    """σ(20 x₀ - 10): right wherever the label is x₀, with 17 needless weights of its 20."""
    model = Sequential([Linear(17, 1, rng=0), Sigmoid(), Linear(1, 1, rng=0), Sigmoid()])
    model.layers[0].weight.data[0, 0], model.layers[0].bias.data[0] = 20, -10
    model.layers[2].weight.data[0, 0], model.layers[2].bias.data[0] = 20, -10
    model.layers[0].weight.data[0, 1:] *= 1e-3
    return model


def test_deletion_stops_before_the_first_wrong_sample():
    x = data.monks(1).test.x
    samples, model = data.Samples(x, x[:, 0].astype(int)), first_input()
    assert wrong(model, samples) == 0
    before = predict(model, x)
    for rule in obs.RULES:
        left, kept = smallest(model, samples, 0, rule)
        assert wrong(kept, samples) == 0 and 2 <= left <= 4
        assert sum(np.count_nonzero(p.forward()) for p in kept.parameters()) == left
    np.testing.assert_array_equal(predict(model, x), before)
    assert smallest(model, samples, len(x), "surgeon")[0] == 0


def test_of_several_starts_the_best_by_the_training_samples_is_kept(monkeypatch):
    monkeypatch.setattr(obs, "EPOCHS", 20)
    samples, problem, found = data.monks(1).train, PROBLEMS[1]._replace(wrong=40), []
    for seed, starts in np.ndindex(3, 3):
        monkeypatch.setattr(obs, "STARTS", starts + 1)
        model = trained_network(samples, problem, np.random.default_rng(seed))
        found.append((max(40, wrong(model, samples)), penalized_loss(model, samples, problem.decay)))
    for one, two, three in zip(*[iter(found)] * 3, strict=True):
        assert one >= two >= three
    assert len(set(found)) > 3


def test_the_penalized_loss_is_what_weight_decay_minimizes():
    samples, model = data.monks(1).train, first_input()
    w = np.concatenate([p.data.ravel() for p in model.parameters()])
    bare = penalized_loss(model, samples, 0)
    assert penalized_loss(model, samples, 0.1) == pytest.approx(bare + 0.05 * (w * w).sum())


def test_targets_are_the_labels_as_a_column():
    x, t = targets(data.monks(2).test)
    assert t.shape == (432, 1) and t.sum() == 142 and t.dtype == x.dtype


@pytest.mark.parametrize("name", ["ALPHA", "EPOCHS", "LR", "STARTS"])
def test_another_setting_is_another_protocol(monkeypatch, name):
    monkeypatch.setattr(obs, name, 2 * getattr(obs, name))
    assert protocol() != OBS.protocol


@pytest.mark.parametrize("field", ["hidden", "decay", "wrong"])
def test_another_problem_is_another_protocol(monkeypatch, field):
    monkeypatch.setitem(obs.PROBLEMS, 3, PROBLEMS[3]._replace(**{field: 7}))
    assert protocol() != OBS.protocol


def failing(**changes):
    columns = {claim.figure: np.full(5, 1.0) for claim in OBS.claims}
    weights = {"1 surgeon": 14, "2 surgeon": 16, "3 surgeon": 4}
    weights |= {f"{n} {rule}": 17 for n in PROBLEMS for rule in ("damage", "magnitude")}
    for key, value in weights.items():
        columns[key] = np.full(5, float(value))
    for key, values in changes.items():
        columns[key.replace("_", " ").strip()] = np.array(values, float)
    lines = [line for claim in OBS.claims for line in claim_lines(claim, columns, "")]
    return [line[-2] for line in lines if line[-1] == "no"]


def test_the_criteria_are_those_of_the_course():
    assert OBS.seeds == 5 and not failing()
    assert not failing(_1_surgeon=[10, 10, 14, 16, 16])
    assert failing(_1_surgeon=[10, 10, 15, 16, 16]) == ["≤ 14"]
    assert failing(_2_surgeon=[10, 10, 16, 16, 17]) == ["below both on every seed"]
    assert failing(_1_magnitude=[14, 30, 30, 30, 30]) == ["below both on every seed"]
    for median in (3, 5):
        assert failing(_3_surgeon=[4, 4, median, median, median]) == ["= 4"]
    assert not failing(_3_damage=[3, 3, 3, 3, 3])
