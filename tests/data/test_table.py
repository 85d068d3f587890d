"""Tables: delimiters, columns by name, numbers, and errors with their lines."""

from pathlib import Path

import pytest

from dlcli.data.table import (
    NUM_NAMED,
    column_names,
    is_usable,
    number_error,
    parse_number,
    read_cells,
    refuse_errors,
    role_columns,
)
from dlcli.errors import InputError

TABLE = Path("t.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_header(delimiter: str) -> None:
    text = f"a {delimiter}b\n 1{delimiter}x y \n\n2{delimiter}z\n"
    assert column_names(TABLE, text) == ["a", "b"]
    valid, errors = read_cells(TABLE, text, {"number": "a", "text": "b"}, required=())
    assert valid == [
        (2, "train", {"number": "1", "text": "x y"}),
        (4, "train", {"number": "2", "text": "z"}),
    ]
    assert errors == []


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("sep=;\na;b,c\n1;2\n", 3),
        ('"a;x;y;z",b\n1,2\n', 2),
        ('a\t"b,c,d"\n1\t2\n', 2),
        ("sep=|\na|b\n1|2\n", 3),
    ],
)
def test_delimiters_in_quotes_do_not_count_and_a_first_line_may_name_it(text: str, first: int, newline: str) -> None:
    columns = column_names(TABLE, text.replace("\n", newline))
    valid, errors = read_cells(TABLE, text.replace("\n", newline), dict(zip("ab", columns, strict=True)), required=())
    assert valid == [(first, "train", {"a": "1", "b": "2"})]
    assert errors == []


@pytest.mark.parametrize(
    ("cell", "has_comma"),
    [("12,5", True), ("-0,25", True), ("1.234,5", True), ("1,2,3", False), ("1.23,5", False), ("x", False)],
)
def test_decimal_commas_are_explained(cell: str, has_comma: bool) -> None:
    error = number_error("a", cell)
    assert error is not None
    assert error.endswith("Write decimals with a point, without separators of thousands.") == has_comma


def test_valid_and_invalid_rows_are_separated() -> None:
    text = "name,part\na,VAL\nb,vall\n,train\nc\nbad,test\n"
    valid, errors = read_cells(
        TABLE,
        text,
        {"name": "name", "split": "part"},
        required=("name",),
        error_of=lambda cells: "a bad name." if cells["name"] == "bad" else None,
    )
    assert [(line, split) for line, split, _ in valid] == [(2, "validation")]
    assert errors == [
        (3, "column 'part' must be train, validation (or val, valid, dev, eval) or test. Received 'vall'."),
        (4, "column 'name' must not be empty."),
        (5, "a row must have 2 values, like the header. Received 1."),
        (6, "a bad name."),
    ]


def test_quotes_have_no_meaning_in_tsv() -> None:
    text = 'a\tb\n"x\ty\n'
    valid, _ = read_cells(Path("t.tsv"), text, {"a": "a"}, required=())
    assert valid[0][2] == {"a": '"x'}
    with pytest.raises(InputError, match=r"^t\.csv:2: this row is not valid CSV"):
        read_cells(TABLE, text, {"a": "a"}, required=())


def test_a_missing_column_is_reported_with_a_suggestion() -> None:
    with pytest.raises(
        InputError, match=r"^t\.csv:1: there must be a column 'lable'\. Received 'label', 'x'\. Did you"
    ):
        read_cells(TABLE, "label,x\n", {"label": "lable"}, required=())
    with pytest.raises(InputError, match=r"there must be one column 'x'\. Received 2\."):
        read_cells(TABLE, "x,x\n", {"x": "x"}, required=())


def test_numbers() -> None:
    assert [parse_number(text) for text in ("1e-3", " 2", "1_000", "x")] == [0.001, 2.0, None, None]
    assert [is_usable(number) for number in (1.0, -1e18, 1.1e18, float("nan"), None)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert number_error("a", "3") is None
    assert number_error("a", "nan") == "column 'a' must be a number. Received 'nan'."
    assert number_error("a", "1e19") == (
        "column 'a' must be at most 1e+18 in magnitude. Received 1e19: rescale the column."
    )


def test_many_errors_are_counted() -> None:
    refuse_errors(TABLE, [])
    with pytest.raises(InputError) as error:
        refuse_errors(TABLE, [(line, "bad.") for line in range(20, 0, -1)])
    lines = str(error.value).splitlines()
    assert len(lines) == NUM_NAMED + 1
    assert (lines[0], lines[-1]) == ("t.csv:1: bad.", "… and 10 more rows")


def test_roles_without_a_column_are_left_out() -> None:
    assert role_columns(text="t", split=None) == {"text": "t"}


def test_a_table_without_a_header_has_the_names_that_are_given() -> None:
    text = 'up;"a; b"\ndown;c;d\n'
    assert column_names(TABLE, text, ["label", "text"]) == ["label", "text"]
    valid, errors = read_cells(TABLE, text, {"text": "text"}, required=(), names=["label", "text"])
    assert valid == [(1, "train", {"text": "a; b"})]
    assert errors == [(2, "a row must have 2 values, as data.columns names. Received 3.")]
