"""Images beside mask files: in folders, or listed in a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from dlcli.data.files import Progress
from dlcli.data.images.dataset import CommonKeys, OnBadImage
from dlcli.data.images.samples import Dataset
from dlcli.data.masks.coding import (
    WHITE,
    Coding,
    Color,
    black_and_white,
    by_color,
    by_index,
    by_value,
    foreground,
)
from dlcli.data.masks.dataset import assemble_masks, refuse_other_classes
from dlcli.data.masks.pairs import OnMissing, find_pairs, read_pairs

TABLES = (".csv", ".tsv", ".txt")


def codings_of(
    *,
    classes: Sequence[str] | Mapping[str, int] | None = None,
    palette: Mapping[str, Color] | None = None,
    foreground_class: str | None = None,
    ignore: Sequence[int | Color] = (),
) -> list[Coding]:
    """What the values of masks may mean by the keys of a recipe, of which exactly one of the first three is given.

    Masks of two classes by index may also be black and white, 0 and 255, unless 255 is to be ignored.
    """
    values = [value for value in ignore if isinstance(value, int)]
    if palette is not None:
        return [by_color(palette, ignore=[value for value in ignore if not isinstance(value, int)])]
    if foreground_class is not None:
        return [foreground(foreground_class, ignore=values)]
    assert classes is not None
    if isinstance(classes, Mapping):
        return [by_value(classes, ignore=values)]
    codings: list[Coding] = [by_index(classes, ignore=values)]
    if len(classes) == 2 and WHITE not in values:
        codings.append(black_and_white(classes, ignore=values))
    return codings


def read_masks(
    *,
    path: str | Path,
    images: str | None,
    masks: str | None,
    codings: Sequence[Coding],
    on_missing: OnMissing,
    on_bad_image: OnBadImage,
    exclude: Sequence[str] = (),
    image: str = "image",
    mask: str = "mask",
    split: str | None = None,
    group: str | None = None,
    allow_outside: bool = False,
    classes: tuple[str, ...] | None = None,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a folder or table that have a mask file each.

    Args:
        path: a folder, see :func:`~dlcli.data.masks.pairs.find_pairs`; or a CSV file with two paths in each row.
        images, masks, on_missing: for a folder.
        image, mask, split, group, allow_outside: names of columns, and where files may be; for a table.
        codings: what the values in the masks may mean, by :func:`codings_of`.
        classes: those of a trained model, which the masks must have in the same order.

    Raises:
        InputError: pairs, images or masks are invalid.
    """
    source = Path(path)
    refuse_other_classes(codings[0].classes, classes, source)
    if source.suffix.lower() in TABLES and not source.is_dir():
        paired = read_pairs(
            source, image=image, mask=mask, split=split, group=group, exclude=exclude, allow_outside=allow_outside
        )
    else:
        paired = find_pairs(source, images=images, masks=masks, exclude=exclude, on_missing=on_missing)
    return assemble_masks(
        paired,
        codings,
        source=source,
        on_bad_image=on_bad_image,
        has_groups=group is not None,
        exclude=exclude,
        progress=progress,
        common=common,
    )
