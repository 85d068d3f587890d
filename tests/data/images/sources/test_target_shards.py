"""Packed images with numbers or labels are the same data set when they are read again."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.shard_writer import write_shards
from dlcli.data.images.sources.label_table import read_label_table
from dlcli.data.images.sources.shards import ANNOTATED_COLUMNS, INDEX, index_rows, read_shards
from dlcli.data.images.sources.target_shards import read_target_shards
from dlcli.data.images.sources.target_table import read_number_table
from dlcli.errors import InputError

Save = Callable[..., Path]


def pack(dataset: Dataset, folder: Path) -> Path:
    folder.mkdir()
    places = write_shards(dataset, folder, max_bytes=10**6, progress=lambda done, total: None)
    with open(folder / INDEX, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([ANNOTATED_COLUMNS, *index_rows(dataset, places)])
    return folder


@pytest.fixture
def table(save_classes: Save) -> Path:
    """Numbers and labels of twelve images, one label unknown."""
    folder = save_classes(a=12)
    lines = [f"a/{i:03}.png,{i / 3},{-i},{i % 2},{'' if i == 3 else i % 3 // 2}" for i in range(12)]
    (folder / "t.csv").write_text("path,x,offset,wet,cold\n" + "\n".join(lines) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize("entry", ["value", "labels"])
def test_the_data_set_is_the_same(table: Path, tmp_path: Path, common: dict[str, Any], entry: Any) -> None:
    keys = {"path": table, "image": "path", "reading": Reading(), **common}
    dataset = (
        read_number_table(targets=("x", "offset"), **keys)
        if entry == "value"
        else read_label_table(labels=("wet", "cold"), on_missing="unknown", **keys)
    )
    folder = pack(dataset, tmp_path / "packed")
    again = read_target_shards(path=folder, entry=entry, reading=Reading(), **common)
    assert again.fingerprint() == dataset.fingerprint()
    assert again.classes == dataset.classes
    for split, samples in dataset.splits.items():
        one, two = (of.targets()[0] for of in (samples, again.splits[split]))
        np.testing.assert_array_equal(one.values, two.values)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(
            samples.load(np.arange(len(samples))), again.splits[split].load(np.arange(len(samples)))
        )
    trained = read_target_shards(path=folder, entry=entry, reading=Reading(classes=dataset.classes), **common)
    assert trained.classes == dataset.classes
    with pytest.raises(
        InputError, match=r"must be those of the trained model, in its order: 'q'\. Received '\w+', '\w+'\.$"
    ):
        read_target_shards(path=folder, entry=entry, reading=Reading(classes=("q",)), **common)


def test_other_annotations_are_refused_in_words(table: Path, tmp_path: Path, common: dict[str, Any]) -> None:
    dataset = read_number_table(path=table, image="path", targets=("x",), reading=Reading(), **common)
    folder = pack(dataset, tmp_path / "packed")
    with pytest.raises(InputError) as error:
        read_shards(path=folder, reading=Reading(), **common)
    assert str(error.value) == (
        f"{folder / INDEX}:2: the images must have one class each here. They have numbers to predict: give a "
        "recipe whose task learns that, with data.kind: shards."
    )
    with pytest.raises(InputError, match=r"must have any number of labels here\. They have numbers to predict: give"):
        read_target_shards(path=folder, entry="labels", reading=Reading(), **common)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "annotation must be a JSON object."),
        ("[1]", "annotation must be a JSON object."),
        ('{"value": {"x": "1"}}', "annotation must be that of a packed image."),
        ('{"value": {"x": true}}', "annotation must be that of a packed image."),
        ('{"value": {"x": NaN}}', "annotation must be that of a packed image."),
        ('{"value": {"y": 1}}', "annotation must be that of a packed image."),
        ('{"value": [1]}', "annotation must be that of a packed image."),
    ],
)
def test_a_corrupt_annotation(table: Path, tmp_path: Path, common: dict[str, Any], content: str, message: str) -> None:
    dataset = read_number_table(path=table, image="path", targets=("x",), reading=Reading(), **common)
    folder = pack(dataset, tmp_path / "packed")
    with open(folder / INDEX, newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[2]["annotation"])["value"].keys() == {"x"}
    rows[2]["annotation"] = content
    with open(folder / INDEX, "w", newline="") as file:
        csv.writer(file).writerows([ANNOTATED_COLUMNS, *(row.values() for row in rows)])
    with pytest.raises(InputError) as error:
        read_target_shards(path=folder, entry="value", reading=Reading(), **common)
    assert str(error.value) == f"{folder / INDEX}:4: {message} Pack or import the data again with dlcli data."
