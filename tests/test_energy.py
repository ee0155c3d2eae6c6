"""Energy is the published table times counts: fetching a weight from DRAM dwarfs multiplying with it."""

import pytest

from minicompress.energy import PICOJOULES, energy
from minicompress.errors import DTypeError, RangeError


def test_one_weight_from_dram_costs_640_picojoules_and_its_product_4_6():
    assert energy(1, 0) == pytest.approx(4.6e-12)
    assert energy(0, 4) == pytest.approx(640e-12)
    assert energy(1, 4) == pytest.approx(644.6e-12)
    assert energy(0, 4, memory="sram") == pytest.approx(5e-12)


def test_the_example_of_han_2015_a_billion_connections_20_times_a_second():
    assert 20 * energy(0, 4e9) == pytest.approx(12.8)


def test_fewer_bits_cost_less_to_fetch_and_to_multiply():
    products = [energy(1, 0, number=number) for number in ("float32", "int32", "float16", "int8")]
    assert products == pytest.approx([4.6e-12, 3.2e-12, 1.5e-12, 0.3e-12])
    assert energy(0, 1) == pytest.approx(energy(0, 4) / 4)


def test_the_relative_costs_of_han_2015_figure_1():
    columns = ["add int32", "add float32", "multiply int32", "multiply float32", "read sram", "read dram"]
    relative = [PICOJOULES[name] / PICOJOULES["add int32"] for name in columns]
    assert relative == pytest.approx([1, 9, 31, 37, 50, 6400])


@pytest.mark.parametrize(("arguments", "error"), [
    ({"memory": "drum"}, RangeError), ({"number": "float8"}, RangeError), ({"macs": -1}, RangeError),
    ({"weight_bytes": float("nan")}, RangeError), ({"macs": "1"}, DTypeError),
])
def test_what_is_not_in_the_table_is_named(arguments, error):
    with pytest.raises(error, match="allowed"):
        energy(**{"macs": 1, "weight_bytes": 4, **arguments})
