"""Masks in COCO's format: a JSON file with the polygons or run-length encodings of objects."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from dlcli.data.boxes.sources.coco_json import Entry, is_crowd, locate_images, read_coco_file
from dlcli.data.boxes.sources.coco_shapes import shape_of
from dlcli.data.files import Progress, printable
from dlcli.data.images.dataset import CommonKeys, OnBadImage
from dlcli.data.images.samples import Dataset
from dlcli.data.masks.region_dataset import assemble_regions
from dlcli.data.masks.regions import Region, RegionImage


def read_coco_masks(
    *,
    path: str | Path,
    images: str | Path | None,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    labels: Sequence[str] | None,
    background: str | None,
    ignore: Sequence[str],
    on_bad_image: OnBadImage,
    exclude: Sequence[str] = (),
    allow_outside: bool = False,
    classes: tuple[str, ...] | None = None,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a COCO file, with a mask that is drawn from all objects of each.

    Large objects are drawn before small ones, so that none is hidden; crowds are ignored where nothing is drawn.

    Args:
        path, images, validation_path, test_path, allow_outside: as for
            :func:`dlcli.data.boxes.sources.coco.read_coco`.
        labels: the categories to learn; None for those of train.
        background: the class of the pixels of no object; None to ignore them.
        ignore: categories whose pixels are ignored.
        classes: those of a trained model, which must be the same.

    Raises:
        InputError: files, segmentations or images are invalid.
    """
    source = Path(path)
    found: list[RegionImage] = []
    for split, part in (("train", path), ("validation", validation_path), ("test", test_path)):
        if part is not None:
            folder = None if images is None else source.parent / images
            found += _read_file(Path(part), split, root=source.parent, folder=folder, allow_outside=allow_outside)
    return assemble_regions(
        found,
        source=source,
        classes=labels,
        trained=classes,
        background=background,
        ignore=ignore,
        on_bad_image=on_bad_image,
        exclude=exclude,
        progress=progress,
        common=common,
    )


def _read_file(file: Path, split: str, *, root: Path, folder: Path | None, allow_outside: bool) -> list[RegionImage]:
    content = read_coco_file(file, place=str(file), make=_region, without_crowds=False)
    paths = locate_images(file, content.images, folder=folder, allow_outside=allow_outside)
    return [
        RegionImage(
            name=printable(os.path.relpath(path, root)),
            file=path,
            split=split,
            place=f"{file}: image {number}",
            mask_name=printable(os.path.relpath(file, root)),
            regions=tuple(sorted(content.objects.get(number, ()), key=_order)),
            size=content.images[number].size,
        )
        for number, path in paths.items()
    ]


def _order(region: Region) -> tuple[bool, float]:
    """Crowds first, then by decreasing area."""
    return region.label != "", -region.shape.area


def _region(place: str, label: str, entry: Entry) -> Region:
    return Region(place, "" if is_crowd(entry) else label, shape_of(entry))
