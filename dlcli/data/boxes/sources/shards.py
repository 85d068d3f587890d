"""Images in shards with a box each, or with any number of objects. The boxes were checked when they were packed."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from dlcli.data.boxes.annotated import Annotated, CheckedImage, valid_corners
from dlcli.data.boxes.boxes import TURNS, BadBox, Boxes, Corners, Frame, Object, ObjectShape
from dlcli.data.boxes.object_dataset import ObjectReading, assemble_checked_objects, of_classes
from dlcli.data.images.dataset import CommonKeys, Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import INDEX, PackedRow, assemble_shards, list_shards, parse_annotations
from dlcli.data.listing import without_excluded


def read_box_shards(*, path: str | Path, reading: Reading, **common: Unpack[CommonKeys]) -> Dataset:
    """The images that the index of a folder of shards lists, with its splits, and the class and box of each.

    Raises:
        InputError: as for :func:`~dlcli.data.images.sources.shards.list_shards`, or the images cannot be used.
    """
    folder = Path(path)
    rows = list_shards(folder, "box")
    found = dict(zip((row.name for row in rows), parse_annotations(folder, rows, _box_of), strict=True))

    def boxes_of(part: Any) -> Boxes:
        corners = np.array([found[row.name][0] for row in part], np.float64).reshape(-1, 4)
        return Boxes(corners, tuple(found[row.name][1] for row in part))

    return assemble_shards(
        folder, rows, reading=reading, common=common, annotate=lambda part: {"boxes": boxes_of(part)}, least=1
    )


ShapeOf = Callable[[PackedRow, Mapping[str, Any], Frame], ObjectShape | None]
"""The pixels of an object by its entry in the index; None if only its box is known, or needed. It may raise ValueError,
KeyError or TypeError."""


def read_object_shards(
    *,
    path: str | Path,
    reading: ObjectReading,
    shape_of: ShapeOf = lambda row, found, frame: None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images that the index of a folder of shards lists, with its splits and all their objects.

    Raises:
        InputError: as for :func:`~dlcli.data.images.sources.shards.list_shards`, or the images cannot be used.
    """
    folder = Path(path)
    rows = list_shards(folder, "objects")
    images = parse_annotations(folder, rows, lambda row: _checked_image(row, shape_of))
    kept, excluded = without_excluded([checked.image for checked in images], reading.exclude, source=str(folder))
    learned, other_classes = of_classes(kept, reading.learned)
    frames = {checked.image.name: checked.frame for checked in images}
    return assemble_checked_objects(
        [CheckedImage(image, frames[image.name], image.objects) for image in learned],
        source=folder,
        folder=folder,
        reading=reading,
        left_out=[*excluded, *other_classes],
        common=common,
    )


def _box_of(row: PackedRow) -> tuple[Corners, Frame]:
    frame = _frame_of(row)
    box = row.annotation["box"]
    return (math.nan,) * 4 if box is None else _corners_of(box, frame), frame


def _checked_image(row: PackedRow, shape_of: ShapeOf) -> CheckedImage:
    frame = _frame_of(row)
    objects = tuple(
        Object(
            place=f"{row.name}: object {number}",
            label=_text(found["label"]),
            corners=_corners_of(found["box"], frame),
            is_crowd=found.get("crowd", False) is True,
            is_difficult=found.get("difficult", False) is True,
            area=float(found["area"]),
            shape=shape_of(row, found, frame),
        )
        for number, found in enumerate(row.annotation["objects"], 1)
    )
    image = Annotated(row.name, f"{INDEX}:{row.line}", row.file, row.split, objects, group=row.group or None)
    return CheckedImage(image, frame, objects)


def _frame_of(row: PackedRow) -> Frame:
    width, height, orientation = row.annotation["frame"]
    frame = Frame(int(width), int(height), int(orientation))
    size = row.file.checked.width, row.file.checked.height
    if orientation not in TURNS or frame.upright_size != size:
        raise ValueError
    return frame


def _corners_of(box: Any, frame: Frame) -> Corners:
    x1, y1, x2, y2 = map(float, box)
    try:
        return valid_corners((x1, y1, x2, y2), frame)
    except BadBox as error:
        raise ValueError from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
