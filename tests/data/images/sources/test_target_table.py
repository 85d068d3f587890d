"""Tables of images with numbers: what is read, and what is refused by file and line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.target_table import read_number_table
from dlcli.data.images.targets import target_values
from dlcli.errors import InputError

Save = Callable[..., Path]
Common = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path, save_image: Save) -> Path:
    """A folder with the images photos/0.png to photos/4.png."""
    for i in range(5):
        save_image(f"photos/{i}.png")
    return tmp_path


def read(path: Path, common: Common, **options: Any) -> Dataset:
    keys = {**common, "validation": 0.0, "test": 0.0, "image": "path", "targets": ("age", "weight")}
    return read_number_table(path=path, reading=Reading(), **keys | options)


def error(path: Path, common: Common, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value)


def test_numbers_in_the_order_of_the_recipe(folder: Path, common: Common) -> None:
    table = folder / "t.csv"
    table.write_text("path;weight;age\nphotos/0.png;1e-3;30\nphotos/1.png; -2.5 ;41\n")
    dataset = read(table, common)
    train = dataset.splits["train"]
    assert dataset.classes == ("age", "weight")
    assert not train.has_classes
    np.testing.assert_array_equal(target_values(train), [[30, 1e-3], [41, -2.5]])
    (target,) = train.targets()
    assert list(target.rows()) == ["value"]
    assert [(row["age"], row["weight"], row["label"]) for row in dataset.split_rows()] == [
        ("30.0", "0.001", ""),
        ("41.0", "-2.5", ""),
    ]
    comma = folder / "c.csv"
    comma.write_text("path;weight;age\nphotos/0.png;0,001;30\nphotos/1.png; -2,5 ;41\n")
    np.testing.assert_array_equal(
        target_values(read(comma, common, decimal="comma").splits["train"]), [[30, 1e-3], [41, -2.5]]
    )
    other = folder / "u.csv"
    other.write_text(table.read_text().replace("41", "42"))
    assert read(other, common).fingerprint() != dataset.fingerprint()


def test_a_folder_with_a_table_and_images_named_without_suffix_elsewhere(folder: Path, common: Common) -> None:
    (folder / "train.csv").write_text("Id,label\n0,1.5\n1,2.5\n")
    (folder / "test.csv").write_text("Id\n2\n")
    options = {"image": "Id", "targets": ("label",), "images": folder / "photos", "suffix": ".png"}
    dataset = read(folder, common, **options)
    assert dataset.splits["train"].names == ("0.png", "1.png")
    assert [row["label"] for row in dataset.split_rows()] == ["1.5", "2.5"]
    (folder / "train.csv").rename(folder / "more.csv")
    assert error(folder, common, **options) == (
        f"{folder}: must contain one table (.csv, .tsv) of its images. Received 'more.csv', 'test.csv'."
    )


def test_all_errors_in_numbers_are_located(folder: Path, common: Common) -> None:
    table = folder / "t.csv"
    table.write_text(
        "path,age,weight\nphotos/0.png,,1\nphotos/1.png,old,1\nphotos/2.png,1,1e300\nphotos/3.png,inf,1\nphotos/9.png,1,1\n"
    )
    assert error(table, common).splitlines() == [
        f"{table}:2: column 'age' has no value. Fill it in, or set data.on_missing: skip.",
        f"{table}:3: column 'age' must be a number. Received 'old'.",
        f"{table}:4: column 'weight' must be at most 1e+18 in magnitude. Received 1e300: rescale the column.",
        f"{table}:5: column 'age' must be a number. Received 'inf'.",
        f"{table}:6: photos/9.png: no such file.",
    ]


def test_rows_without_a_number_are_left_out_and_counted(folder: Path, common: Common) -> None:
    table = folder / "t.csv"
    table.write_text("path,age,weight\nphotos/0.png,NA,1\nphotos/1.png,2,1\nphotos/1.png,2,1\nphotos/2.png,3,\n")
    dataset = read(table, common, on_missing="skip")
    assert dataset.splits["train"].names == ("photos/1.png",)
    assert [(item.name, item.reason, item.kind) for item in dataset.left_out] == [
        ("photos/1.png", "listed again on line 4", "unused"),
        ("photos/0.png", "no value in column 'age'", "incomplete"),
        ("photos/2.png", "no value in column 'weight'", "incomplete"),
    ]
    table.write_text("path,age,weight\nphotos/0.png,,1\n")
    assert error(table, common, on_missing="skip").endswith(
        "train must have rows with all of the numbers. Received none."
    )


def test_an_image_with_two_different_numbers_is_refused(folder: Path, common: Common) -> None:
    table = folder / "t.csv"
    table.write_text("path,age,weight\nphotos/0.png,1,1\nphotos/0.png,2,1\n")
    assert error(table, common) == (
        f"{table}:3: an image must have the same numbers, split and group in all of its rows. Line 2 has others for "
        "'photos/0.png'."
    )


def test_columns_named_like_roles_and_like_columns_of_split_csv(folder: Path, common: Common) -> None:
    table = folder / "t.csv"
    table.write_text("path,image,group,part\nphotos/0.png,1,2,train\nphotos/1.png,3,4,test\n")
    dataset = read(table, common, targets=("image", "group"), split="part", validation=None, test=None)
    rows = dataset.split_rows()
    assert {name: rows[0][name] for name in ("split", "image", "group", "target_group")} == {
        "split": "train",
        "image": "1.0",
        "group": "",
        "target_group": "2.0",
    }
