"""From images with annotated objects to a data set: of one object of each image, or of all of them.

Every source of boxes in image files ends here, so that boxes are treated alike whatever the source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.boxes.annotated import Annotated, CheckedImage, check_images, refuse_repeated, warn_of_bad
from dlcli.data.boxes.boxes import Boxes, Object, OnBadBox, Several, choose, refuse_proportions
from dlcli.data.boxes.object_dataset import ObjectReading, assemble_all_objects
from dlcli.data.files import AnyPath
from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import without_excluded
from dlcli.data.splits import SPLITS, DataWarning, LeftOut
from dlcli.errors import InputError


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
    file: AnyPath
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


AnyReading = BoxReading | ObjectReading


def assemble_objects(
    images: Sequence[Annotated],
    *,
    source: Path,
    reading: AnyReading,
    left_out: Sequence[LeftOut],
    common: CommonKeys,
    warnings: Sequence[DataWarning] = (),
) -> Dataset:
    """A data set of images, sorted by name, with a class and a box each, or with all their objects.

    Args:
        source: the folder or file that lists the images, for messages; places are relative to it or its folder.
        reading: which of the two, and how files are read.

    Raises:
        InputError: an image is listed twice, boxes or images are bad, or a split has no object to learn.
    """
    folder = source if source.is_dir() else source.parent
    images, excluded = without_excluded(images, reading.exclude, source=str(source))
    refuse_repeated(images, folder)
    left_out = [*left_out, *excluded]
    if isinstance(reading, ObjectReading):
        return assemble_all_objects(
            images, source=source, folder=folder, reading=reading, left_out=left_out, common=common, warnings=warnings
        )
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
    checked = check_images(images, folder=folder, on_bad_box=on_bad_box)
    kept: list[tuple[CheckedImage, Object]] = []
    left_out = list(checked.repeated)
    num_several = 0
    for found in checked.images:
        learned = choose(list(found.objects), several)
        if learned is not None:
            num_several += len(found.objects) > 1
            kept.append((found, learned))
        else:
            several_or_none = f"several objects: {len(found.objects)}" if found.objects else "no valid box"
            left_out.append(LeftOut(found.image.name, several_or_none if found.image.objects else "no object"))
    kept.sort(key=lambda item: item[0].image.name)
    corners = np.array([learned.corners or (math.nan,) * 4 for _, learned in kept], np.float64).reshape(-1, 4)
    boxes = Boxes(corners, tuple(found.frame for found, _ in kept))
    refuse_proportions(boxes.corners, boxes.frames, str(folder))
    return Chosen(
        images=tuple(found.image for found, _ in kept),
        labels=tuple(learned.label for _, learned in kept),
        boxes=boxes,
        left_out=tuple(left_out),
        warnings=(*_warn_of_several(num_several, several), *warn_of_bad(checked.bad)),
    )


def _warn_of_several(number: int, several: Several) -> list[DataWarning]:
    if not number:
        return []
    noun = "image has" if number == 1 else "images have"
    return [DataWarning("boxes", f"{number:,} {noun} several objects; the {several} is learned (data.several).")]
