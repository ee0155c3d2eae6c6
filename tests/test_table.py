"""A table is plain text whose columns line up."""

from minicompress.table import percent, table


def test_columns_line_up_and_no_line_ends_in_a_space():
    lines = table(["stage", "n"], [["a", "1"], ["longer", "1,000"]]).split("\n")
    assert lines == ["stage       n", "------  -----", "a           1", "longer  1,000"]
    assert table(["a", "b"], [["x", "y"], ["xx", "yyy"]], left=2).split("\n")[2:] == ["x   y", "xx  yyy"]


def test_a_table_may_be_empty():
    assert table(["a", "b"], []) == "a  b\n-  -"


def test_percent():
    assert percent(0.0164) == "1.64 %" and percent(1.0, 0) == "100 %" and percent(float("nan")) == "-"
