"""Masks of COCO files: polygons, run-length encodings and crowds, drawn as by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.data.masks.coding import IGNORED
from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.sources.coco import read_coco_masks
from dlcli.data.masks.statistics import count_masks
from dlcli.errors import InputError

Common = dict[str, Any]
Save = Callable[..., Path]
SQUARE = [[1, 1, 4, 1, 4, 4, 1, 4]]
KEYS: dict[str, Any] = {
    "images": None,
    "validation_path": None,
    "test_path": None,
    "labels": None,
    "background": "background",
    "ignore": (),
    "on_bad_image": "error",
}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a COCO file of images a.png and b.png, 6x5 pixels, with cats (7) and dogs (8)."""

    def write(*annotations: dict[str, Any], name: str = "objects.json", **changes: Any) -> Path:
        for image, color in (("a", 10), ("b", 200)):
            Image.new("L", (6, 5), color).save(tmp_path / f"{image}.png")
        defaults = {"image_id": 1, "category_id": 7, "segmentation": SQUARE}
        content = {
            "images": [{"id": i, "file_name": f"{n}.png", "width": 6, "height": 5} for i, n in enumerate("ab", 1)],
            "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
            "annotations": [{"id": i, **defaults, **given} for i, given in enumerate(annotations, 1)],
            **changes,
        }
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return write


def read(path: Path, common: Common, **keys: Any) -> Dataset:
    return read_coco_masks(path=path, **{**KEYS, **keys}, **{**common, "validation": 0.0, "test": 0.0})  # type: ignore[arg-type]


def masks(data: Dataset, split: str = "train") -> list[np.ndarray]:
    found = masks_of(data.splits[split])
    assert found is not None
    return [mask.read() for mask in found.masks]


def error(path: Path, common: Common, **keys: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **keys)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def test_objects_are_drawn(save: Save, common: Common) -> None:
    data = read(save({}, {"image_id": 2, "category_id": 8, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}), common)
    assert data.classes == ("background", "cat", "dog")
    first, second = masks(data)
    assert first.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert (second == 2).sum() == 4
    assert count_masks(data.splits)["train"].pixels.tolist() == [47, 9, 4]
    rows = data.split_rows()
    assert [(row["file"], row["mask"]) for row in rows] == [("a.png", "objects.json"), ("b.png", "objects.json")]
    assert rows[0]["mask_digest"] != rows[1]["mask_digest"]


def test_small_objects_lie_on_large_ones_and_crowds_below(save: Save, common: Common) -> None:
    small = {"category_id": 8, "segmentation": [[2, 2, 3, 2, 3, 3, 2, 3]]}
    runs = {"counts": [0, 15, 15], "size": [5, 6]}  # the three columns on the left
    data = read(save(small, {}, {"iscrowd": 1, "segmentation": runs}, {"image_id": 2}), common)
    assert masks(data)[0].tolist() == [
        [IGNORED, IGNORED, IGNORED, 0, 0, 0],
        [IGNORED, 1, 1, 1, 0, 0],
        [IGNORED, 1, 2, 1, 0, 0],
        [IGNORED, 1, 1, 1, 0, 0],
        [IGNORED, IGNORED, IGNORED, 0, 0, 0],
    ]


def test_encodings(save: Save, common: Common) -> None:
    plain = {"segmentation": {"counts": [6, 2, 22], "size": [5, 6]}}
    compressed = {"image_id": 2, "segmentation": {"counts": "62f0", "size": [5, 6]}}  # the same numbers
    first, second = masks(read(save(plain, compressed), common))
    assert np.array_equal(first, second)
    assert np.argwhere(first == 1).tolist() == [[1, 1], [2, 1]]


def test_several_polygons_of_an_object(save: Save, common: Common) -> None:
    parts = [[0, 0, 1, 0, 1, 1, 0, 1], [5, 4, 6, 4, 6, 5, 5, 5]]
    mask = masks(read(save({"segmentation": parts}, {"image_id": 2}), common))[0]
    assert np.argwhere(mask == 1).tolist() == [[0, 0], [4, 5]]


def test_labels_background_and_ignore(save: Save, common: Common) -> None:
    both = save({}, {"category_id": 8, "segmentation": [[5, 0, 6, 0, 6, 5, 5, 5]]}, {"image_id": 2})
    data = read(both, common, labels=("dog", "cat"), background=None)
    assert data.classes == ("dog", "cat")
    assert np.unique(masks(data)[0]).tolist() == [0, 1, IGNORED]
    data = read(both, common, ignore=("dog",))
    assert data.classes == ("background", "cat")
    assert (masks(data)[0] == IGNORED).sum() == 5
    lines = error(both, common, labels=("cat",))
    assert lines[0] == (
        "objects.json: annotation 2 of a.png: a label must be in data.classes or data.ignore. Received 'dog'."
    )
    assert error(both, common, labels=("cat",), background=None, ignore=("dog",))[0].startswith(
        "objects.json: there must be from 2 to 255 classes of pixels. Received 'cat'"
    )


def test_splits_in_files_of_their_own(save: Save, common: Common, tmp_path: Path) -> None:
    train = save({}, images=[{"id": 1, "file_name": "a.png"}])
    other = save({}, name="val.json", images=[{"id": 1, "file_name": "b.png", "width": 6, "height": 5}])
    data = read_coco_masks(path=train, **{**KEYS, "validation_path": other}, **{**common, "test": 0.0})  # type: ignore[arg-type]
    assert (masks(data, "validation")[0] == 1).sum() == 9
    new = save({"category_id": 8}, name="val.json", images=[{"id": 1, "file_name": "b.png"}])
    with pytest.raises(InputError, match=r"a label must be in train too, or in data\.ignore\. Received 'dog'"):
        read_coco_masks(path=train, **{**KEYS, "validation_path": new}, **{**common, "test": 0.0})  # type: ignore[arg-type]
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"segmentation": []}, "segmentation must be a list of polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, "a polygon must be the numbers [x, y, x, y, …] of at least three corners"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "Received [1, 2, 3, 4, 5, '6']."),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e10]]}, "of at least three corners in pixels"),
        ({"segmentation": {"counts": "5~"}}, "counts must be lengths of runs: a character from '0' to 'o'"),
        ({"segmentation": {"counts": [1, -1, 30]}}, "they must be whole numbers of pixels. Received [1, -1, 30]."),
        (
            {"segmentation": {"counts": [9], "size": [3]}},
            "size must be the height and width of the image. Received [3].",
        ),
        ({"segmentation": None}, "a run-length encoding {counts, size}. Received None."),
    ],
)
def test_invalid_segmentations(save: Save, common: Common, given: dict[str, Any], message: str) -> None:
    lines = error(save(given), common)
    assert lines[0].startswith("objects.json: annotation 1 of a.png: ")
    assert message in lines[0]


def test_sizes_must_agree(save: Save, common: Common) -> None:
    path = save({}, images=[{"id": 1, "file_name": "a.png", "width": 60, "height": 50}])
    assert error(path, common)[0] == (
        "objects.json: image 1: the annotation is for an image of 60x50, but the image has 6x5."
    )
    path = save({"segmentation": {"counts": [6, 2, 20], "size": [4, 7]}}, {"image_id": 2})
    assert error(path, common)[0] == (
        "objects.json: annotation 1 of a.png: the runs of an encoding must be as long as the image, 30 pixels. "
        "Received 28."
    )


def test_exif_turns_masks_that_were_drawn_on_the_stored_image(save: Save, common: Common, tmp_path: Path) -> None:
    path = save({}, images=[{"id": 1, "file_name": "a.jpg", "width": 6, "height": 5}])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (6, 5)).save(tmp_path / "a.jpg", exif=exif)
    data = read(path, common)
    assert data.shape == (6, 5, 1)
    stored = np.zeros((5, 6), int)
    stored[1:4, 1:4] = 1
    assert masks(data)[0].tolist() == np.rot90(stored, -1).tolist()


def test_other_classes_than_a_trained_model_has(save: Save, common: Common) -> None:
    assert read(save({}), common, classes=("background", "cat")).classes == ("background", "cat")
    assert "in its order: cat, background" in error(save({}), common, classes=("cat", "background"))[0]
