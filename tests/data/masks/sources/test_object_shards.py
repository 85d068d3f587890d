"""Packed images with masks of objects are the same data set when they are read again."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.boxes.shapes import DrawnInstances
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.boxes.sources.shards import read_object_shards
from dlcli.data.files import hash_content
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import INDEX
from dlcli.data.masks.sources.instances import FileInstances, read_instance_masks
from dlcli.data.masks.sources.object_shards import read_instance_shards
from dlcli.errors import InputError

Common = dict[str, Any]
Pack = Callable[[Dataset], Path]
Change = Callable[[Path, dict[str, Any]], None]
WIDTH, HEIGHT = 30, 20
TURNED = 6  # EXIF orientation: a quarter turn


@pytest.fixture
def drawn(tmp_path: Path, common: Common) -> Dataset:
    """Ten images of COCO with polygons and runs; one is rotated by its EXIF data, and one has no object."""
    images, annotations = [], []
    for i in range(10):
        exif = Image.Exif()
        exif[0x0112] = TURNED if i == 2 else 1
        Image.new("RGB", (WIDTH, HEIGHT), (i, 0, 0)).save(tmp_path / f"{i}.png", exif=exif)
        images.append({"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT})
        polygons = [[1 / 3, 2, 10 + i, 2, 10 + i, 12.7, 1, 12], [20, 5, 25.1, 5, 22, 9]]
        runs = {"size": [HEIGHT, WIDTH], "counts": [40, 15 + i, HEIGHT * WIDTH - 55 - i]}
        for k in range(0 if i == 5 else 1 + i % 2):
            annotations.append(
                {
                    "id": 10 * i + k,
                    "image_id": i,
                    "category_id": k,
                    "bbox": [1, 2, 9, 9],
                    "area": 40.25,
                    "iscrowd": int(k == 1 and i == 7),
                    "segmentation": runs if k else polygons,
                }
            )
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    file = tmp_path / "coco.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    common["image_size"] = (HEIGHT, WIDTH)
    reading = ObjectReading(min_visible=0.3, instances=DrawnInstances.of)
    return read_coco(path=file, images=None, validation_path=None, test_path=None, reading=reading, **common)


@pytest.fixture
def ids(tmp_path: Path, common: Common) -> Dataset:
    """Ten images beside masks in which each object has its own value; one has no object, one mask is a BMP."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(10):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if i != 4:
            mask[1 : 5 + i, 2:9], mask[9:12, 20:] = 1, 7
        Image.fromarray(mask).save(tmp_path / f"masks/{i}.{'bmp' if i == 3 else 'png'}")
        Image.new("RGB", (WIDTH, HEIGHT), (i, 50, 90)).save(tmp_path / f"images/{i}.png")
    keys: dict[str, Any] = {"images": None, "masks": None, "label": "person"}
    return read_instance_masks(path=tmp_path, reading=ObjectReading(instances=FileInstances.of), **keys, **common)


def read(folder: Path, common: Common, **keys: Any) -> Dataset:
    return read_instance_shards(path=folder, reading=ObjectReading(**keys), **common)


def objects(dataset: Dataset, split: str) -> ObjectBoxes:
    found = objects_of(dataset.splits[split])
    assert found is not None
    return found


def assert_same(dataset: Dataset, again: Dataset) -> None:
    assert again.fingerprint() == dataset.fingerprint()
    assert again.split_rows() == dataset.split_rows()
    assert list(again.splits) == ["train", "validation", "test"]
    for split in dataset.splits:
        ours, theirs = objects(again, split), objects(dataset, split)
        np.testing.assert_array_equal(ours.corners, theirs.corners)
        assert ours.instances is not None
        assert theirs.instances is not None
        for instances, others in zip(ours.instances, theirs.instances, strict=True):
            np.testing.assert_array_equal(instances.read(), others.read())


def test_polygons_and_runs(drawn: Dataset, pack: Pack, common: Common) -> None:
    folder = pack(drawn)
    assert_same(drawn, read(folder, common, min_visible=0.3))
    cats = read(folder, common, learned=("cat",))
    assert cats.classes == ("cat",)
    assert {len(masks.read()) for masks in objects(cats, "train").instances or ()} <= {0, 1}


def test_ids(ids: Dataset, pack: Pack, common: Common) -> None:
    folder = pack(ids)
    assert_same(ids, read(folder, common))
    names = []
    for shard in folder.glob("*.tar"):
        with tarfile.open(shard) as tar:
            names += [name.partition(".")[2] for name in tar.getnames()]
    assert (names.count("ids.png"), names.count("ids.bmp"), names.count("json")) == (8, 1, 10)


def test_detection_needs_no_masks(drawn: Dataset, pack: Pack, common: Common) -> None:
    boxes = read_object_shards(path=pack(drawn), reading=ObjectReading(min_visible=0.3), **common)
    assert objects(boxes, "train").instances is None
    np.testing.assert_array_equal(objects(boxes, "train").corners, objects(drawn, "train").corners)


def test_objects_without_masks_are_refused(drawn: Dataset, pack: Pack, common: Common) -> None:
    splits = {
        split: replace(samples, annotations={"objects": replace(objects(drawn, split), instances=None)})
        for split, samples in drawn.splits.items()
    }
    folder = pack(replace(drawn, splits=splits))
    with pytest.raises(InputError) as error:
        read(folder, common)
    assert str(error.value).startswith(f"{folder / INDEX}:2: the objects must have masks. They have boxes alone: pack")


OBJECT = {"label": "cat", "box": [0, 0, 9, 5], "area": 1}


@pytest.mark.parametrize(
    "shape",
    [
        {"polygons": [[1, 2, 3, 4]]},
        {"polygons": [[1, 2, 3, 4, 5]]},
        {"polygons": []},
        {"polygons": [[1, 2, 3, "4", 5, None]]},
        {"polygons": [[1, 2, 3, float("nan"), 5, 9]]},
        {"polygons": [[90, 90, 99, 90, 99, 99]]},
        {"runs": [1, 2]},
        {"runs": [-1, HEIGHT * WIDTH + 1]},
        {"runs": [1.0, HEIGHT * WIDTH - 1.0]},
        {"runs": 9},
        {"runs": [2**70]},
        {"value": 7},
    ],
)
def test_a_corrupt_shape(drawn: Dataset, pack: Pack, common: Common, change_row: Change, shape: dict[str, Any]) -> None:
    folder = pack(drawn)
    change_row(folder, {"objects": [OBJECT | shape]})
    with pytest.raises(InputError) as error:
        read(folder, common)
    expected = "annotation must be that of a packed image. Pack or import the data again with dlcli data."
    assert str(error.value) == f"{folder / INDEX}:3: {expected}"


def test_a_mask_file_of_another_size(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "a.png")
    instances = FileInstances(tmp_path / "a.png", hash_content((tmp_path / "a.png").read_bytes()), (1,), (6, 4))
    with pytest.raises(InputError, match=r"it must have the size of its image, 6x4 pixels\. It has 5x4\."):
        instances.read()
