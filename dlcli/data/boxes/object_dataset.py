"""From images with annotated objects to a data set of all their objects: check, number the classes, assemble."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.annotated import Annotated, CheckedImage, check_images, warn_of_bad
from dlcli.data.boxes.boxes import Frame, Object, ObjectShape, OnBadBox, refuse_proportions
from dlcli.data.boxes.objects import NAME, Instances, ObjectBoxes, objects_of
from dlcli.data.files import AnyPath
from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.leakage import describe_absent, warn_of_similar_names
from dlcli.data.listing import NO_ALIASES, index_labels, sort_names
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.errors import InputError

PADDED_ALIKE = ("train", "validation")  # the splits whose batches have the same shape


@dataclass(frozen=True)
class ObjectReading(Reading):
    """How the files of a source are read whose images have any number of objects.

    Attributes:
        on_bad_box: whether a box that cannot be used is an error, is repaired, or its object is left out.
        min_visible: the proportion of a box that must be left by cropping and augmentation.
        learned: the classes of objects to learn, in the order of the outputs; the others are left out. Default: all of
            train, sorted.
        instances: how the masks of the objects of an image are read, from its frame and their shapes; each object must
            then have a shape. None for boxes alone.
    """

    on_bad_box: OnBadBox = "error"
    min_visible: float = 0.0
    learned: tuple[str, ...] | None = None
    instances: Callable[[Frame, Sequence[ObjectShape]], Instances] | None = None


@dataclass(frozen=True)
class _Row:
    """An image, at this position among all."""

    position: int
    name: str
    file: AnyPath
    split: str
    group: str
    label: str = ""
    line: int = 0


def assemble_all_objects(
    images: Sequence[Annotated],
    *,
    source: Path,
    folder: Path,
    reading: ObjectReading,
    left_out: Sequence[LeftOut],
    common: CommonKeys,
    warnings: Sequence[DataWarning],
) -> Dataset:
    """A data set of images with all their objects, sorted by name. An image without objects is a negative; an image of
    whose objects none can be used is left out, because it is none.

    Args:
        source: as for :func:`dlcli.data.boxes.dataset.assemble_objects`; ``folder`` is that of the places.

    Raises:
        InputError: boxes or images are bad, classes are unknown, or train has no object to learn.
    """
    images, other_classes = of_classes(images, reading.learned)
    has_masks = reading.instances is not None
    images = [
        replace(image, objects=tuple(_complete(found, has_masks=has_masks) for found in image.objects))
        for image in images
    ]
    found = check_images(images, folder=folder, on_bad_box=reading.on_bad_box)
    return assemble_checked_objects(
        found.images,
        source=source,
        folder=folder,
        reading=reading,
        left_out=[
            *left_out,
            *other_classes,
            *found.repeated,
            *(LeftOut(bad.place, bad.reason) for bad in found.bad if not bad.is_repaired),
        ],
        common=common,
        warnings=[*warnings, *warn_of_bad(found.bad)],
    )


def assemble_checked_objects(
    images: Sequence[CheckedImage],
    *,
    source: Path,
    folder: Path,
    reading: ObjectReading,
    left_out: Sequence[LeftOut],
    common: CommonKeys,
    warnings: Sequence[DataWarning] = (),
) -> Dataset:
    """As :func:`assemble_all_objects`, of images whose boxes were checked."""
    emptied = [checked.image for checked in images if checked.image.objects and not checked.objects]
    kept = [checked for checked in images if checked.objects or not checked.image.objects]
    kept.sort(key=lambda checked: checked.image.name)
    classes, boxes = _number(kept, reading, source=str(source))
    refuse_proportions(boxes.corners, boxes.frames, str(source))
    place_of = {checked.image.name: checked.image.place for checked in images}
    dataset = assemble_files(
        [
            _Row(i, checked.image.name, checked.image.file, checked.image.split, checked.image.group or "")
            for i, checked in enumerate(kept)
        ],
        source=str(source),
        rule="there must be images to train on.",
        place=lambda name: f"{folder / place_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=None,
        aliases=NO_ALIASES,
        progress=reading.progress,
        common=common,
        outputs=classes,
        annotate=lambda part: {NAME: boxes.take(np.array([row.position for row in part], np.int64))},
        has_groups=any(checked.image.group is not None for checked in images),
        exclude=reading.exclude,
        left_out=[
            *left_out,
            *(LeftOut(image.name, "none of its objects has a valid box") for image in emptied),
        ],
        warnings=[*warnings, *_warn_of_emptied(emptied)],
    )
    return complete(dataset, source=str(source), is_trained=reading.classes is not None)


def of_classes(
    images: Sequence[Annotated], learned: tuple[str, ...] | None
) -> tuple[Sequence[Annotated], list[LeftOut]]:
    """The images with the objects of the classes to learn, and the objects that are left out."""
    if learned is None:
        return images, []
    left_out = [
        LeftOut(found.place, f"not one of data.classes: '{found.label}'")
        for image in images
        for found in image.objects
        if found.label not in learned
    ]
    kept = [
        replace(image, objects=tuple(found for found in image.objects if found.label in learned)) for image in images
    ]
    return kept, left_out


def _complete(found: Object, *, has_masks: bool) -> Object:
    """The same object, which must have a box and, where masks are read, a shape: it has a flaw without."""
    if not found.flaw and found.corners is None:
        return replace(found, flaw="there is no box")
    if not found.flaw and has_masks and found.shape is None:
        return replace(found, flaw="there is no mask")
    return found


def _number(
    images: Sequence[CheckedImage], reading: ObjectReading, *, source: str
) -> tuple[tuple[str, ...], ObjectBoxes]:
    """The classes in the order of the outputs, and the objects of all images.

    Raises:
        InputError: train has no object, or a split has a class that train, or a trained model, has not.
    """
    by_split: dict[str, list[str]] = {"train": []}
    for checked in images:
        by_split.setdefault(checked.image.split, []).extend(found.label for found in checked.objects)
    own = reading.learned or sort_names(by_split["train"])
    if not own and reading.classes is None:
        raise InputError(f"{source}: no image to train on has an object. Give images of which some have objects.")
    classes, _ = index_labels(by_split, own, source=source, trained=reading.classes, aliases=reading.aliases, least=1)
    position = {name: index for index, name in enumerate(classes)}
    objects = [found for checked in images for found in checked.objects]
    corners = np.array([found.corners for found in objects], np.float64).reshape(-1, 4)
    areas = [found.area if found.shape is None or found.area is not None else found.shape.area for found in objects]
    return classes, ObjectBoxes(
        corners=corners,
        labels=np.array([position[reading.aliases.get(found.label, found.label)] for found in objects], np.int32),
        is_crowd=np.array([found.is_crowd for found in objects], np.bool_),
        is_difficult=np.array([found.is_difficult for found in objects], np.bool_),
        areas=np.where([area is None for area in areas], areas_of(corners), np.array(areas, np.float64)),
        offsets=np.cumsum([0, *(len(checked.objects) for checked in images)]).astype(np.int64),
        frames=tuple(checked.frame for checked in images),
        min_visible=reading.min_visible,
        instances=None if reading.instances is None else _instances(images, reading.instances),
    )


def _instances(
    images: Sequence[CheckedImage], make: Callable[[Frame, Sequence[ObjectShape]], Instances]
) -> tuple[Instances, ...]:
    shapes = [[found.shape for found in checked.objects if found.shape is not None] for checked in images]
    return tuple(make(checked.frame, of_image) for checked, of_image in zip(images, shapes, strict=True))


def areas_of(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The areas of boxes ``[m, 4]`` in square pixels."""
    return np.asarray((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))


def complete(dataset: Dataset, *, source: str, is_trained: bool = False) -> Dataset:
    """The data set, whose training and validation batches have the same shape, with warnings of what splits lack.

    Args:
        is_trained: whether it is for a trained model, so that there need not be an object to learn.

    Raises:
        InputError: train has no object to learn.
    """
    listed = {split: objects_of(samples) for split, samples in dataset.splits.items()}
    found = {split: objects for split, objects in listed.items() if objects is not None}
    if not is_trained and not found["train"].is_trained.any():
        raise InputError(
            f"{source}: train must contain an image with an object to learn; crowds and difficult objects are not "
            "learned. Received none. Give more images with objects, or another data.split_seed."
        )
    slots = max(1, *(objects.most_trained for split, objects in found.items() if split in PADDED_ALIKE))
    splits = {
        split: replace(
            samples,
            annotations={
                **samples.annotations,
                NAME: replace(found[split], slots=max(slots, found[split].most_trained)),
            },
        )
        for split, samples in dataset.splits.items()
    }
    absent = _warn_of_absent(found, dataset.classes)
    alike = warn_of_similar_names(dataset.classes)
    return replace(dataset, splits=splits, warnings=(*dataset.warnings, *absent, *alike))


def _warn_of_absent(found: Mapping[str, ObjectBoxes], classes: tuple[str, ...]) -> list[DataWarning]:
    """A warning for each split that has no object of some class, other than crowds and difficult ones."""
    warnings = []
    for split, objects in found.items():
        present = np.bincount(objects.labels[objects.is_trained], minlength=len(classes)) > 0
        absent = [name for name, is_present in zip(classes, present, strict=True) if not is_present]
        if absent:
            text = describe_absent(split, absent, len(classes), noun="object")
            warnings.append(DataWarning("classes", f"{text}."))
    return warnings


def _warn_of_emptied(images: Sequence[Annotated]) -> list[DataWarning]:
    if not images:
        return []
    many = "image is left out: none of its" if len(images) == 1 else "images are left out: none of their"
    return [DataWarning("boxes", f"{len(images):,} {many} objects has a valid box (data.on_bad_box).")]
