"""Masks from a JSON file of polygons for each image, as Cityscapes and labelme write it."""

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.annotated import LARGEST, whole
from dlcli.data.boxes.shapes import Shape
from dlcli.data.boxes.sources.coco_json import as_number
from dlcli.data.files import Progress, printable
from dlcli.data.images.dataset import CommonKeys, OnBadImage
from dlcli.data.images.samples import Dataset
from dlcli.data.json_file import read_json
from dlcli.data.listing import refuse
from dlcli.data.masks.pairs import OnMissing, Pair, find_pairs
from dlcli.data.masks.polygon_files import list_json
from dlcli.data.masks.region_dataset import assemble_regions
from dlcli.data.masks.regions import Region, RegionImage
from dlcli.errors import InputError

MAX_BYTES = 2**28  # of a file; labelme may store the image in it
REMEDY = "Give a JSON file of Cityscapes or labelme."


def read_polygons(
    *,
    path: str | Path,
    images: str | None,
    polygons: str | None,
    labels: Sequence[str] | None,
    background: str | None,
    ignore: Sequence[str],
    on_missing: OnMissing,
    on_bad_image: OnBadImage,
    exclude: Sequence[str] = (),
    classes: tuple[str, ...] | None = None,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a folder that have a JSON file of polygons each; later polygons hide earlier ones.

    Args:
        images, polygons, on_missing: see :func:`~dlcli.data.masks.pairs.find_pairs`.
        labels, background, ignore, classes: as for :func:`dlcli.data.masks.sources.coco.read_coco_masks`.

    Raises:
        InputError: files, polygons or images are invalid.
    """
    root = Path(path)
    paired = find_pairs(
        root, images=images, masks=polygons, exclude=exclude, on_missing=on_missing, list_masks=list_json
    )
    found: list[RegionImage] = []
    errors: list[str] = []
    for pair in paired.pairs:
        try:
            found.append(_read_file(pair))
        except InputError as error:
            errors.append(str(error))
    refuse(errors, "Correct the files above, or leave their images out with data.exclude.")
    return assemble_regions(
        found,
        source=root,
        classes=labels,
        trained=classes,
        background=background,
        ignore=ignore,
        on_bad_image=on_bad_image,
        exclude=exclude,
        left_out=paired.left_out,
        warnings=paired.warnings,
        progress=progress,
        common=common,
    )


def _read_file(pair: Pair) -> RegionImage:
    """The regions of one file.

    Raises:
        InputError: it is not such a file.
    """
    content = read_json(pair.mask, noun="file of polygons", max_bytes=MAX_BYTES, remedy=REMEDY)
    is_labelme = isinstance(content, dict) and "shapes" in content
    entries = content.get("shapes" if is_labelme else "objects") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{pair.mask}: must have 'objects', as in Cityscapes, or 'shapes', as in labelme. {REMEDY}")
    keys = ("imageWidth", "imageHeight") if is_labelme else ("imgWidth", "imgHeight")
    sides = [whole(as_number(content.get(key))) for key in keys]
    regions = [_region(pair.mask, number, entry, is_labelme) for number, entry in enumerate(entries, 1)]
    return RegionImage(
        name=pair.name,
        file=pair.file,
        split=pair.split,
        place=str(pair.mask),
        mask_name=pair.mask_name,
        regions=tuple(region for region in regions if region is not None),
        size=(sides[0], sides[1]) if sides[0] and sides[1] else None,
    )


def _region(file: Path, number: int, entry: Any, is_labelme: bool) -> Region | None:
    """An object; None if it is deleted.

    Raises:
        InputError: it is invalid.
    """
    place = f"{file}: object {number}"
    label = entry.get("label") if isinstance(entry, dict) else None
    if not isinstance(label, str) or not label.strip():
        raise InputError(f"{place}: label must be a name. Received {reprlib.repr(label)}.")
    if entry.get("deleted"):
        return None
    points = _points(place, entry.get("points" if is_labelme else "polygon"))
    kind = entry.get("shape_type") or "polygon"
    if is_labelme and kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points
        points = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float32)
    elif kind not in ("polygon", "rectangle"):
        raise InputError(f"{place}: shape_type must be polygon or rectangle. Received '{printable(str(kind)[:50])}'.")
    if len(points) < 3:
        raise InputError(f"{place}: a polygon must have at least three corners. Received {len(points)}.")
    return Region(place, printable(label.strip()), Shape(polygons=(points,)))


def _points(place: str, value: Any) -> NDArray[np.float32]:
    pairs = value if isinstance(value, list) else [None]
    points: list[tuple[float, float]] = []
    for pair in pairs:
        numbers = [as_number(item) for item in pair] if isinstance(pair, list) else []
        usable = [number for number in numbers if number is not None and abs(number) <= LARGEST]
        if len(usable) != 2 or len(numbers) != 2:
            raise InputError(f"{place}: corners must be pairs [x, y] of pixels. Received {reprlib.repr(value)}.")
        points.append((usable[0], usable[1]))
    return np.array(points, np.float32).reshape(-1, 2)
