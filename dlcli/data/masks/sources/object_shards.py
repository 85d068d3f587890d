"""Images in shards with any number of objects, each with its mask."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from dlcli.data.boxes.boxes import Frame, ObjectShape
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import Instances
from dlcli.data.boxes.shapes import DrawnInstances, shape_of
from dlcli.data.boxes.sources.shards import read_object_shards
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import INDEX, PackedRow
from dlcli.data.masks.sources.instances import PACKED, FileInstances, IdShape
from dlcli.errors import InputError


def read_instance_shards(*, path: str | Path, reading: ObjectReading, **common: Unpack[CommonKeys]) -> Dataset:
    """The images that the index of a folder of shards lists, with its splits, all their objects and the masks of these.

    Args:
        reading: its ``instances`` are found here.

    Raises:
        InputError: as for :func:`~dlcli.data.boxes.sources.shards.read_object_shards`, or objects have no masks.
    """
    folder, are_in_files = Path(path), False

    def find(row: PackedRow, found: Mapping[str, Any], frame: Frame) -> ObjectShape:
        nonlocal are_in_files
        if "value" in found:
            are_in_files = True
            return _of_value(row, found, frame)
        if not {"polygons", "runs"} & found.keys():
            raise InputError(
                f"{folder / INDEX}:{row.line}: the objects must have masks. They have boxes alone: pack the data of a "
                "recipe with task: instance_segmentation, or train with task: detection."
            )
        shape = shape_of(found)
        if shape.flaw(frame):
            raise ValueError
        return shape

    def instances(frame: Frame, shapes: Sequence[ObjectShape]) -> Instances:
        return FileInstances.of(frame, shapes) if are_in_files else DrawnInstances.of(frame, shapes)

    return read_object_shards(path=path, reading=replace(reading, instances=instances), shape_of=find, **common)


def _of_value(row: PackedRow, found: Mapping[str, Any], frame: Frame) -> IdShape:
    """The pixels of one value in the mask file beside an image."""
    value = found["value"]
    file = next((file for suffix, file in row.files.items() if suffix.partition(".")[0] == PACKED), None)
    if type(value) is not int or file is None:
        raise ValueError
    return IdShape(file, file.checked.digest, value, frame.upright_size, float(found["area"]))
