from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.csv_table import read_csv
from dlcli.errors import InputError

Save = Callable[..., Path]
Common = dict[str, Any]
WriteTable = Callable[..., Path]


@pytest.fixture
def write_table(tmp_path: Path, save_image: Save) -> WriteTable:
    """Writes data.csv, and the images 0.png to 9.png beside it."""
    for i in range(10):
        save_image(f"{i}.png")

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"image": "path", "label": "label", "split": None, "group": None, "on_bad_image": "error", **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    reading = Reading(
        **{key: known.pop(key) for key in list(known) if key in Reading.__annotations__ | Reading.__annotations__}
    )
    return read_csv(path=path, reading=reading, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value)


def labeled(dataset: Dataset) -> dict[str, str]:
    """Class by name, of all splits."""
    return {row["file"]: row["label"] for row in dataset.split_rows()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns_by_name(write_table: WriteTable, common: Common, delimiter: str, encoding: str, newline: str) -> None:
    rows = ["path,note,label", '0.png,"a, b; c",katze', "1.png,,Hündin", "", " 2.png ,x, katze "]
    if delimiter != ",":
        rows = [row.replace(",", delimiter) for row in rows]
    dataset = read(write_table(newline.join(rows), encoding), common)
    assert labeled(dataset) == {"0.png": "katze", "1.png": "Hündin", "2.png": "katze"}
    assert dataset.classes == ("Hündin", "katze")
    assert dataset.shape == (8, 6, 3)


def test_columns_with_other_names(write_table: WriteTable, common: Common) -> None:
    table = write_table("file,species\n0.png,a\n1.png,b\n")
    assert labeled(read(table, common, image="file", label="species")) == {"0.png": "a", "1.png": "b"}


def test_labels_stay_strings(write_table: WriteTable, common: Common) -> None:
    assert read(write_table("path,label\n0.png,10\n1.png,9\n2.png,09\n"), common).classes == ("09", "10", "9")


def test_paths_are_relative_to_the_table(
    write_table: WriteTable, save_image: Save, tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image("below/deep/x.png")
    table = write_table(f"path,label\n./below/../below/deep/x.png,a\n{tmp_path}/1.png,b\n")
    monkeypatch.chdir("/")
    dataset = read(table, common)
    assert dataset.splits["train"].names == ("below/deep/x.png", f"{tmp_path}/1.png")
    assert dataset.splits["train"].load(np.arange(2)).shape == (2, 8, 6, 3)


def test_paths_that_leave_the_folder_need_permission(
    write_table: WriteTable, save_image: Save, tmp_path: Path, common: Common
) -> None:
    outside = save_image("x.png").rename(f"{tmp_path}.png")
    table = write_table(f"path,label\n1.png,a\n{outside},b\n2.png,b\nbelow/../../x.png,b\n")
    with pytest.raises(InputError) as caught:
        read(table, common)
    lines = sorted(str(caught.value).splitlines())
    assert [line.split(": ")[0] for line in lines] == [f"{table}:3", f"{table}:5"]
    assert lines[0] == (
        f"{table}:3: images must be in {table.parent}. Received '{outside}': move the image there, or set "
        "data.allow_outside: true in a recipe."
    )
    table = write_table(f"path,label\n1.png,a\n{outside},b\n")
    assert str(outside) in read(table, common, allow_outside=True).splits["train"].names


def test_backslashes_and_excluded_rows(write_table: WriteTable, save_image: Save, common: Common) -> None:
    save_image("below/x.png")
    table = write_table("path,label\nbelow\\x.png,a\n1.png,b\n2.png,b\n")
    dataset = read(table, common, exclude=("2.*",), validation=0.0, test=0.0)
    assert dataset.splits["train"].names == ("below/x.png", "1.png")
    assert [(item.name, item.reason) for item in dataset.left_out] == [("2.png", "excluded by '2.*'")]


def test_a_column_of_splits(write_table: WriteTable, common: Common) -> None:
    rows = ["path,label,fold"]
    for i, fold in enumerate(["train", "Train", "val", "validation", "test", "TEST", "train"]):
        rows.append(f"{i}.png,{'ab'[i % 2]},{fold}")
    table = write_table("\n".join(rows))
    dataset = read(table, common, split="fold", validation=None, test=None)
    assert {split: samples.names for split, samples in dataset.splits.items()} == {
        "train": ("0.png", "1.png", "6.png"),
        "validation": ("2.png", "3.png"),
        "test": ("4.png", "5.png"),
    }
    message = error(table, common, split="fold", validation=0.5)
    assert "data.validation must be left out or null, because the data has its own validation split." in message


def test_groups_stay_together(write_table: WriteTable, common: Common) -> None:
    rows = ["path,label,patient"] + [f"{i}.png,{'ab'[i % 2]},p{i // 2}" for i in range(10)]
    dataset = read(write_table("\n".join(rows)), common, group="patient", validation=0.2, test=0.2)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    for samples in dataset.splits.values():
        assert samples.groups is not None
        assert all(samples.groups.count(group) == 2 for group in samples.groups)
    assert {row["file"]: row["group"] for row in dataset.split_rows()}["9.png"] == "p4"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, ["data.csv:1: there must be a column 'path'. Received no header."]),
        ("path,label\n", {}, ["data.csv: there must be rows below the header. Received none."]),
        (
            "paht,label\n0.png,a\n",
            {},
            ["data.csv:1: there must be a column 'path'. Received 'paht', 'label'. Did you mean 'paht'?"],
        ),
        ("path,label,path\n0.png,a,b\n", {}, ["data.csv:1: there must be one column 'path'. Received 2."]),
        (
            "path,label\n0.png,a\n1.png\n2.png,b,c\n3.png,\n,b\n",
            {},
            [
                "data.csv:3: a row must have 2 values, like the header. Received 1.",
                "data.csv:4: a row must have 2 values, like the header. Received 3.",
                "data.csv:5: column 'label' must not be empty.",
                "data.csv:6: column 'path' must not be empty.",
            ],
        ),
        (
            "path,label,fold\n0.png,a,train\n1.png,b,tain\n",
            {"split": "fold"},
            [
                "data.csv:3: column 'fold' must be train, validation (or val, valid, dev, eval) or test. "
                "Received 'tain'."
            ],
        ),
        (
            "path,label,fold\n0.png,a,test\n1.png,b,val\n",
            {"split": "fold"},
            ["data.csv: column 'fold' must be train in some rows. Received none."],
        ),
        (
            "path,label,who\n0.png,a,\n1.png,b,x\n",
            {"group": "who"},
            ["data.csv:2: column 'who' must not be empty."],
        ),
        (
            "path,label\n0.png,a\n1.png,b\n./0.png,b\n",
            {},
            [
                "data.csv:4: an image must have one label, split and group. Line 2 has others for '0.png'.",
            ],
        ),
        (
            "path,label,fold,who\n0.png,a,train,x\n1.png,b,train,y\n2.png,a,test,x\n",
            {"split": "fold", "group": "who"},
            ["data.csv:4: a group must be in one split. Group 'x' is in test here and in train on line 2."],
        ),
        (
            "path,label,fold\n0.png,a,train\n1.png,b,train\n2.png,c,test\n",
            {"split": "fold"},
            [
                "data.csv: every class in test must also be in train. Received 'c': "
                "correct the name or remove the samples. Classes: 'a', 'b'."
            ],
        ),
        (
            "path,label\n0.png,a\n1.png,a\n",
            {},
            ["data.csv: there must be at least two classes. Received one: 'a'."],
        ),
        (
            'path,label\n0.png,a\n"1.png,b\n2.png,b\n',
            {},
            [
                "data.csv:3: this row is not valid CSV: a quote is not closed or not doubled, or a cell is too long. "
                "Correct it."
            ],
        ),
    ],
)
def test_errors_are_reported_with_their_line(
    write_table: WriteTable, common: Common, text: str, options: dict[str, Any], expected: list[str]
) -> None:
    table = write_table(text)
    lines = error(table, common, **options).splitlines()
    assert [line.removeprefix(f"{table.parent}/") for line in lines] == expected


def test_many_errors_are_counted(write_table: WriteTable, common: Common) -> None:
    lines = error(write_table("path,label\n" + "x\n" * 25), common).splitlines()
    assert len(lines) == 11
    assert lines[10] == "… and 15 more rows"


def test_missing_files_are_reported_with_other_errors(write_table: WriteTable, common: Common) -> None:
    table = write_table("path,label\n0.png,a\nmissing.png,b\n1.png\n")
    assert error(table, common).splitlines() == [
        f"{table}:3: missing.png: no such file.",
        f"{table}:4: a row must have 2 values, like the header. Received 1.",
    ]


def test_an_image_listed_twice_is_used_once(write_table: WriteTable, common: Common) -> None:
    dataset = read(write_table("path,label\n0.png,a\n1.png,b\n0.png,a\n"), common)
    assert dataset.splits["train"].names == ("0.png", "1.png")
    assert [(item.name, item.reason) for item in dataset.left_out] == [("0.png", "listed again on line 4")]


def test_unreadable_images_are_reported_with_their_line(write_table: WriteTable, common: Common) -> None:
    table = write_table('path,label\n0.png,a\n"no\nsuch.png",b\n\nmissing.png,a\n1.png,b\n')
    assert error(table, common).splitlines() == [
        f"{table}:6: missing.png: no such file",
        f"{table}:3: no\\nsuch.png: no such file",
        "2 of 4 images cannot be read. Repair or remove the files above, or leave them out with "
        "`data.on_bad_image: skip`.",
    ]
    dataset = read(table, common, on_bad_image="skip")
    assert labeled(dataset) == {"0.png": "a", "1.png": "b"}
    assert [item.name for item in dataset.left_out] == ["missing.png", "no\\nsuch.png"]


def test_any_suffix_is_read_by_content(write_table: WriteTable, tmp_path: Path, common: Common) -> None:
    (tmp_path / "0.png").rename(tmp_path / "0.tif")
    assert len(read(write_table("path,label\n0.tif,a\n1.png,b\n"), common).splits["train"]) == 2


def test_other_encodings_are_refused(write_table: WriteTable, common: Common) -> None:
    table = write_table("path,label\n0.png,a\n1.png,Hündin\n", "latin-1")
    assert error(table, common) == f"{table}:3: the table must be UTF-8 text. Received byte 0xfc: save it as UTF-8."


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_utf_16_with_a_byte_order_mark_and_line_ends_of_any_system(
    write_table: WriteTable, common: Common, newline: str
) -> None:
    table = write_table(newline.join(["path,label", "0.png,a", "1.png,Hündin", ""]), "utf-16")
    assert labeled(read(table, common)) == {"0.png": "a", "1.png": "Hündin"}


def test_files_that_are_not_tables(
    tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch, write_table: WriteTable
) -> None:
    assert error(tmp_path, common) == f"{tmp_path}: a folder, not a file. Give a CSV file that lists the images."
    missing = tmp_path / "missing.csv"
    assert error(missing, common) == f"{missing}: no such file. Give a CSV file that lists the images."
    assert "2: a row must have 2 values, like the header. Received 1." in error(
        write_table("path,label\n" + "x" * 200_000), common
    )
    monkeypatch.setattr("dlcli.data.table.MAX_BYTES", 5)
    assert "a table may have at most 5 bytes." in error(write_table("path,label\n"), common)
