"""Masks that are drawn from regions: polygons and run-length encodings of objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.shapes import Shape, turned_upright
from dlcli.data.files import hash_content
from dlcli.data.listing import name_some, refuse
from dlcli.data.masks.coding import IGNORED, MAX_CLASSES, Mask
from dlcli.errors import InputError


@dataclass(frozen=True)
class Region:
    """A labeled object of an image as a source lists it.

    Attributes:
        place: where it is listed, for messages.
        label: its class; empty for pixels to ignore, such as a crowd's.
    """

    place: str
    label: str
    shape: Shape


@dataclass(frozen=True)
class RegionMask:
    """A mask that is drawn when it is read.

    Attributes:
        name: of the file that describes it.
        frame: the image in whose pixels the shapes are.
        regions: the class, or IGNORED, and the shape of each region; later ones hide earlier ones.
        background: the class, or IGNORED, of pixels in no region.
    """

    name: str
    frame: Frame
    regions: tuple[tuple[int, Shape], ...]
    background: int

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the regions and the size."""
        parts = [str((self.frame, self.background)).encode()]
        parts += [str(label).encode() + shape.to_bytes() for label, shape in self.regions]
        return hash_content(b"/".join(parts))

    def read(self) -> Mask:
        """The mask, rotated upright like the image."""
        mask = np.full((self.frame.height, self.frame.width), self.background, np.uint8)
        for label, shape in self.regions:
            mask[shape.fill(*mask.shape)] = label
        return turned_upright(mask, self.frame)


@dataclass(frozen=True)
class RegionImage:
    """An image and its regions as a source lists them; a row for
    :func:`dlcli.data.images.dataset.assemble_files`.

    Attributes:
        place: of the annotation, for messages.
        mask_name: of the file that lists the regions, below the root.
        size: width and height in the annotation, if it has them.
    """

    name: str
    file: Path
    split: str
    place: str
    mask_name: str
    regions: tuple[Region, ...]
    size: tuple[int, int] | None = None
    group: str = ""
    line: int = 0
    label: str = ""


def classes_of(
    images: Sequence[RegionImage],
    *,
    source: Path,
    classes: Sequence[str] | None,
    background: str | None,
    ignore: Sequence[str],
) -> tuple[str, ...]:
    """The classes of pixels: the background, if it is one, then the given labels, or those of train, sorted.

    Raises:
        InputError: regions have labels that are not among them, or there are too few or too many classes.
    """
    found = sorted({region.label for image in images if image.split == "train" for region in image.regions} - {""})
    labels = [label for label in (found if classes is None else classes) if label not in ignore]
    known = tuple(labels) if background is None or background in labels else (background, *labels)
    must = "data.classes or data.ignore" if classes is not None else "train too, or in data.ignore"
    errors = [
        f"{region.place}: a label must be in {must}. Received '{region.label}'."
        for image in images
        for region in image.regions
        if region.label and region.label not in (*known, *ignore)
    ]
    refuse(errors, f"The labels are {name_some(labels)}: add the others to data.classes, or to data.ignore.")
    if not 2 <= len(known) <= MAX_CLASSES:
        raise InputError(
            f"{source}: there must be from 2 to {MAX_CLASSES} classes of pixels. Received {name_some(known) or 'none'}."
        )
    return known


def mask_of(
    image: RegionImage, frame: Frame, classes: Sequence[str], background: str | None, ignore: Sequence[str]
) -> RegionMask:
    """The mask of an image's regions, in their order."""
    values: Mapping[str, int] = {
        **{label: index for index, label in enumerate(classes)},
        **dict.fromkeys(ignore, IGNORED),
        "": IGNORED,
    }
    regions = tuple((values[region.label], region.shape) for region in image.regions)
    return RegionMask(image.mask_name, frame, regions, IGNORED if background is None else values[background])
