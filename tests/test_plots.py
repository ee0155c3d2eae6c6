"""The figures show the numbers they are given, and leave no trace in matplotlib's settings."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from minicompress import plots
from minicompress.errors import LabelError, ShapeError
from minicompress.ledger import Stage
from minicompress.nn import Record

STAGES = [Stage("dense", 0.016, 100, 100, 100, 90, 400, 1.0, 1.0),
          Stage(r"cost $\x$", 0.018, 100, 8, 20, 90, 40, 10.0, 2.0)]


@pytest.fixture
def ax():
    return Figure().subplots()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def drawn(ax):
    ax.figure.draw_without_rendering()  # whatever cannot be drawn raises here


def test_the_style_ends_with_its_block_and_ignores_what_was_set_before():
    with mpl.rc_context({"font.size": 33, "axes.grid": False}):
        before = dict(mpl.rcParams)
        with pytest.raises(KeyError), plots.style():
            assert mpl.rcParams["font.size"] == plots.STYLE["font.size"] and mpl.rcParams["axes.grid"]
            raise KeyError
        assert dict(mpl.rcParams) == before


def test_use_style_stays():
    with mpl.rc_context():
        plots.use_style()
        assert mpl.rcParams["image.cmap"] == "gray_r"


def test_figures_stay_out_of_pyplot(ax):
    plots.ratios(Figure().subplots(1, 2), STAGES)
    plots.weight_histogram(ax, np.arange(9.0))
    assert not plt.get_fignums()


def test_training_curve_in_percent():
    axes = Figure().subplots(1, 2)
    plots.training_curve(axes, [Record(1, 2.0, 0.5, 0.1), Record(2, 0.1, 0.25, 0.2)])
    assert axes[0].lines[0].get_xydata().tolist() == [[1, 2.0], [2, 0.1]] and axes[0].get_yscale() == "log"
    assert axes[1].lines[0].get_ydata().tolist() == [50, 25] and axes[1].get_ylim() == pytest.approx((0, 55))


@pytest.mark.parametrize("records", [[], [Record(1, 0.0, float("nan"), 0.1)]])
def test_training_curve_without_loss_or_validation(records):
    axes = Figure().subplots(1, 2)
    plots.training_curve(axes, records)
    drawn(axes[0])


def test_histogram_of_all_weights(ax):
    plots.weight_histogram(ax, np.linspace(1, 2, 200).reshape(10, 20), bins=10)
    assert ax.get_title() == "200 weights" and ax.get_ylim()[0] == 0 and ax.get_ylim()[1] >= 20


def test_histogram_leaves_zeros_to_the_title(ax):
    plots.weight_histogram(ax, np.concatenate([np.zeros(1000), np.linspace(1, 2, 200)]), bins=10)
    assert ax.get_title() == "200 weights\n1,000 zeros"
    assert ax.get_ylim()[1] < 30, "the zeros are not in the bars"
    assert ax.get_xlim()[0] > 0.5


def test_stems_at_shared_numbers(ax):
    plots.weight_histogram(ax, np.repeat([-1.5, 0.0, 2.0], [30, 50, 20]))
    assert ax.get_title() == "50 weights, 2 values\n50 zeros"
    assert ax.lines[0].get_xydata().tolist() == [[-1.5, 30], [2.0, 20]]


def test_histogram_of_zeros_alone(ax):
    plots.weight_histogram(ax, np.zeros((20, 20)))
    assert ax.get_title() == "0 weights, 0 values\n400 zeros"
    drawn(ax)


def test_mosaic_puts_pictures_in_reading_order():
    tiles = plots.mosaic(np.arange(3.0).reshape(3, 1, 1) * np.ones((3, 2, 2)), columns=2, gap=(1, 1))
    assert tiles.shape == (6, 6)
    assert (tiles[0, 0], tiles[1, 4], tiles[4, 1]) == (0, 1, 2)
    assert np.isnan(tiles[2]).all() and np.isnan(tiles[:, 5]).all() and np.isnan(tiles[3:, 3:]).all()


def test_masks_show_the_rows_that_keep_most_in_their_order(ax):
    mask = np.zeros((4, 4), bool)
    mask[1, 0] = mask[3, 1] = mask[3, 3] = True
    plots.masks(ax, mask, side=2, count=2, columns=2)
    image = ax.images[0].get_array().filled(-1)
    assert image[1:3, 1:3].tolist() == [[1, 0], [0, 0]] and image[1:3, 4:6].tolist() == [[0, 1], [0, 1]]
    assert ax.get_title().startswith("2 of 4 units")


def test_pixel_use_counts_rows(ax):
    weight = np.array([[0.5, 0, 0, 0], [-0.5, 0, 0, 2]])
    plots.pixel_use(ax, weight, 2)
    assert ax.images[0].get_array().tolist() == [[2, 0], [0, 1]]


@pytest.mark.parametrize("shape", [(3, 10), (9,), (3, 3, 2)])
def test_pictures_want_whole_squares(shape):
    with pytest.raises(ShapeError, match="3 x 3"):
        plots.pictures(np.ones(shape), 3)


def test_filters_are_pictures_too():
    assert plots.pictures(np.ones((8, 2, 3, 3)), 3).shape == (16, 3, 3)


def test_file_parts_are_labelled_in_the_order_of_the_file(ax):
    plots.file_parts(ax, [("frame", "", 4), (r"$\codes$", "huffman", 1200), ("mask", "gaps", 70)])
    assert [bar.get_width() for bar in ax.patches] == [4, 1200, 70]
    assert texts(ax) == ["4  ", "1,200  huffman", "70  gaps"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["frame", r"$\codes$", "mask"]
    assert ax.yaxis_inverted()
    drawn(ax)


def test_small_parts_are_summed_so_that_no_byte_is_lost(ax):
    parts = [(f"part {i}", "raw", i + 1) for i in range(40)]
    plots.file_parts(ax, parts, most=5)
    widths = [bar.get_width() for bar in ax.patches]
    assert widths[:5] == [36, 37, 38, 39, 40] and sum(widths) == sum(size for *_, size in parts)
    assert ax.get_yticklabels()[-1].get_text() == "35 smaller parts"


@pytest.mark.parametrize("shape", [(12, 64), (12, 1, 8, 8), (12, 8, 8)])
def test_wrong_predictions_are_said_in_words(ax, shape):
    labels = np.arange(12) % 10
    predictions = np.where(np.arange(12) == 3, 8, labels)
    plots.digits_with_predictions(ax, np.ones(shape), labels, predictions)
    assert texts(ax)[3] == "3 read as 8" and texts(ax)[4] == "4"
    widths = [frame.get_linewidth() for frame in ax.patches]
    assert widths.index(max(widths)) == 3 and widths.count(max(widths)) == 1
    drawn(ax)


def test_each_image_needs_its_prediction(ax):
    with pytest.raises(ShapeError):
        plots.digits_with_predictions(ax, np.ones((2, 64)), np.array([1, 2]), np.array([1]))
    with pytest.raises(LabelError):
        plots.digits_with_predictions(ax, np.ones((2, 64)), np.array([1, 2]), np.array([1, -2]))


def test_ratios_stage_by_stage():
    left, right = Figure().subplots(1, 2)
    plots.ratios((left, right), STAGES)
    assert texts(left) == ["1.0", "10.0"] and texts(right) == ["1.60", "1.80"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["dense", r"cost $\x$"]
    assert left.get_ylim() == right.get_ylim() and left.yaxis_inverted()
    drawn(left)


def test_one_stage_without_an_error():
    axes = Figure().subplots(1, 2)
    plots.ratios(axes, STAGES[:1])
    plots.ratios(axes, [STAGES[0]._replace(error=0.0)])
    drawn(axes[0])


def test_bars_stand_on_their_means(ax):
    plots.error_bars(ax, [100, 20, 5], [1.5, np.nan, 2.5], [0.1, np.nan, 0.5], "ticket")
    curve, _, (bars,) = ax.containers[0]
    assert curve.get_xydata()[[0, 2]].tolist() == [[100, 1.5], [5, 2.5]]
    assert np.allclose(bars.get_segments()[2], [[5, 2], [5, 3]])
    assert ax.get_legend_handles_labels()[1] == ["ticket"]
    drawn(ax)
