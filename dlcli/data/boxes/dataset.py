"""From images with annotated objects to a data set with one box for each image: check, choose, assemble.

Every source of boxes in image files ends here, so that boxes are treated alike whatever the source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dlcli.data.boxes.boxes import (
    BadBox,
    Boxes,
    Corners,
    Frame,
    Object,
    OnBadBox,
    Several,
    checked,
    choose,
    frame_of,
    refuse_proportions,
    repaired,
)
from dlcli.data.files import workers
from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.decoding import BadImage, read_header
from dlcli.data.images.samples import Dataset
from dlcli.data.junk import reason_of_exclusion
from dlcli.data.listing import refuse
from dlcli.data.splits import SPLITS, DataWarning, LeftOut
from dlcli.errors import InputError

LARGEST = 1e9  # pixels: more than any image's side
UNREADABLE = Frame(1, 1)  # of an image that cannot be read, which is refused or left out later
NUM_SHOWN = 3  # boxes named in a warning


@dataclass(frozen=True)
class Annotated:
    """An image and its objects as a source lists them.

    Attributes:
        name: of the image in tables.
        place: where it is listed, below the source's folder: ``annotations/raccoon-7.xml``.
        file: the image.
        split: train, validation or test; train if splits are to be drawn.
        objects: in the order of the source, their boxes not yet checked.
        size: the width and height in the annotation.
        group: which must be in one split.
    """

    name: str
    place: str
    file: Path
    split: str
    objects: tuple[Object, ...]
    size: tuple[int, int] | None = None
    group: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The images with one object each, sorted by name."""

    images: tuple[Annotated, ...]
    labels: tuple[str, ...]
    boxes: Boxes
    left_out: tuple[LeftOut, ...]
    warnings: tuple[DataWarning, ...]


@dataclass(frozen=True)
class _Chosen:
    """One of the images of :class:`Chosen`, at this position."""

    position: int
    name: str
    file: Path
    label: str
    split: str
    group: str
    line: int = 0


@dataclass(frozen=True)
class BoxReading(Reading):
    """How the files of a source of images with boxes are read.

    Attributes:
        several: how to treat an image with several objects.
        on_bad_box: whether a box that cannot be used is an error, is repaired, or its object is left out.
    """

    several: Several = "largest"
    on_bad_box: OnBadBox = "error"


def assemble_objects(
    images: Sequence[Annotated],
    *,
    source: Path,
    reading: BoxReading,
    left_out: Sequence[LeftOut],
    common: CommonKeys,
    warnings: Sequence[DataWarning] = (),
) -> Dataset:
    """A data set of images with a class and a box each, sorted by name.

    Args:
        source: the folder or file that lists the images, for messages; places are relative to it or its folder.

    Raises:
        InputError: an image is listed twice, boxes or images are bad, or a split has no object to learn.
    """
    folder = source if source.is_dir() else source.parent
    excluded = [(image, reason) for image in images if (reason := reason_of_exclusion(image.name, reading.exclude))]
    left_out = [*left_out, *(LeftOut(image.name, reason) for image, reason in excluded)]
    images = [image for image in images if reason_of_exclusion(image.name, reading.exclude) is None]
    _refuse_repeated(images, folder)
    chosen = choose_objects(images, folder=folder, several=reading.several, on_bad_box=reading.on_bad_box)
    remaining = {image.split for image in chosen.images}
    for split in SPLITS:
        if split not in remaining and (split == "train" or any(image.split == split for image in images)):
            raise InputError(f"{source}: {_nothing_to_learn(split)} Received none.")

    place_of = {image.name: image.place for image in images}
    return assemble_files(
        [
            _Chosen(i, image.name, image.file, label, image.split, image.group or "")
            for i, (image, label) in enumerate(zip(chosen.images, chosen.labels, strict=True))
        ],
        source=str(source),
        rule=_nothing_to_learn("train"),
        place=lambda name: f"{folder / place_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=reading.classes,
        aliases=reading.aliases,
        progress=reading.progress,
        common=common,
        annotate=lambda part: {"boxes": chosen.boxes.take(np.array([row.position for row in part], np.int64))},
        has_groups=any(image.group is not None for image in images),
        least=1,
        exclude=reading.exclude,
        left_out=[*left_out, *chosen.left_out],
        warnings=[*warnings, *chosen.warnings],
    )


def _nothing_to_learn(split: str) -> str:
    return f"{split} must contain an image with an object to learn."


def choose_objects(images: Sequence[Annotated], *, folder: Path, several: Several, on_bad_box: OnBadBox) -> Chosen:
    """Checks the boxes against the images' headers and chooses one object of each image.

    Raises:
        InputError: boxes are bad and ``on_bad_box`` is ``error``, or all of them are proportions instead of pixels.
    """
    kept: list[tuple[Annotated, Object, Frame]] = []
    left_out: list[LeftOut] = []
    bad: list[_Bad] = []
    num_boxes = num_several = 0
    headers = workers().map(read_frame, [image.file for image in images])
    for image, stored in zip(images, headers, strict=True):
        objects, again = _listed_once(image)
        left_out += again
        num_boxes += sum(found.corners is not None or bool(found.flaw) for found in objects)
        frame, valid, wrong = (
            (UNREADABLE, [found for found in objects if not found.flaw], [])
            if stored is None
            else _check(image, objects, stored, on_bad_box)
        )
        bad += wrong
        learned = choose(valid, several)
        if learned is None:
            reason = f"several objects: {len(valid)}" if valid else "no valid box" if objects else "no object"
            left_out.append(LeftOut(image.name, reason))
            continue
        num_several += len(valid) > 1
        kept.append((image, learned, frame))
    if on_bad_box == "error":
        summary = f"{len(bad)} of {num_boxes} boxes cannot be used."
        refuse(
            dict.fromkeys(f"{folder / item.line}" for item in bad),  # an image's error is reported once
            f"{summary} Correct them, or set data.on_bad_box in a recipe: repair or skip.",
        )
    kept.sort(key=lambda item: item[0].name)
    corners = np.array([learned.corners or (math.nan,) * 4 for _, learned, _ in kept], np.float64).reshape(-1, 4)
    boxes = Boxes(corners, tuple(frame for _, _, frame in kept))
    refuse_proportions(boxes, str(folder))
    return Chosen(
        images=tuple(image for image, _, _ in kept),
        labels=tuple(learned.label for _, learned, _ in kept),
        boxes=boxes,
        left_out=tuple(left_out),
        warnings=(*_warn_of_several(num_several, several), *_warn_of_bad(bad)),
    )


# Numbers ------------------------------------------------------------------------------------------------------------


def whole(number: float | None) -> int | None:
    """A number as a width or height; None if it cannot be one."""
    return int(number) if number is not None and number.is_integer() and 0 <= number <= LARGEST else None


def known_size(width: int, height: int) -> tuple[int, int] | None:
    """The size in an annotation; None if a side is 0, which programs write where they do not know it."""
    return (width, height) if width and height else None


# Boxes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bad:
    """A bad box: where it is listed, the line that reports it, and whether it was repaired."""

    place: str
    line: str
    is_repaired: bool


def valid_corners(corners: Corners, frame: Frame) -> Corners:
    """The box, clipped to the image if it extends outside by at most a pixel.

    Raises:
        BadBox: its corners are absurd or swapped, or it is empty or outside.
    """
    _refuse_absurd(corners)
    return checked(corners, frame)


def _refuse_absurd(corners: Corners) -> None:
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
        if not abs(value) <= LARGEST:  # also true for NaN
            raise BadBox(f"its box must be in pixels of the image: {name} is {value:g}")


def _check(
    image: Annotated, objects: Sequence[Object], stored: Frame, on_bad_box: OnBadBox
) -> tuple[Frame, list[Object], list[_Bad]]:
    """The frame of an image's boxes, the objects whose boxes are valid or were repaired, and the bad boxes."""
    mismatch = None
    try:
        frame = frame_of(stored, image.size)
    except BadBox as reason:
        frame, mismatch = Frame(*stored.upright_size), str(reason)
    valid: list[Object] = []
    bad: list[_Bad] = []
    for found in objects:
        if found.flaw:
            bad.append(_Bad(found.place, f"{found.place} ({found.label}): {found.flaw}", is_repaired=False))
            continue
        if found.corners is None:
            valid.append(found)
            continue
        line = f"{image.place}: {mismatch}"
        if mismatch is None:
            try:
                valid.append(replace(found, corners=valid_corners(found.corners, frame)))
                continue
            except BadBox as reason:
                line = f"{found.place} ({found.label}): {reason}"
        corners = _repair(found.corners, frame, image.size) if on_bad_box == "repair" else None
        if corners is not None:
            valid.append(replace(found, corners=corners))
        bad.append(_Bad(found.place, line, is_repaired=corners is not None))
    return frame, valid, bad


def _repair(corners: Corners, frame: Frame, annotated: tuple[int, int] | None) -> Corners | None:
    try:
        _refuse_absurd(corners)
        return repaired(corners, frame, annotated)
    except BadBox:
        return None


def read_frame(file: Path) -> Frame | None:
    """The frame of a stored image; None if its header cannot be read."""
    try:
        return Frame(*read_header(file))
    except BadImage:
        return None


# Images -----------------------------------------------------------------------------------------------------------


def _refuse_repeated(images: Sequence[Annotated], folder: Path) -> None:
    first: dict[str, Annotated] = {}
    lines = []
    for image in images:
        earlier = first.setdefault(image.name, image)
        if earlier is not image:
            must = "an image must be listed once."
            lines.append(f"{folder / image.place}: {must} '{image.name}' is also in {earlier.place}.")
    refuse(lines, "Remove the repeated entries, or correct the names of the images.")


def _listed_once(image: Annotated) -> tuple[list[Object], list[LeftOut]]:
    """The distinct objects of an image; an object with the same class and box as an earlier one is left out."""
    different: dict[tuple[str, Corners | None, str], Object] = {}
    again = []
    for found in image.objects:
        if different.setdefault((found.label, found.corners, found.flaw), found) is not found:
            again.append(LeftOut(found.place, "listed again"))
    return list(different.values()), again


def _warn_of_several(number: int, several: Several) -> list[DataWarning]:
    if not number:
        return []
    noun = "image has" if number == 1 else "images have"
    return [DataWarning("boxes", f"{number:,} {noun} several objects; the {several} is learned (data.several).")]


def _warn_of_bad(bad: Sequence[_Bad]) -> list[DataWarning]:
    warnings = []
    for is_repaired, verb in ((True, "repaired"), (False, "left out")):
        places = [item.place for item in bad if item.is_repaired == is_repaired]
        if places:
            noun = "bad box was" if len(places) == 1 else "bad boxes were"
            shown = ", ".join(places[:NUM_SHOWN]) + (", …" if len(places) > NUM_SHOWN else "")
            warnings.append(DataWarning("boxes", f"{len(places):,} {noun} {verb} (data.on_bad_box): {shown}."))
    return warnings
