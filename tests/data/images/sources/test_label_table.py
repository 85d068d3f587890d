"""Tables of images with labels, in columns or as lists: what is read, and what is refused by file and line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.label_table import read_label_table
from dlcli.data.images.targets import target_values
from dlcli.errors import InputError

Save = Callable[..., Path]
Common = dict[str, Any]


@pytest.fixture
def table(tmp_path: Path, save_image: Save) -> Path:
    """The path of a table beside the images 0.png to 4.png."""
    for i in range(5):
        save_image(f"{i}.png")
    return tmp_path / "t.csv"


def read(path: Path, common: Common, **options: Any) -> Dataset:
    keys = {**common, "validation": 0.0, "test": 0.0, "image": "path", "reading": Reading()}
    return read_label_table(path=path, **keys | options)


def error(path: Path, common: Common, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value)


def test_columns_and_lists_give_the_same_labels(table: Path, common: Common) -> None:
    table.write_text("path,dog,cat\n0.png,1,0\n1.png,True,1.0\n2.png,0,false\n")
    by_column = read(table, common, labels=("cat", "dog"))
    assert by_column.classes == ("cat", "dog")
    np.testing.assert_array_equal(target_values(by_column.splits["train"]), [[0, 1], [1, 1], [0, 0]])
    assert list(by_column.splits["train"].targets()[0].rows()) == ["labels"]
    table.write_text("path,tags\n0.png,dog\n1.png,cat | dog |\n2.png,\n")
    listed = read(table, common, label="tags", separator="|")
    assert listed.classes == by_column.classes
    np.testing.assert_array_equal(target_values(listed.splits["train"]), target_values(by_column.splits["train"]))


def test_labels_must_not_hold_what_separates_them_in_predictions(table: Path, common: Common) -> None:
    table.write_text("path,tags\n0.png,dog\n1.png,cat|dog\n2.png,cat\n")
    assert "'cat|dog': a label must not contain '|'" in error(table, common, label="tags", separator=",")


def test_labels_of_lists_are_those_of_train_or_of_the_model(table: Path, common: Common) -> None:
    table.write_text("path,tags,part\n0.png,a b,train\n1.png,b c,test\n")
    options = {"label": "tags", "separator": " ", "split": "part", "validation": None, "test": None}
    assert error(table, common, **options) == (
        f"{table}:3: a label must be in train too. Received 'c': correct it, or remove it. Labels: 'a', 'b'."
    )
    dataset = read(table, common, **options, reading=Reading(classes=("c", "b", "a", "z")))
    assert dataset.classes == ("c", "b", "a", "z")
    np.testing.assert_array_equal(target_values(dataset.splits["test"]), [[1, 1, 0, 0]])
    assert "must be one of the trained model's. Received 'c'" in error(
        table, common, **options, reading=Reading(classes=("a", "b"))
    )


def test_cells_that_are_neither_0_nor_1_are_located(table: Path, common: Common) -> None:
    table.write_text("path,cat,dog\n0.png,2,0\n1.png,1,\n2.png,yes,1\n")
    assert error(table, common, labels=("cat", "dog")).splitlines() == [
        f"{table}:2: column 'cat' must be 0 or 1. Received '2'.",
        f"{table}:3: column 'dog' has no value. Fill it in, or set data.on_missing: skip or unknown.",
        f"{table}:4: column 'cat' must be 0 or 1. Received 'yes'.",
    ]


def test_missing_values_are_left_out_or_unknown(table: Path, common: Common) -> None:
    table.write_text("path,cat,dog\n0.png,1,0\n1.png,1,NA\n")
    skipped = read(table, common, labels=("cat", "dog"), on_missing="skip")
    assert [(item.name, item.kind) for item in skipped.left_out] == [("1.png", "incomplete")]
    unknown = read(table, common, labels=("cat", "dog"), on_missing="unknown")
    np.testing.assert_array_equal(target_values(unknown.splits["train"]), [[1, 0], [1, np.nan]])
    assert [row["dog"] for row in unknown.split_rows()] == ["0.0", ""]


@pytest.mark.parametrize("text", ["path,a,A\n0.png,1,0\n1.png,0,1\n", "path,tags\n0.png,a\n1.png,A\n"])
def test_labels_that_differ_only_in_case_are_reported(table: Path, common: Common, text: str) -> None:
    table.write_text(text)
    options: dict[str, Any] = {"label": "tags", "separator": "|"} if "tags" in text else {"labels": ("a", "A")}
    (warning,) = read(table, common, **options).warnings
    assert warning.text.startswith("labels whose names differ only in case are different labels: 'A' and 'a'") or (
        warning.text.startswith("labels whose names differ only in case are different labels: 'a' and 'A'")
    )


def test_a_table_without_labels_or_with_all_excluded_is_refused(table: Path, common: Common) -> None:
    table.write_text("path,tags\n0.png,\n1.png,\n")
    assert error(table, common, label="tags", separator="|") == (
        f"{table}: there must be a label that applies to an image of train. Received none."
    )
    table.write_text("path,tags\n0.png,a\n1.png,b\n")
    assert error(table, common, label="tags", separator="|", reading=Reading(exclude=["*.png"])) == (
        f"{table}: data.exclude must leave samples to train on. It excludes all 2."
    )
