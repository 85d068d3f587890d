"""The segmentations of objects in COCO's format: polygons, and run-length encodings as lists or as text."""

import reprlib
from typing import Any

import numpy as np

from dlcli.data.boxes.annotated import LARGEST
from dlcli.data.boxes.polygons import decode_runs
from dlcli.data.boxes.shapes import Shape
from dlcli.data.boxes.sources.coco_json import BadEntry, Entry, as_number, value_of


def shape_of(entry: Entry) -> Shape:
    """The shape of an object.

    Raises:
        BadEntry: it has none, or it is invalid.
    """
    value = value_of(entry, "segmentation")
    if isinstance(value, list) and value:
        return Shape(polygons=tuple(_points(numbers) for numbers in value))
    if isinstance(value, dict) and "counts" in value:
        return Shape(runs=_runs(value["counts"]), size=_size(value["size"]) if "size" in value else None)
    raise BadEntry(
        "segmentation must be a list of polygons [[x, y, x, y, …]] or a run-length encoding {counts, size}. Received "
        f"{reprlib.repr(value)}."
    )


def _size(value: Any) -> tuple[int, int]:
    is_size = isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)
    if not is_size:
        raise BadEntry(f"size must be the height and width of the image. Received {reprlib.repr(value)}.")
    return value[0], value[1]


def _points(value: Any) -> Any:
    numbers = [as_number(item) for item in value] if isinstance(value, list) else []
    usable = [number for number in numbers if number is not None and abs(number) <= LARGEST]
    if len(usable) != len(numbers) or len(usable) < 6 or len(usable) % 2:
        raise BadEntry(
            "a polygon must be the numbers [x, y, x, y, …] of at least three corners in pixels. Received "
            f"{reprlib.repr(value)}."
        )
    return np.array(usable, np.float32).reshape(-1, 2)


def _runs(value: Any) -> Any:
    try:
        counts = decode_runs(value) if isinstance(value, str) else value
        if not isinstance(counts, list) or not all(type(count) is int and 0 <= count <= LARGEST for count in counts):
            raise ValueError("they must be whole numbers of pixels.")
    except ValueError as reason:
        raise BadEntry(f"counts must be lengths of runs: {reason} Received {reprlib.repr(value)}.") from None
    return np.array(counts, np.int64)
