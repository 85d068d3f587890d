"""Polygons of Cityscapes and labelme."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.data.masks.coding import IGNORED
from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.sources.polygons import read_polygons
from dlcli.errors import InputError

Common = dict[str, Any]
KEYS: dict[str, Any] = {
    "images": None,
    "polygons": None,
    "labels": None,
    "background": "background",
    "ignore": (),
    "on_missing": "error",
    "on_bad_image": "error",
}


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def save(root: Path, image: str, annotation: str, content: Any) -> None:
    for name in (image, annotation):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4), sum(image.encode()) % 251).save(root / image)
    (root / annotation).write_text(json.dumps(content))


def cityscapes(*objects: tuple[str, Any], **more: Any) -> dict[str, Any]:
    named = [{"label": label, "polygon": polygon, **more} for label, polygon in objects]
    return {"imgHeight": 4, "imgWidth": 6, "objects": named}


def labelme(*shapes: dict[str, Any], height: int = 4) -> dict[str, Any]:
    return {"version": "5", "imageHeight": height, "imageWidth": 6, "imagePath": "a.png", "shapes": list(shapes)}


def read(root: Path, common: Common, **keys: Any) -> Dataset:
    extra = {key: keys.pop(key) for key in list(keys) if key in common}
    return read_polygons(path=root, **{**KEYS, **keys}, **{**common, "test": 0.0, **extra})


def mask(data: Dataset, split: str = "train", position: int = 0) -> list[list[int]]:
    found = masks_of(data.splits[split])
    assert found is not None
    return found.masks[position].read().tolist()


def error(root: Path, common: Common, **keys: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(root, common, validation=0.0, **keys)
    return str(error.value).replace(f"{root}/", "").splitlines()


def test_cityscapes(tmp_path: Path, common: Common) -> None:
    """Later polygons hide earlier ones, some labels are ignored, and pixels in no polygon too."""
    for split in ("train", "val"):
        save(
            tmp_path,
            f"leftImg8bit/{split}/town/town_{split}_leftImg8bit.png",
            f"gtFine/{split}/town/town_{split}_gtFine_polygons.json",
            cityscapes(("road", box(0, 1, 6, 4)), ("car", box(1, 0, 3, 2)), ("ego vehicle", box(0, 3, 6, 4))),
        )
        color = tmp_path / f"gtFine/{split}/town/town_{split}_gtFine_color.png"
        Image.new("L", (6, 4)).save(color)
    data = read(tmp_path, common, labels=("road", "car"), background=None, ignore=("ego vehicle",))
    assert data.classes == ("road", "car")
    assert set(data.splits) == {"train", "validation"}
    assert (
        mask(data)
        == mask(data, "validation")
        == [
            [IGNORED, 1, 1, IGNORED, IGNORED, IGNORED],
            [0, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [IGNORED] * 6,
        ]
    )


def test_labelme_side_by_side(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a.png", "a.json", labelme({"label": "cat", "points": box(0, 0, 2, 2), "shape_type": "polygon"}))
    shapes = [
        {"label": "dog", "points": [[6, 4], [3, 1]], "shape_type": "rectangle"},
        {"label": "cat", "points": box(4, 2, 5, 3), "shape_type": None},
    ]
    save(tmp_path, "b.png", "b.json", labelme(*shapes))
    data = read(tmp_path, common, validation=0.0)
    assert data.classes == ("background", "cat", "dog")
    assert (np.array(mask(data)) == 1).sum() == 4
    assert mask(data, position=1) == [[0] * 6, [0, 0, 0, 2, 2, 2], [0, 0, 0, 2, 1, 2], [0, 0, 0, 2, 2, 2]]


def test_deleted_objects_are_left_out(tmp_path: Path, common: Common) -> None:
    content = cityscapes(("car", box(0, 0, 1, 1)), ("road", box(0, 0, 6, 4)))
    content["objects"].append({"label": "x", "polygon": box(0, 0, 6, 4), "deleted": 1})
    save(tmp_path, "images/a.png", "labels/a.json", content)
    data = read(tmp_path, common, validation=0.0)
    assert data.classes == ("background", "car", "road")
    assert np.unique(mask(data)).tolist() == [2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "must have 'objects', as in Cityscapes, or 'shapes', as in labelme."),
        (cityscapes(("", box(0, 0, 1, 1))), "object 1: label must be a name. Received ''."),
        (cityscapes(("car", [[0, 0], [1, 1]])), "object 1: a polygon must have at least three corners. Received 2."),
        (cityscapes(("car", [[0, 0], [1, 1], [2]])), "object 1: corners must be pairs [x, y] of pixels."),
        (cityscapes(("car", [[0, 0], [1, 1], [2, 1e300]])), "object 1: corners must be pairs [x, y] of pixels."),
        (
            labelme({"label": "cat", "points": [[0, 0], [1, 1]], "shape_type": "circle"}),
            "object 1: shape_type must be polygon or rectangle. Received 'circle'.",
        ),
        (labelme({"label": "cat", "points": box(0, 0, 1, 1)}, height=9), "for an image of 6x9, but the image has 6x4."),
    ],
)
def test_errors_name_the_file(tmp_path: Path, common: Common, content: Any, message: str) -> None:
    save(tmp_path, "a.png", "a.json", content)
    lines = error(tmp_path, common)
    assert lines[0].startswith("a.json: ")
    assert message in lines[0]


def test_what_is_not_json(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a.png", "a.json", {})
    (tmp_path / "a.json").write_text('{\n"shapes": [,]}')
    save(tmp_path, "b.png", "b.json", [])
    lines = error(tmp_path, common)
    assert lines[0].startswith("a.json:2: this is not valid JSON")
    assert lines[1].startswith("b.json: must have 'objects'")


def test_missing_counterparts_are_named(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a.png", "a.json", labelme({"label": "cat", "points": box(0, 0, 1, 1)}))
    (tmp_path / "b.json").write_text("{}")
    assert error(tmp_path, common)[0] == "b.json: a mask without image."
    assert read(tmp_path, common, validation=0.0, on_missing="skip").classes == ("background", "cat")
