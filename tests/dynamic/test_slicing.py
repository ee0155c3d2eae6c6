"""Slices: which numbers a width reads and trains, what is exported, and what has no narrow form."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress import storage
from minicompress.dynamic.slicing import SHARED, SWITCHABLE, Sliced, count_of, export, selector_of, slim
from minicompress.errors import DTypeError, RangeError, ShapeError, StateError
from minicompress.ledger import file_bytes, finished, layer_macs
from minicompress.nn import (
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MultiExit,
    ReLU,
    Residual,
    Selector,
    Sequential,
    Switch,
    predict,
)

WIDTHS = [0.25, 0.5, 0.75, 1]
RNG = np.random.default_rng(0)
X, IMAGES = RNG.uniform(-1, 1, (7, 6)), RNG.uniform(-1, 1, (5, 2, 6, 6))


def mlp(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(6, 8, rng=rng), BatchNorm(8), ReLU(), Linear(8, 12, rng=rng), BatchNorm(12), ReLU(),
                       Linear(12, 3, rng=rng)])


def mobile(seed=0):
    """A convolution, a depthwise and a pointwise one; the end is flat."""
    rng = np.random.default_rng(seed)
    return Sequential([Conv2d(2, 8, 3, rng=rng, stride=2, padding=1), BatchNorm(8), ReLU(),
                       Conv2d(8, 8, 3, rng=rng, padding=1, groups="channels", bias=False), BatchNorm(8), ReLU(),
                       Conv2d(8, 4, 1, rng=rng), ReLU(), Flatten(), Linear(36, 3, rng=rng)])


def shaken(model):
    """Every array gets numbers of its own, so that none can be mistaken for another."""
    rng = np.random.default_rng(9)
    for path, value in model.state().items():
        if isinstance(value, np.ndarray):
            value += rng.uniform(0.1, 1, value.shape) * (1 if path.endswith("variance") else 0.3)
    return model


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_forward_is_the_leading_corner_and_backward_its_transpose(full, index, random):
    narrow = [tuple(random.randint(1, n) for n in full) for _ in range(2)]
    sliced, rng = Sliced([*narrow, tuple(full)], Selector(index)), np.random.default_rng(0)
    x = rng.random(full)
    w = sliced.forward(x)
    assert w.shape == sliced.check(x.shape) == (*narrow, tuple(full))[index]
    corner = np.ix_(*[np.arange(n) for n in w.shape])
    np.testing.assert_array_equal(w, x[corner])
    dw = rng.random(w.shape)
    dx = sliced.backward(dw)
    np.testing.assert_array_equal(dx[corner], dw)
    assert dx.shape == x.shape and np.count_nonzero(dx) == dw.size
    assert np.sum(w * dw) == pytest.approx(np.sum(x * dx))


def test_one_selector_switches_all_and_the_ends_stay_whole():
    model = slim(mlp(), WIDTHS)
    first, second, last = [layer for layer in model.layers if isinstance(layer, Linear)]
    for i, (a, b) in enumerate([(2, 3), (4, 6), (6, 9), (8, 12)]):
        selector_of(model).index = i
        shapes = [p.shape for layer in (first, second, last) for p in (layer.weight, layer.bias)]
        assert shapes == [(a, 6), (a,), (b, a), (b,), (3, b), (3,)]
        assert predict(model, X).shape == (7, 3)
    assert not last.bias.parametrizations and count_of(model) == 4


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
@pytest.mark.parametrize(("build", "x"), [(mlp, X), (mobile, IMAGES)])
def test_a_slimmable_copy_starts_as_the_model_at_width_1(build, x, norms):
    model = shaken(build())
    before = copy.deepcopy(model.state())
    body = slim(model, WIDTHS, norms=norms)
    np.testing.assert_array_equal(predict(body, x), predict(model, x))
    for path, value in model.state().items():
        np.testing.assert_array_equal(value, before[path])


def by_hand(model, width):
    """The narrow network that slim cuts out of an MLP, written down once more."""
    a, b = round(8 * width), round(12 * width)
    small = Sequential([Linear(6, a, rng=0), BatchNorm(a), ReLU(), Linear(a, b, rng=0), BatchNorm(b), ReLU(),
                        Linear(b, 3, rng=0)])
    for new, old in zip(small.state().values(), model.state().values(), strict=True):
        if isinstance(new, np.ndarray):
            new[...] = old[tuple(map(slice, new.shape))]
    return small


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
@pytest.mark.parametrize("index", range(4))
def test_each_width_is_the_network_of_the_first_units(index, norms):
    model = shaken(mlp())
    body = slim(model, WIDTHS, norms=norms)
    selector_of(body).index = index
    np.testing.assert_array_equal(predict(body, X), predict(by_hand(model, WIDTHS[index]), X))


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
@pytest.mark.parametrize(("build", "x"), [(mlp, X), (mobile, IMAGES)])
def test_an_export_is_plain_small_and_equal(build, x, norms, tmp_path):
    body = slim(build(), WIDTHS, norms=norms)
    shaken(body)
    sizes, products = [], []
    for i in range(4):
        selector_of(body).index = i
        wanted = predict(body, x)
        small = export(body, i)
        assert selector_of(body).index == i
        kinds = {type(node) for _, node in small.walk()}
        assert not kinds & {Sliced, Switch, Selector}
        np.testing.assert_array_equal(predict(small, x), wanted)
        storage.save(tmp_path / "small.mcz", small)
        np.testing.assert_array_equal(predict(storage.load(tmp_path / "small.mcz"), x), wanted)
        sizes.append(file_bytes(small))
        products.append(sum(layer_macs(small, x[:1]).values()))
        assert products[-1] == sum(layer_macs(body, x[:1]).values())
    assert sizes == sorted(set(sizes)) and products == sorted(set(products))
    assert build is mobile or products == [6 * a + a * b + 3 * b for a, b in [(2, 3), (4, 6), (6, 9), (8, 12)]]
    assert file_bytes(finished(body, "single")) < sum(file_bytes(finished(export(body, i), "single")) for i in range(4))


@pytest.mark.parametrize("norms", [SWITCHABLE, SHARED])
def test_a_slimmable_file_holds_all_widths(norms, tmp_path):
    body = shaken(slim(mlp(), WIDTHS, norms=norms))
    storage.save(tmp_path / "all.mcz", finished(body, "single"))
    again = storage.load(tmp_path / "all.mcz")
    for i in range(4):
        selector_of(body).index = selector_of(again).index = i
        np.testing.assert_allclose(predict(again, X), predict(body, X), atol=1e-5)
    selector_of(again).index = 1
    storage.save(tmp_path / "narrow.mcz", again)
    assert selector_of(storage.load(tmp_path / "narrow.mcz")).index == 1


def test_shared_norms_share_numbers_and_statistics_and_switchable_ones_do_not():
    for norms, shared in ((SHARED, True), (SWITCHABLE, False)):
        body = slim(mlp(), WIDTHS, norms=norms)
        found = [node for _, node in body.walk() if isinstance(node, BatchNorm)]
        assert len(found) == (2 if shared else 8)
        before = copy.deepcopy(found[-1].mean)
        selector_of(body).index = 0
        body.forward(X)  # in training mode: the running statistics move
        if shared:
            moved = found[-1].mean != before
            assert moved[:3].all() and not moved[3:].any()
        else:
            assert (found[-1].mean == before).all() and found[4].mean.any()


def test_a_residual_network_and_several_exits_are_slimmed_too():
    rng = np.random.default_rng(0)
    stages = [Sequential([Conv2d(2, 4, 3, padding=1, rng=rng), BatchNorm(4), ReLU()]),
              Sequential([Residual(Conv2d(4, 4, 3, padding=1, rng=rng)), Conv2d(4, 8, 3, rng=rng, stride=2), ReLU()])]
    exits = [Sequential([GlobalAvgPool(), Linear(c, 3, rng=rng)]) for c in (4, 8)]
    body = slim(MultiExit(stages, exits), [0.5, 1])
    selector_of(body).index = 0
    assert [z.shape for z in predict(body, IMAGES)] == [(5, 3), (5, 3)]
    for mine, its in zip(predict(export(body, 0), IMAGES), predict(body, IMAGES), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("widths", [0.5, 1, [], [1, 0.5], [0.5], [0, 1], [0.5, 0.5, 1], [0.5, 2], [0.3, 1],
                                    [0.01, 1]])
def test_widths_that_make_no_network_are_refused(widths):
    with pytest.raises((RangeError, ShapeError), match=r"allowed|expected"):
        slim(mlp(), widths)


@pytest.mark.parametrize("wrong", [1.5, None, "1"])
def test_a_selector_that_is_no_integer_is_refused(wrong):
    body = slim(mlp(), WIDTHS)
    selector_of(body).index = wrong
    with pytest.raises(DTypeError, match="selector is"):
        predict(body, X)
    body = slim(Sequential([BatchNorm(6), Linear(6, 4, rng=0), Linear(4, 3, rng=0)]), [0.5, 1])
    selector_of(body).index = wrong
    with pytest.raises(DTypeError, match="Switch's selector is"):
        body.layers[0].forward(X)


def test_other_misuse_has_a_name():
    body, plain = slim(mlp(), WIDTHS), mlp()
    for wrong, error, words in [(lambda: slim(body, WIDTHS), StateError, "ends in Sliced.*export"),
                                (lambda: export(plain, 0), StateError, "0 selectors"),
                                (lambda: slim(plain, None), DTypeError, "widths is a"),
                                (lambda: slim(plain, "1"), DTypeError, "widths has dtype"),
                                (lambda: slim(Sequential([ReLU()]), WIDTHS), ShapeError, "no Linear"),
                                (lambda: export(body, 4), RangeError, "index"),
                                (lambda: slim(plain, WIDTHS, norms="shard"), RangeError, "shared"),
                                (lambda: Sliced([(3,), (2,)], Selector()), ShapeError, "larger"),
                                (lambda: Sliced([(1,)], Selector(1)), RangeError, "≤ 0"),
                                (lambda: Sliced([(1,)], Selector()).check((2,)), ShapeError, "the same")]:
        with pytest.raises(error, match=words):
            wrong()
