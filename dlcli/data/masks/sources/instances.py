"""Images beside masks in which each object has its own value or color, as those of the Penn-Fudan pedestrians."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.annotated import Annotated, read_frame
from dlcli.data.boxes.boxes import Corners, Frame, Object, ObjectShape
from dlcli.data.boxes.dataset import assemble_objects
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.files import AnyPath, hash_content, workers
from dlcli.data.findings import find_once
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.decoding import BadImage, find_format, read_file
from dlcli.data.images.formats import FORMATS
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import refuse
from dlcli.data.masks.pairs import OnMissing, Pair, find_pairs
from dlcli.data.masks.stored import SAVE_AS, read_ids
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError

BACKGROUND = 0
PACKED = "ids"  # first part of the suffix of a mask file in a shard; the other is that of its format
MOST_OBJECTS = 1000  # in an image; more are no ids of objects, but shades


@dataclass(frozen=True)
class IdShape:
    """The pixels of one value in a mask file, or of one color, as :func:`read_ids` numbers it.

    Attributes:
        path: the file, of the content with this digest.
        value: of the object's pixels.
        size: width and height of the mask.
        area: the number of the pixels.
    """

    path: AnyPath
    digest: str
    value: int
    size: tuple[int, int]
    area: float

    def flaw(self, frame: Frame) -> str:
        """See :meth:`ObjectShape.flaw`."""
        return ""  # sizes were compared when the mask was listed


@dataclass(frozen=True)
class FileInstances:
    """The objects of an image in a mask file.

    Attributes:
        path: the file; None for an image without objects.
        digest: of its content.
        values: of the objects.
        size: width and height.
    """

    path: AnyPath | None
    digest: str
    values: tuple[int, ...]
    size: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, shapes: Sequence[ObjectShape]) -> "FileInstances":
        """Those of the shapes of an image, which are in one file."""
        listed = [shape for shape in shapes if isinstance(shape, IdShape)]
        assert len(listed) == len(shapes)
        path, digest = (listed[0].path, listed[0].digest) if listed else (None, "")
        return cls(path, digest, tuple(shape.value for shape in listed), frame.upright_size)

    def described(self) -> list[dict[str, Any]]:
        """See :meth:`dlcli.data.boxes.objects.StoredInstances.described`."""
        return [{"value": value} for value in self.values]

    def files(self) -> dict[str, bytes]:
        """See :meth:`dlcli.data.boxes.objects.StoredInstances.files`: the mask file as it is, if there are objects."""
        if self.path is None:
            return {}
        data, _ = self._content(self.path)
        return {PACKED + FORMATS[find_format(data)].suffixes[0]: data}

    def read(self) -> NDArray[np.uint8]:
        """See :meth:`dlcli.data.boxes.objects.Instances.read`."""
        if self.path is None:
            return np.zeros((0, self.size[1], self.size[0]), np.uint8)
        stored = self._content(self.path)[1]
        return np.asarray(stored == np.array(self.values)[:, None, None], np.uint8)

    def _content(self, path: AnyPath) -> tuple[bytes, NDArray[Any]]:
        """The mask file, and its values ``[height, width]``."""
        try:
            data = read_file(path)
            if hash_content(data) != self.digest:
                raise BadImage("its content has changed")
            values = read_ids(data).values
            if values.shape != self.size[::-1]:
                has = "{}x{}".format(*values.shape[::-1])
                raise BadImage("it must have the size of its image, {}x{} pixels. It has ".format(*self.size) + has)
        except BadImage as reason:
            raise InputError(
                f"{path}: {reason}. It was modified or removed after the data was checked: restore it."
            ) from None
        return data, values


def read_instance_masks(
    *,
    path: str | Path,
    images: str | None,
    masks: str | None,
    label: str,
    ignore: Sequence[int] = (),
    on_missing: OnMissing = "error",
    reading: ObjectReading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a folder that have a mask each, whose values are the objects; 0 is the background.

    Args:
        images, masks, on_missing: as for :func:`dlcli.data.masks.pairs.find_pairs`.
        label: the class of all objects.
        ignore: values of pixels that belong to no object, such as those of a border.
        reading: how files are read; its ``instances`` is :meth:`FileInstances.of`. What it says of images that cannot
            be read holds for masks too.

    Raises:
        InputError: images and masks do not fit together, or cannot be read.
    """
    root = Path(path)
    paired = find_pairs(root, images=images, masks=masks, exclude=reading.exclude, on_missing=on_missing)
    listed = _list_all(paired.pairs, ignore)
    both = list(zip(paired.pairs, listed, strict=True))
    unreadable = {pair: found for pair, found in both if isinstance(found, BadImage)}
    errors = [f"{pair.mask}: {found}" for pair, found in both if isinstance(found, str)]
    left_out = list(paired.left_out)
    if reading.on_bad_image == "skip" and len(unreadable) < len(both):
        left_out += [
            LeftOut(pair.name, f"{pair.mask_name}: {found}", "unreadable") for pair, found in unreadable.items()
        ]
    else:
        errors += [f"{pair.mask}: {found}." for pair, found in unreadable.items()]
    skipping = ", or leave them out by `data.on_bad_image: skip`" if unreadable else ""
    refuse(errors, f"Correct these masks, or remove them with their images{skipping}.")
    annotated = [
        Annotated(
            name=pair.name,
            place=pair.mask_name,
            file=pair.file,
            split=pair.split or "train",
            objects=found.objects(pair, label),
            size=found.size,
        )
        for pair, found in both
        if isinstance(found, _InMask)
    ]
    return assemble_objects(
        annotated,
        source=root,
        reading=reading,
        left_out=left_out,
        warnings=paired.warnings,
        common=common,
    )


@dataclass(frozen=True)
class _InMask:
    """The objects in a mask: its width, height and digest, and of each object value, box and number of pixels."""

    size: tuple[int, int]
    digest: str
    values: tuple[tuple[int, Corners, float], ...]

    def objects(self, pair: Pair, label: str) -> tuple[Object, ...]:
        """The objects as a source lists them."""
        return tuple(
            Object(
                f"{pair.mask_name}: value {value}",
                label,
                corners,
                area=area,
                shape=IdShape(pair.mask, self.digest, value, self.size, area),
            )
            for value, corners, area in self.values
        )


def _list_all(pairs: Sequence[Pair], ignore: Sequence[int]) -> list[_InMask | str | BadImage]:
    """:func:`_list_objects` of all masks, in several threads."""
    return find_once(
        [pair.mask for pair in pairs],
        lambda: list(workers().map(lambda pair: _list_objects(pair, ignore), pairs)),
        encode=lambda found: json.dumps([_to_json(result) for result in found]).encode(),
        decode=lambda content: [_from_json(values) for values in json.loads(content)],
    )


def _to_json(found: _InMask | str | BadImage) -> list[Any]:
    if isinstance(found, _InMask):
        return ["objects", found.size, found.digest, found.values]
    return ["unreadable" if isinstance(found, BadImage) else "unusable", str(found)]


def _from_json(values: list[Any]) -> _InMask | str | BadImage:
    match values:
        case ["objects", size, digest, objects]:
            listed = tuple((value, tuple(corners), area) for value, corners, area in objects)
            return _InMask(tuple(size), digest, listed)
        case ["unreadable", reason]:
            return BadImage(reason)
        case _:
            return str(values[1])


def _list_objects(pair: Pair, ignore: Sequence[int]) -> _InMask | str | BadImage:
    """The objects of a mask, by their values; or why it cannot be used, or be read."""
    try:
        data = read_file(pair.mask)
        stored = read_ids(data)
    except BadImage as reason:
        return BadImage(str(reason))  # the exception itself would keep the file's bytes in memory
    if stored.is_lossy:
        return f"ids of objects must be stored without loss: {SAVE_AS}."
    values, places = np.unique(stored.values, return_inverse=True)
    if len(values) > MOST_OBJECTS:
        return f"there must be at most {MOST_OBJECTS:,} values, one for each object. Received {len(values):,}."
    height, width = stored.values.shape
    frame = read_frame(pair.file)
    if frame is not None and frame.upright_size != (width, height):
        has = "{}x{}".format(*frame.upright_size)
        return f"must have the size of its image, {pair.name}, which has {has} pixels. Received {width}x{height}."
    places = places.reshape(height, width)
    objects = [
        (value, *_box_of(places == place))
        for place, value in enumerate(values.tolist())
        if value != BACKGROUND and value not in ignore
    ]
    return _InMask((width, height), hash_content(data), tuple(objects))


def _box_of(inside: NDArray[Any]) -> tuple[Corners, float]:
    """The box around some pixels, and their number."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    corners = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
    return corners, float(inside.sum())
