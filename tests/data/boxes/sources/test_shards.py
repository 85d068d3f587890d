"""Packed images with boxes or objects are the same data set when they are read again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import objects_of
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.boxes.sources.shards import read_box_shards, read_object_shards
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import INDEX
from dlcli.errors import InputError

Pack = Callable[[Dataset], Path]
Change = Callable[[Path, dict[str, Any]], None]
FILES: dict[str, Any] = {"images": None, "validation_path": None, "test_path": None}
TURNED = 6  # EXIF orientation: a quarter turn


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Ten images of 30x20 pixels, of which one is rotated by its EXIF data and one has no object; with a crowd."""
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    for i in range(10):
        image = Image.new("RGB", (30, 20), (i, 0, 0))
        exif = Image.Exif()
        exif[0x0112] = TURNED if i == 2 else 1
        image.save(tmp_path / "images" / f"{i}.png", exif=exif)
        images.append({"id": i, "file_name": f"{i}.png", "width": 30, "height": 20})
        for k in range(0 if i == 5 else 1 + i % 2):
            box = [1 / 3 + k, 2, 10 + k, 5.5]
            annotations.append(
                {
                    "id": 10 * i + k,
                    "image_id": i,
                    "category_id": k,
                    "bbox": box,
                    "area": 40.25,
                    "iscrowd": int(i == 7 and k == 1),
                }
            )
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def assert_same(dataset: Dataset, again: Dataset) -> None:
    assert again.fingerprint() == dataset.fingerprint()
    for split, samples in dataset.splits.items():
        rows, others = (of.targets()[0].rows() for of in (samples, again.splits[split]))
        assert rows.keys() == others.keys()
        for name, values in rows.items():
            np.testing.assert_array_equal(values, others[name])


def test_boxes(coco: Path, pack: Pack, common: dict[str, Any]) -> None:
    common["image_size"] = (20, 30)
    dataset = read_coco(**FILES, path=coco, reading=BoxReading(), **common)
    again = read_box_shards(path=pack(dataset), reading=Reading(), **common)
    assert_same(dataset, again)


def test_objects(coco: Path, pack: Pack, common: dict[str, Any]) -> None:
    common["image_size"] = (20, 30)
    dataset = read_coco(**FILES, path=coco, reading=ObjectReading(min_visible=0.3), **common)
    folder = pack(dataset)
    again = read_object_shards(path=folder, reading=ObjectReading(min_visible=0.3), **common)
    assert_same(dataset, again)
    found = [objects_of(samples) for samples in again.splits.values()]
    assert sum(int(objects.is_crowd.sum()) for objects in found if objects is not None) == 1
    assert {objects.min_visible for objects in found if objects is not None} == {0.3}
    cats = read_object_shards(path=folder, reading=ObjectReading(learned=("cat",)), **common)
    assert cats.classes == ("cat",)
    assert len(cats.left_out) == 4  # dogs


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("objects", [{"label": "cat", "box": [0, 0, 1]}]),
        ("objects", [{"label": "cat", "box": [0, 0, 99, 5], "area": 1}]),
        ("objects", [{"label": 3, "box": [0, 0, 9, 5], "area": 1}]),
        ("objects", [{"label": "cat", "box": [0, 0, 9, 5]}]),
        ("objects", 7),
        ("frame", [30, 21, 1]),
        ("frame", [30, 20, 9]),
        ("frame", None),
    ],
)
def test_a_corrupt_annotation(
    coco: Path, pack: Pack, change_row: Change, common: dict[str, Any], key: str, value: Any
) -> None:
    common["image_size"] = (20, 30)
    folder = pack(read_coco(**FILES, path=coco, reading=ObjectReading(), **common))
    change_row(folder, {key: value})
    with pytest.raises(InputError) as error:
        read_object_shards(path=folder, reading=ObjectReading(), **common)
    expected = "annotation must be that of a packed image. Pack or import the data again with dlcli data."
    assert str(error.value) == f"{folder / INDEX}:3: {expected}"
