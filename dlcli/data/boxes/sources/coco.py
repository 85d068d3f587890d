"""Images with boxes in COCO's format: a JSON file that lists images, objects and their categories."""

import os
import reprlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from dlcli.data.boxes.annotated import Annotated, Listed
from dlcli.data.boxes.boxes import Corners, Object
from dlcli.data.boxes.dataset import AnyReading, assemble_objects
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.sources.coco_json import (
    BadEntry,
    Entry,
    area_of,
    as_number,
    is_crowd,
    locate_images,
    read_coco_file,
    value_of,
)
from dlcli.data.boxes.sources.coco_shapes import shape_of
from dlcli.data.files import printable
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.samples import Dataset
from dlcli.data.splits import LeftOut


def read_coco(
    *,
    path: str | Path,
    images: str | Path | None,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    allow_outside: bool = False,
    reading: AnyReading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a COCO file, with the class and the box of one object each, or with all objects.

    Crowds are left out where an image has one object.

    Args:
        path: the .json file of train, or of all samples.
        images: the folder to which the images' names are relative, itself relative to the folder of ``path``. Default:
            the first that contains images of the file among its own folder, ``images`` in it, and in the parent folder
            the one named like the file (``train2017`` for ``instances_train2017.json``) or ``images``.
        validation_path, test_path: further files. Without them the splits are drawn.
        allow_outside: whether names of images may leave the folder of images.

    Raises:
        InputError: files, boxes or images are invalid.
    """
    listed = list_coco(
        path,
        images=images,
        validation_path=validation_path,
        test_path=test_path,
        allow_outside=allow_outside,
        without_crowds=not isinstance(reading, ObjectReading),
        with_shapes=isinstance(reading, ObjectReading) and reading.instances is not None,
    )
    return assemble_objects(listed.images, source=Path(path), reading=reading, left_out=listed.left_out, common=common)


def list_coco(
    path: str | Path,
    *,
    images: str | Path | None = None,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    allow_outside: bool = False,
    without_crowds: bool = False,
    with_shapes: bool = False,
) -> Listed:
    """The images and objects as the files list them, with the keys of :func:`read_coco`.

    Raises:
        InputError: files are invalid.
    """
    source = Path(path)
    annotated: list[Annotated] = []
    left_out: list[LeftOut] = []
    for split, part in (("train", path), ("validation", validation_path), ("test", test_path)):
        if part is not None:
            folder = None if images is None else source.parent / images
            found, others = _read_file(
                Path(part),
                split,
                root=source.parent,
                folder=folder,
                allow_outside=allow_outside,
                without_crowds=without_crowds,
                make=_object_with_shape if with_shapes else _object,
            )
            annotated += found
            left_out += others
    return Listed(tuple(annotated), tuple(left_out))


def _read_file(
    file: Path,
    split: str,
    *,
    root: Path,
    folder: Path | None,
    allow_outside: bool,
    without_crowds: bool,
    make: Callable[[str, str, Entry], Object],
) -> tuple[list[Annotated], list[LeftOut]]:
    """The images of one file, with names relative to ``root``, and the objects that are left out."""
    place = printable(os.path.relpath(file, root))
    content = read_coco_file(file, place=place, make=make, without_crowds=without_crowds)
    paths = locate_images(file, content.images, folder=folder, allow_outside=allow_outside)
    annotated = [
        Annotated(
            name=printable(os.path.relpath(path, root)),
            place=f"{place}: image {number}",
            file=path,
            split=split,
            objects=tuple(content.objects.get(number, ())),
            size=content.images[number].size,
        )
        for number, path in paths.items()
    ]
    return annotated, [LeftOut(crowd, "outside the task: a crowd") for crowd in content.crowds]


def _object(place: str, label: str, entry: Entry) -> Object:
    flaw = "" if entry.get("bbox") else "there is no box (bbox)"
    return Object(
        place,
        label,
        None if flaw else _corners(entry),
        flaw,
        is_crowd=is_crowd(entry),
        area=area_of(entry),
    )


def _object_with_shape(place: str, label: str, entry: Entry) -> Object:
    shape = shape_of(entry) if entry.get("segmentation") else None
    return replace(_object(place, label, entry), shape=shape)


def _corners(entry: Entry) -> Corners:
    value = value_of(entry, "bbox")
    numbers = [as_number(item) for item in value] if isinstance(value, list) else []
    if len(numbers) != 4 or None in numbers:
        raise BadEntry(f"bbox must be four numbers [x, y, width, height]. Received {reprlib.repr(value)}.")
    x, y, width, height = (number for number in numbers if number is not None)
    return x, y, x + width, y + height
