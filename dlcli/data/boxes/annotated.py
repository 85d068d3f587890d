"""Images with annotated objects as sources list them, and the checks that every source of boxes shares."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlcli.data.boxes.boxes import BadBox, Corners, Frame, Object, OnBadBox, checked, frame_of, repaired
from dlcli.data.files import AnyPath, workers
from dlcli.data.findings import find_once
from dlcli.data.images.decoding import BadImage, read_header
from dlcli.data.listing import refuse
from dlcli.data.splits import DataWarning, LeftOut

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
    file: AnyPath
    split: str
    objects: tuple[Object, ...]
    size: tuple[int, int] | None = None
    group: str | None = None


@dataclass(frozen=True)
class Listed:
    """What a source lists.

    Attributes:
        images: with their objects, whose boxes are not yet checked.
        left_out, warnings: what the source left out, and what the user should know about it.
    """

    images: tuple[Annotated, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()


# Numbers ------------------------------------------------------------------------------------------------------------


def whole(number: float | None) -> int | None:
    """A number as a width or height; None if it cannot be one."""
    return int(number) if number is not None and number.is_integer() and 0 <= number <= LARGEST else None


def known_size(width: int, height: int) -> tuple[int, int] | None:
    """The size in an annotation; None if a side is 0, which programs write where they do not know it."""
    return (width, height) if width and height else None


# Boxes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    """A bad box: where it is listed, its error, the line that reports it, and whether it was repaired."""

    place: str
    reason: str
    line: str
    is_repaired: bool


@dataclass(frozen=True)
class CheckedImage:
    """An image, the frame of its boxes, and its distinct objects whose boxes are valid or were repaired."""

    image: Annotated
    frame: Frame
    objects: tuple[Object, ...]


@dataclass(frozen=True)
class CheckedImages:
    """Images whose boxes were checked, in their order, the bad boxes among them, and objects that are listed again."""

    images: tuple[CheckedImage, ...]
    bad: tuple[Bad, ...]
    repeated: tuple[LeftOut, ...]


def check_images(images: Sequence[Annotated], *, folder: Path, on_bad_box: OnBadBox) -> CheckedImages:
    """Checks the boxes of images against the images' headers.

    Args:
        folder: that of the source, for messages.
        on_bad_box: whether bad boxes are an error, are repaired, or their objects are left out.

    Raises:
        InputError: boxes are bad and ``on_bad_box`` is ``error``; they are named.
    """
    checked_images: list[CheckedImage] = []
    repeated: list[LeftOut] = []
    bad: list[Bad] = []
    num_boxes = 0
    headers = read_frames([image.file for image in images])
    for image, stored in zip(images, headers, strict=True):
        objects, again = _listed_once(image)
        repeated += again
        num_boxes += sum(found.corners is not None or bool(found.flaw) for found in objects)
        frame, valid, wrong = (
            (UNREADABLE, [found for found in objects if not found.flaw], [])
            if stored is None
            else _check(image, objects, stored, on_bad_box)
        )
        bad += wrong
        checked_images.append(CheckedImage(image, frame, tuple(valid)))
    if on_bad_box == "error":
        refuse(
            dict.fromkeys(f"{folder / item.line}" for item in bad),  # an image's error is reported once
            f"{len(bad)} of {num_boxes} boxes cannot be used. Correct them, or set data.on_bad_box in a recipe: repair "
            "or skip.",
        )
    return CheckedImages(tuple(checked_images), tuple(bad), tuple(repeated))


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
) -> tuple[Frame, list[Object], list[Bad]]:
    """The frame of an image's boxes, the objects whose boxes are valid or were repaired, and the bad boxes."""
    mismatch = None
    try:
        frame = frame_of(stored, image.size)
    except BadBox as error:
        frame, mismatch = Frame(*stored.upright_size), str(error)
    valid: list[Object] = []
    bad: list[Bad] = []
    for found in objects:
        place = f"{found.place} ({found.label})"
        if found.flaw:
            bad.append(Bad(found.place, found.flaw, f"{place}: {found.flaw}", is_repaired=False))
            continue
        if found.corners is None:
            valid.append(found)
            continue
        if mismatch is not None:
            reason, line = mismatch, f"{image.place}: {mismatch}"
        else:
            try:
                corners = valid_corners(found.corners, frame)
                _refuse_flaw(found, frame)
                valid.append(replace(found, corners=corners))
                continue
            except BadBox as error:
                reason, line = str(error), f"{place}: {error}"
        is_repairable = on_bad_box == "repair" and (mismatch is None or found.shape is None)  # shapes are not scaled
        repaired_corners = _repair(found, frame, image.size) if is_repairable else None
        if repaired_corners is not None:
            valid.append(replace(found, corners=repaired_corners, area=None))
        bad.append(Bad(found.place, reason, line, is_repaired=repaired_corners is not None))
    return frame, valid, bad


def _refuse_flaw(found: Object, frame: Frame) -> None:
    flaw = "" if found.shape is None else found.shape.flaw(frame)
    if flaw:
        raise BadBox(flaw)


def _repair(found: Object, frame: Frame, annotated: tuple[int, int] | None) -> Corners | None:
    assert found.corners is not None
    try:
        _refuse_flaw(found, frame)
        _refuse_absurd(found.corners)
        return repaired(found.corners, frame, annotated)
    except BadBox:
        return None


def read_frame(file: AnyPath) -> Frame | None:
    """The frame of a stored image; None if its header cannot be read."""
    try:
        return Frame(*read_header(file))
    except BadImage:
        return None


def read_frames(files: Sequence[AnyPath]) -> list[Frame | None]:
    """The frames of stored images, as :func:`read_frame`; their headers are read in several threads."""
    return find_once(
        files,
        lambda: list(workers().map(read_frame, files)),
        encode=lambda frames: json.dumps([frame and frame.described() for frame in frames]).encode(),
        decode=lambda content: [found and Frame(*found) for found in json.loads(content)],
    )


# Images -----------------------------------------------------------------------------------------------------------


def refuse_repeated(images: Sequence[Annotated], folder: Path) -> None:
    """Refuses an image that is listed twice.

    Raises:
        InputError: there is one.
    """
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
    different: dict[tuple[str, Corners | None, str, bool], Object] = {}
    again = []
    for found in image.objects:
        if different.setdefault((found.label, found.corners, found.flaw, found.is_crowd), found) is not found:
            again.append(LeftOut(found.place, "listed again"))
    return list(different.values()), again


def warn_of_bad(bad: Sequence[Bad]) -> list[DataWarning]:
    warnings = []
    for is_repaired, verb in ((True, "repaired"), (False, "left out")):
        places = [item.place for item in bad if item.is_repaired == is_repaired]
        if places:
            noun = "bad box was" if len(places) == 1 else "bad boxes were"
            shown = ", ".join(places[:NUM_SHOWN]) + (", …" if len(places) > NUM_SHOWN else "")
            warnings.append(DataWarning("boxes", f"{len(places):,} {noun} {verb} (data.on_bad_box): {shown}."))
    return warnings
