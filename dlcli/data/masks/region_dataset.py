"""From images and their regions to a data set, whose masks are drawn when they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlcli.data.boxes.annotated import UNREADABLE, read_frames
from dlcli.data.boxes.boxes import BadBox, Frame, frame_of
from dlcli.data.files import Progress, workers
from dlcli.data.images.dataset import CommonKeys, OnBadImage, assemble_files
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.listing import NO_ALIASES, refuse, without_excluded
from dlcli.data.masks.dataset import refuse_other_classes, warn_of_masks
from dlcli.data.masks.masks import NAME, Masks, masks_of
from dlcli.data.masks.regions import RegionImage, classes_of, mask_of
from dlcli.data.masks.scan import count_pixels
from dlcli.data.splits import DataWarning, LeftOut


def assemble_regions(
    images: Sequence[RegionImage],
    *,
    source: Path,
    classes: Sequence[str] | None,
    trained: tuple[str, ...] | None,
    background: str | None,
    ignore: Sequence[str],
    on_bad_image: OnBadImage,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    warnings: Sequence[DataWarning] = (),
    progress: Progress | None,
    common: CommonKeys,
) -> Dataset:
    """A data set of images whose masks are drawn from regions, sorted by name.

    Args:
        classes, background, ignore: as for :func:`dlcli.data.masks.regions.classes_of`.
        trained: the classes of a trained model, which must be the same.
        exclude: patterns of the names of images to leave out.

    Raises:
        InputError: images cannot be read or are listed twice, have another size than in their annotation, or have
            labels without meaning.
    """
    _refuse_repeated(images)
    kept, excluded = without_excluded(sorted(images, key=lambda image: image.name), exclude, source=str(source))
    known = classes_of(kept, source=source, classes=classes, background=background, ignore=ignore)
    refuse_other_classes(known, trained, source)
    frames = {image.name: frame for image, frame in zip(kept, _frames_of(kept), strict=True)}

    def annotate(part: Sequence[RegionImage]) -> Mapping[str, Masks]:
        masks = (mask_of(image, frames[image.name], known, background, ignore) for image in part)
        return {NAME: Masks(tuple(masks))}

    place_of = {image.name: f"{image.place}: {image.name}" for image in kept}
    dataset = assemble_files(
        kept,
        source=str(source),
        rule="there must be images to train on.",
        place=lambda name: place_of[name],
        on_bad_image=on_bad_image,
        trained=None,
        aliases=NO_ALIASES,
        progress=progress,
        common=common,
        outputs=known,
        annotate=annotate,
        exclude=exclude,
        left_out=[*left_out, *excluded],
        warnings=warnings,
    )
    splits = {split: _counted(samples, len(known)) for split, samples in dataset.splits.items()}
    return replace(dataset, splits=splits, warnings=(*dataset.warnings, *warn_of_masks(splits, known)))


def _refuse_repeated(images: Sequence[RegionImage]) -> None:
    first: dict[str, RegionImage] = {}
    lines = []
    for image in images:
        earlier = first.setdefault(image.name, image)
        if earlier is not image:
            lines.append(f"{image.place}: an image must be listed once. '{image.name}' is also in {earlier.place}.")
    refuse(lines, "Remove the repeated entries, or correct the names of the images.")


def _frames_of(images: Sequence[RegionImage]) -> list[Frame]:
    """The frame of each image's regions.

    Raises:
        InputError: annotations are for images of another size.
    """
    frames: list[Frame] = []
    errors: list[str] = []
    headers = read_frames([image.file for image in images])
    for image, stored in zip(images, headers, strict=True):
        frame = UNREADABLE  # is reported with all images that cannot be read
        if stored is not None:
            try:
                frame = frame_of(stored, image.size)
                errors += _wrong_runs(image, frame)
            except BadBox as reason:
                errors.append(f"{image.place}: {reason}.")
        frames.append(frame)
    refuse(errors, "Correct the annotations, or give the images for which they were made.")
    return frames


def _wrong_runs(image: RegionImage, frame: Frame) -> list[str]:
    """The encodings of an image that are not for its size."""
    num_pixels = frame.width * frame.height
    return [
        f"{region.place}: the runs of an encoding must be as long as the image, {num_pixels:,} pixels. Received "
        f"{region.shape.runs.sum():,}."
        for region in image.regions
        if region.shape.runs is not None and region.shape.runs.sum() != num_pixels
    ]


def _counted(samples: Samples, num_classes: int) -> Samples:
    """The same samples, whose masks were drawn once and counted."""
    masks = masks_of(samples)
    assert masks is not None
    counts = list(workers().map(lambda mask: count_pixels(mask.read(), num_classes), masks.masks))
    return replace(samples, annotations={**samples.annotations, NAME: replace(masks, counts=np.stack(counts))})
