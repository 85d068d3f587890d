"""Finding images and their masks: in two folders, in folders of splits, side by side, or in a table.

A mask here is any file that annotates one image: an image of values or colors, or a JSON file of polygons.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dlcli.data.files import name_below, names_below, printable
from dlcli.data.images.discovery import find_images
from dlcli.data.listing import excluded, name_some, refuse, refuse_all_excluded
from dlcli.data.masks.folders import Part, find_parts
from dlcli.data.masks.names import image_stems, mask_stems
from dlcli.data.paths import is_outside, normalized, outside_error
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.data.table import ImageRow, read_image_rows, refuse_errors
from dlcli.errors import InputError

OnMissing = Literal["error", "skip"]
ListFiles = Callable[[Path, Path], tuple[list[Path], list[LeftOut]]]
"""The files that may be masks below a folder, and others, with names relative to a root."""


@dataclass(frozen=True)
class Pair:
    """An image and the file that annotates it; a row for :func:`dlcli.data.images.dataset.assemble_files`.

    Attributes:
        name, mask_name: the paths below the root, for tables and messages.
        line: in a table, else 0.
    """

    name: str
    file: Path
    mask_name: str
    mask: Path
    split: str
    group: str = ""
    line: int = 0
    label: str = ""


@dataclass(frozen=True)
class Paired:
    """The pairs of a folder or table, sorted by split and name, and what is left out."""

    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()


def list_images(folder: Path, root: Path) -> tuple[list[Path], list[LeftOut]]:
    """The image files below a folder, which may be masks."""
    names, left_out = find_images(folder, root=root)
    return [folder / name for name in names], left_out


def find_pairs(
    root: Path,
    *,
    images: str | None = None,
    masks: str | None = None,
    exclude: Sequence[str] = (),
    on_missing: OnMissing = "error",
    list_masks: ListFiles = list_images,
) -> Paired:
    """The images below a folder that have a mask each.

    Args:
        images, masks: folders below the root, or patterns such as ``*_sat.jpg`` or ``gtFine/*_labelIds.png``, whose
            wildcard is what the names of an image and its mask have in common. Default: see
            :func:`dlcli.data.masks.folders.find_parts`.
        exclude: patterns of the names of images to leave out.
        on_missing: whether an image without mask, or a mask without image, is an error or is left out.
        list_masks: lists the files that may be masks.

    Raises:
        InputError: no pair is found, an image has several masks, or masks or images are missing, which are all named.
    """
    parts, left_out, warnings = find_parts(root, images=images, masks=masks)
    pairs: list[Pair] = []
    missing: list[LeftOut] = []
    for part in parts:
        found, alone, others = _match(part, root, list_masks)
        for pair in found:
            if (item := excluded(pair.name, exclude)) is None:
                pairs.append(pair)
            else:
                left_out.append(item)
        for single in alone:
            if (item := excluded(single.name, exclude)) is None:
                missing.append(single)
            else:
                left_out.append(item)
        left_out += others
    if not pairs:
        refuse_all_excluded(left_out, source=str(root), is_left=False)
        _refuse_none(root, missing)
    if on_missing == "error":
        number = len(missing)
        noun = "1 image or mask has" if number == 1 else f"{number} images and masks have"
        refuse(
            (f"{root / item.name}: {item.reason}." for item in missing),
            f"{noun} no counterpart. Add the files, or leave them out with data.exclude or data.on_missing: skip.",
        )
    listed = dict.fromkeys(left_out + missing)  # several parts list the same folder
    return Paired(tuple(pairs), tuple(listed), tuple(warnings))


def _refuse_none(root: Path, missing: Sequence[LeftOut]) -> None:
    received = f"Received {len(missing):,} files, such as '{missing[0].name}'" if missing else "Received none"
    raise InputError(
        f"{root}: there must be images with masks of the same names: in two folders, such as images and masks, or side "
        f"by side, such as x.png and x_mask.png. {received}: name the two folders, or patterns of the files, in "
        "data.images and data.masks."
    )


# Matching -------------------------------------------------------------------------------------------------------------


Keys = dict[Path, tuple[str, ...]]
"""By what the counterpart of each file is found: its name without suffix, then shorter ones."""


def _match(part: Part, root: Path, list_masks: ListFiles) -> tuple[list[Pair], list[LeftOut], list[LeftOut]]:
    """The pairs of a part; the images and masks without counterpart; the files that are neither."""
    image_files, left_out = list_images(part.images, root)
    mask_files, others = list_masks(part.masks, root)
    in_folders = _have_folders(part.images, image_files) and _have_folders(part.masks, mask_files)
    images = _keys(part.images, image_files, part.image_pattern, image_stems, in_folders=in_folders)
    masks = _keys(part.masks, mask_files, part.mask_pattern, mask_stems, in_folders=in_folders)
    _separate(part, images, masks)
    used = {name_below(root, path) for path in (*images, *masks)}
    left_out = [item for item in (*left_out, *others) if item.name not in used]
    by_key: dict[str, list[Path]] = {}
    for image, (own, *_) in images.items():
        by_key.setdefault(own, []).append(image)
    exact = set(by_key)
    for image, (_, *shorter) in images.items():
        for key in shorter:
            if key not in exact:
                by_key.setdefault(key, []).append(image)
    mask_of: dict[Path, list[Path]] = {}
    alone: list[LeftOut] = []
    for mask, keys in masks.items():
        candidates = next((by_key[key] for key in keys if key in by_key), [])
        if len(candidates) == 1:
            mask_of.setdefault(candidates[0], []).append(mask)
        else:
            either = " or ".join(printable(path.name) for path in candidates[:2])
            reason = f"it may be the mask of {either}" if candidates else "a mask without image"
            alone.append(LeftOut(name_below(root, mask), reason, "unpaired"))
    _refuse_several(root, mask_of)
    pairs = []
    for image in images:
        if image in mask_of:
            mask = mask_of[image][0]
            pairs.append(Pair(name_below(root, image), image, name_below(root, mask), mask, part.split))
        else:
            alone.append(LeftOut(name_below(root, image), "an image without mask", "unpaired"))
    return pairs, alone, left_out


def _have_folders(folder: Path, files: Sequence[Path]) -> bool:
    return any(path.parent != folder for path in files)


def _keys(
    folder: Path,
    files: Sequence[Path],
    pattern: str | None,
    stems: Callable[[str], tuple[str, ...]],
    *,
    in_folders: bool,
) -> Keys:
    """The keys of the files that fit the pattern, if one is given.

    Args:
        in_folders: whether the folders of a file are part of its name; not if its counterparts are all in one folder.
    """
    expression = None if pattern is None else _expression(pattern)
    keys: Keys = {}
    for path, name in zip(files, names_below(folder, files), strict=True):
        above, _, last = name.rpartition("/")
        stem = os.path.splitext(last)[0]
        if expression is not None:
            match = expression.fullmatch(last)
            if match is None:
                continue
            stem = "".join(match.groups())
        keys[path] = tuple(os.path.join(above, key) if in_folders else key for key in stems(stem))
    return keys


def _expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern, in which each wildcard is a group."""
    return re.compile("".join({"*": "(.*)", "?": "(.)"}.get(part, re.escape(part)) for part in pattern))


def _separate(part: Part, images: Keys, masks: Keys) -> None:
    """Decides which of the files that are side by side are masks: those of the pattern, if there is one; else those
    with a word for masks in their names, unless it belongs to the image's name too (``x_L`` and ``x_L_mask``)."""
    shared = images.keys() & masks.keys()
    if part.mask_pattern is not None:
        are_masks = set(masks)
    elif part.image_pattern is not None:
        are_masks = masks.keys() - images.keys()
    else:
        shorter = {key for _, *keys in masks.values() for key in keys}
        are_masks = {path for path, keys in masks.items() if len(keys) > 1 and keys[0] not in shorter}
    for path in shared:
        del (images if path in are_masks else masks)[path]


def _refuse_several(root: Path, mask_of: Mapping[Path, Sequence[Path]]) -> None:
    """Refuses images with several masks.

    Raises:
        InputError: there are some.
    """
    lines = [
        f"{image}: an image must have one mask. Received {name_some([name_below(root, mask) for mask in masks])}."
        for image, masks in mask_of.items()
        if len(masks) > 1
    ]
    refuse(lines, "Say which files are masks by a pattern, such as data.masks: gtFine/*_labelIds.png.")


# Tables ---------------------------------------------------------------------------------------------------------------


def read_pairs(
    table: Path,
    *,
    image: str,
    mask: str,
    split: str | None,
    group: str | None,
    exclude: Sequence[str] = (),
    allow_outside: bool = False,
) -> Paired:
    """The pairs of a CSV file with two paths in each row, relative to its folder.

    Args:
        image, mask, split, group: names of columns.
        allow_outside: whether paths may leave the table's folder.

    Raises:
        InputError: the table is not as described, or files do not exist, which are all named.
    """
    rows = read_image_rows(table, image=image, label=mask, split=split, group=group, allow_outside=allow_outside)
    pairs: list[Pair] = []
    left_out: list[LeftOut] = []
    errors: list[tuple[int, str]] = []
    for row in rows:
        if (item := excluded(row.name, exclude)) is not None:
            left_out.append(item)
            continue
        pair = _pair_of(table, row)
        if not allow_outside and is_outside(table.parent, pair.mask):
            errors.append((row.line, outside_error(table.parent, row.label)))
        elif not os.path.lexists(pair.mask):
            errors.append((row.line, f"{pair.mask_name}: no such file."))
        pairs.append(pair)
    errors += [(row.line, f"{row.name}: no such file.") for row in rows if not os.path.lexists(row.file)]
    refuse_errors(table, errors)
    refuse_all_excluded(left_out, source=str(table), is_left=bool(pairs))
    return Paired(tuple(pairs), tuple(left_out))


def _pair_of(table: Path, row: ImageRow) -> Pair:
    mask = normalized(table.parent, row.label)
    return Pair(row.name, Path(row.file), printable(mask), table.parent / mask, row.split, row.group, row.line)
