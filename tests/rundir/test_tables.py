"""CSV files: round trips, escapes, corrupt ones."""

import csv
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import csv_text, metrics_row, read_csv, write_csv
from dlcli.rundir.writing import replace_by, replace_file, replace_json


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    """The text of an error, which must be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


def test_csv_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    replace_file(path, csv_text(["name", "value"], [["a,b", 1], ['say "x"', 2.5]]))
    rows = [{"name": "a,b", "value": "1"}, {"name": 'say "x"', "value": "2.5"}]
    assert read_csv(path) == rows
    with open(path, "a") as file:
        file.write("half a row")
    assert read_csv(path) == rows


def test_a_row_of_metrics_keeps_float32_precision() -> None:
    columns = ["stage", "epoch", "train_loss"]
    row = metrics_row(columns, {"stage": "head", "epoch": 3, "train_loss": 0.1234567891, "other": 1})
    assert row == "head,3,0.123456789"


@pytest.mark.parametrize("content", [b"\xff\n", b"a,b\n1\n", b"a,b\n1,2,3\n"])
def test_a_corrupt_table_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_csv(path)
    assert message(error).startswith(f"{path}:")
    assert "is corrupt" in message(error)


def test_metrics_csv_of_an_earlier_version_is_read_under_the_current_names(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "stage,epoch,train_loss,train_localisation_accuracy,val_localisation_accuracy\n"
        "localisation_accuracy,1,0.5,0.25,0.75\n"
    )
    assert read_csv(path) == [
        {
            "stage": "localisation_accuracy",  # a value, not a column
            "epoch": "1",
            "train_loss": "0.5",
            "train_localization_accuracy": "0.25",
            "val_localization_accuracy": "0.75",
        }
    ]


def test_headers_and_json_have_escapes(tmp_path: Path) -> None:
    assert csv_text(["a\x1b[31m", "b\u202e\n"], [["c", 1]]) == "a\\x1b[31m,b\\u202e\\n\nc,1\n"
    replace_json(tmp_path / "a.json", {"a\x1b": "\ud800\u202e"})
    assert (tmp_path / "a.json").read_text().isascii()
    assert read_json(tmp_path / "a.json") == {"a\x1b": "\ud800\u202e"}


def test_safe_tables_quote_formulas_and_nothing_else(tmp_path: Path) -> None:
    formulas = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\r=1", "-1+1", "-1 x"]
    harmless = ["", "a=b", "'=1", "-1.5", "+3", "-1.2e-07", " =1", "é", -2.5, 3, None]
    write_csv(tmp_path / "plain.csv", ["=a"], ([cell] for cell in [*formulas, *harmless]))
    write_csv(tmp_path / "safe.csv", ["=a"], ([cell] for cell in [*formulas, *harmless]), safe=True)
    with open(tmp_path / "plain.csv", newline="") as file:
        plain = [row[0] for row in csv.reader(file) if row]
    with open(tmp_path / "safe.csv", newline="") as file:
        safe = [row[0] for row in csv.reader(file) if row]
    assert plain[1 : len(formulas) + 1] == formulas
    assert safe == [f"'{cell}" for cell in plain[: len(formulas) + 1]] + plain[len(formulas) + 1 :]


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as error:
        replace_by(tmp_path / "table.csv", lambda path: write_csv(path, ["a"], rows()))
    assert error.value.filename == str(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []
