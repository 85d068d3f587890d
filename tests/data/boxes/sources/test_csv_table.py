from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import boxes_of, relative_boxes
from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import objects_of
from dlcli.data.boxes.sources.csv_table import read_box_csv
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
WriteTable = Callable[[str], Path]


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Writes boxes.csv, and the images 0.png to 9.png of 60x40 pixels beside it."""
    for i in range(10):
        Image.new("RGB", (60, 40), (i, 0, 0)).save(tmp_path / f"{i}.png")

    def write(text: str) -> Path:
        path = tmp_path / "boxes.csv"
        path.write_text(text)
        return path

    return write


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"image": "path", "label": "label", "split": None, "group": None, "several": "largest", **options}
    known = {"on_bad_box": "error", "on_bad_image": "error", **known}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    reading = BoxReading(
        **{key: known.pop(key) for key in list(known) if key in BoxReading.__annotations__ | Reading.__annotations__}
    )
    return read_box_csv(path=path, reading=reading, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return [
        line.removeprefix(f"{path.parent}/").removeprefix(str(path.parent)) for line in str(error.value).splitlines()
    ]


def corners_of(dataset: Dataset, split: str = "train") -> list[list[float]]:
    boxes = boxes_of(dataset.splits[split])
    assert boxes is not None
    return boxes.corners.tolist()


HEADER = "path,label,xmin,ymin,xmax,ymax\n"


def test_a_row_for_each_object(write_table: WriteTable, common: Common) -> None:
    table = write_table(
        HEADER + "1.png,cat,1,2,3,4\n0.png,dog,5, 6.5 ,1e1,20\n2.png,cat,,,,\n1.png,dog,0,0,9,9\n./1.png,dog,0,0,9,9\n"
    )
    dataset = read(table, common)
    assert dataset.classes == ("cat", "dog")
    assert dataset.splits["train"].names == ("0.png", "1.png", "2.png")
    assert dataset.splits["train"].labels.tolist() == [1, 1, 0]
    assert np.array_equal(corners_of(dataset), [[5, 6.5, 10, 20], [0, 0, 9, 9], [np.nan] * 4], equal_nan=True)
    assert tuple(map(str, dataset.warnings)) == ("1 image has several objects; the largest is learned (data.several).",)
    assert [(item.name, item.reason) for item in dataset.left_out] == [("boxes.csv:6", "listed again")]
    relative = relative_boxes(dataset.splits["train"])
    assert relative is not None
    assert np.allclose(relative[1], [0, 0, 9 / 60, 9 / 40])
    assert corners_of(read(table, common, several="first"))[1] == [1, 2, 3, 4]


def test_columns_with_other_names(write_table: WriteTable, common: Common) -> None:
    table = write_table("bottom;file;left;right;species;top;w;h\n4;0.png;1;3;a;2;60;40\n9;1.png;0;9;b;0;;\n")
    options = {"image": "file", "label": "species", "box": ("left", "top", "right", "bottom"), "size": ("w", "h")}
    assert corners_of(read(table, common, **options)) == [[1, 2, 3, 4], [0, 0, 9, 9]]


def test_columns_of_splits_and_groups(write_table: WriteTable, common: Common) -> None:
    rows = [f"{i}.png,cat,0,0,{i + 1},5,{['train', 'val', 'test'][i % 3]},g{i % 3}" for i in range(6)]
    table = write_table(HEADER.strip() + ",fold,who\n" + "\n".join(rows))
    dataset = read(table, common, split="fold", group="who", validation=None, test=None)
    assert {split: samples.names for split, samples in dataset.splits.items()} == {
        "train": ("0.png", "3.png"),
        "validation": ("1.png", "4.png"),
        "test": ("2.png", "5.png"),
    }
    assert dataset.splits["test"].groups == ("g2", "g2")
    assert corners_of(dataset, "test") == [[0, 0, 3, 5], [0, 0, 6, 5]]
    grouped = read(table, common, group="who", validation=0.3, test=0.3)
    assert sorted(sorted(set(samples.groups or ())) for samples in grouped.splits.values()) == [["g0"], ["g1"], ["g2"]]


def test_the_size_that_boxes_were_drawn_for(write_table: WriteTable, common: Common) -> None:
    table = write_table(HEADER.strip() + ",w,h\n0.png,cat,20,20,40,60,120,80\n1.png,cat,20,20,40,30,60,40\n")
    assert error(table, common, size=("w", "h")) == [
        "boxes.csv:2: the annotation is for an image of 120x80, but the image has 60x40",
        "1 of 2 boxes cannot be used. Correct them, or set data.on_bad_box in a recipe: repair or skip.",
    ]
    repaired = read(table, common, size=("w", "h"), on_bad_box="repair")
    assert corners_of(repaired) == [[10, 10, 20, 30], [20, 20, 40, 30]]
    assert tuple(map(str, repaired.warnings)) == ("1 bad box was repaired (data.on_bad_box): boxes.csv:2.",)
    skipped = read(table, common, size=("w", "h"), on_bad_box="skip")
    assert skipped.splits["train"].names == ("1.png",)


def test_a_row_without_an_object_of_an_image_with_objects_is_named(write_table: WriteTable, common: Common) -> None:
    table = write_table(HEADER + "0.png,cat,1,2,3,4\n0.png,,,,,\n1.png,,,,,\n2.png,dog,1,2,3,4\n2.png,,,,,\n")
    dataset = read_box_csv(
        path=table,
        image="path",
        label="label",
        split=None,
        group=None,
        reading=ObjectReading(),
        **{**common, "validation": 0.0, "test": 0.0},
    )
    assert tuple(map(str, dataset.warnings)) == (
        "2 rows without an object are ignored: other rows list objects of the same images: 'boxes.csv:3', "
        "'boxes.csv:6'.",
    )
    objects = objects_of(dataset.splits["train"])
    assert objects is not None
    assert objects.counts.tolist() == [1, 0, 1]


MUST_CORRECT = "Correct them, or set data.on_bad_box in a recipe: repair or skip."


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (
            "path,label,xmin,ymin,xmaks,ymax\n0.png,a,1,2,3,4\n",
            {},
            [
                "boxes.csv:1: there must be a column 'xmax'. Received 'path', 'label', 'xmin', 'ymin', 'xmaks', "
                "'ymax'. Did you mean 'xmaks'?"
            ],
        ),
        (HEADER, {}, ["boxes.csv: there must be rows below the header. Received none."]),
        (
            HEADER + "0.png,a,1,2,3,\n1.png,a,1,2,three,4\n2.png,a,1,2_0,3,4\n3.png,,1,2,3,4\n4.png,a,1,2,3\n",
            {},
            [
                "boxes.csv:2: a row must have all four numbers of its box, or none. Column 'ymax' is empty.",
                "boxes.csv:3: column 'xmax' must be a number of pixels. Received 'three'.",
                "boxes.csv:4: column 'ymin' must be a number of pixels. Received '2_0'.",
                "boxes.csv:5: column 'label' must not be empty.",
                "boxes.csv:6: a row must have 6 values, like the header. Received 5.",
            ],
        ),
        (
            HEADER + '0.png,"two\nlines",1,2,3,4\n1.png,nul\0,1,2,3,4\n',
            {},
            [
                "boxes.csv:2: column 'label': a class name must be on one line, without control characters. Received "
                r"'two\nlines'.",
                "boxes.csv:4: column 'label': a class name must be on one line, without control characters. Received "
                r"'nul\x00'.",
            ],
        ),
        (
            HEADER.strip() + ",w,h\n0.png,a,1,2,3,4,60,\n1.png,a,1,2,3,4,60.5,40\n2.png,a,1,2,3,4,60,-1\n",
            {"size": ("w", "h")},
            [
                "boxes.csv:2: column 'h' must be a whole number of pixels. Received ''.",
                "boxes.csv:3: column 'w' must be a whole number of pixels. Received '60.5'.",
                "boxes.csv:4: column 'h' must be a whole number of pixels. Received '-1'.",
            ],
        ),
        (
            HEADER.strip() + ",fold\n0.png,a,1,2,3,4,train\n1.png,a,1,2,3,4,test\n0.png,a,5,6,7,8,test\n",
            {"split": "fold"},
            [
                "boxes.csv:4: an image must have one split, group and size. Line 2 has others for '0.png'.",
                "Correct the rows.",
            ],
        ),
        (
            HEADER.strip() + ",w,h\n0.png,a,1,2,3,4,60,40\n0.png,a,5,6,7,8,40,60\n",
            {"size": ("w", "h")},
            [
                "boxes.csv:3: an image must have one split, group and size. Line 2 has others for '0.png'.",
                "Correct the rows.",
            ],
        ),
        (
            HEADER.strip() + ",fold,who\n0.png,a,1,2,3,4,train,x\n1.png,a,1,2,3,4,test,x\n",
            {"split": "fold", "group": "who"},
            ["boxes.csv:3: a group must be in one split. Group 'x' is in test here and in train on line 2."],
        ),
        (
            HEADER.strip() + ",fold\n0.png,a,1,2,3,4,test\n",
            {"split": "fold"},
            ["boxes.csv: train must contain an image with an object to learn. Received none."],
        ),
        (
            HEADER.strip() + ",fold\n0.png,a,1,2,3,4,train\n1.png,b,1,2,3,4,test\n",
            {"split": "fold"},
            [
                "boxes.csv: every class in test must also be in train. Received 'b': "
                "correct the name or remove the samples. Classes: 'a'."
            ],
        ),
        (
            HEADER + "2.png,a,3,2,1,4\n1.png,a,1,2,nan,4\n1.png,b,1,2,99,4\n",
            {},
            [
                "boxes.csv:2 (a): its corners are swapped: xmin 3 is greater than xmax 1",
                "boxes.csv:3 (a): its box must be in pixels of the image: xmax is nan",
                "boxes.csv:4 (b): its box is outside of the image of 60x40: xmax is 99",
                f"3 of 3 boxes cannot be used. {MUST_CORRECT}",
            ],
        ),
        (
            HEADER + "0.png,a,0.1,0.2,0.3,0.4\n1.png,a,0,0,1,1\n2.png,a,,,,\n",
            {},
            [
                ": boxes must be in pixels of their images. Received 2 boxes, all between 0 and "
                "1: multiply them by the images' width and height."
            ],
        ),
        (
            HEADER + "0.png,a,1,2,3,4\nmissing.png,a,1,2,3,4\n",
            {},
            [
                "boxes.csv:3: missing.png: no such file",
                "1 of 2 images cannot be read. Repair or remove the files above, or leave them out with "
                "`data.on_bad_image: skip`.",
            ],
        ),
    ],
)
def test_errors_are_reported_with_their_line(
    write_table: WriteTable, common: Common, text: str, options: dict[str, Any], expected: list[str]
) -> None:
    assert error(write_table(text), common, **options) == expected
