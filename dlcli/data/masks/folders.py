"""The folders, and patterns of files, in which images and their masks are, for each split."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.files import list_folder, printable
from dlcli.data.junk import is_document, is_junk
from dlcli.data.listing import name_some
from dlcli.data.masks.names import INSTANCES_FOLDER, is_of_images, is_of_masks, split_part_of
from dlcli.data.split_folders import find_splits
from dlcli.data.splits import SPLITS, DataWarning, LeftOut, split_named, split_word_in
from dlcli.errors import InputError


@dataclass(frozen=True)
class Part:
    """Where the images and the masks of a split are.

    Attributes:
        images, masks: folders, which are the same if files are side by side.
        image_pattern, mask_pattern: of the files' names; None for all files.
    """

    split: str
    images: Path
    masks: Path
    image_pattern: str | None = None
    mask_pattern: str | None = None


Found = tuple[list[Part], list[LeftOut], list[DataWarning]]


def find_parts(root: Path, *, images: str | None, masks: str | None) -> Found:
    """Where images and masks are below a folder.

    Given folders or patterns are used. Else they are, in this order: a folder for each split beside one of its masks
    (``train`` and ``trainannot``, ``train_masks`` or ``train_labels``), two folders of usual names (``images`` and
    ``masks`` or ``labels``, ``JPEGImages`` and ``SegmentationClass``), such folders in a folder for each split, or
    files side by side. In each, folders of splits are entered; other folders belong to the names of the files.

    Raises:
        InputError: a folder does not exist or cannot be listed, or it is not clear which one holds masks.
    """
    if images is not None or masks is not None:
        return _given(root, images, masks)
    folders = [path for path in list_folder(root)[0] if not is_junk(path.name)]
    found = _beside_splits(root, folders)
    if found is not None:
        return found
    two = _two_folders(root, folders)
    if two is not None:
        rest = [path for path in folders if path not in two]
        return _by_split(Part("train", *two)), *_others(root, rest, "neither the folder of images nor that of masks")
    splits, left_out, warnings = _splits_in(root)
    if len(splits) == 1:
        return [Part("train", root, root)], [], []
    parts = []
    for split, folder in splits.items():
        below = [path for path in list_folder(folder)[0] if not is_junk(path.name)]
        own = _two_folders(folder, below) or (folder, folder)
        parts.append(Part(split, *own))
    return parts, left_out, warnings


def _splits_in(folder: Path) -> tuple[dict[str, Path], list[LeftOut], list[DataWarning]]:
    """The folder of each split in a folder; itself as train without such folders.

    Raises:
        InputError: it cannot be listed, or it is not clear which folders are splits.
    """
    names = [path.name for path in list_folder(folder)[0] if not is_junk(path.name)]
    if not any(split_named(name) or split_word_in(name) for name in names):
        return {"train": folder}, [], []
    try:
        return find_splits(folder)
    except InputError:  # speaks of folders of classes, which are none here
        raise InputError(
            f"{folder}: its folders must be one for each split, 'train' among them, or have no names of splits. "
            f"Received {name_some([printable(name) for name in names])}: rename them, or move the others away."
        ) from None


def _others(root: Path, folders: Sequence[Path], reason: str) -> tuple[list[LeftOut], list[DataWarning]]:
    left_out = [LeftOut(printable(path.name), reason) for path in folders]
    warnings = [DataWarning("folders", f"{path} is {reason}, and was left out.") for path in folders]
    return left_out, warnings


# Given ----------------------------------------------------------------------------------------------------------------


def _given(root: Path, images: str | None, masks: str | None) -> Found:
    image_folder, image_pattern = _place(root, images, "data.images")
    mask_folder, mask_pattern = _place(root, masks, "data.masks")
    if image_folder is None or mask_folder is None:
        folders = [path for path in list_folder(root)[0] if not is_junk(path.name)]
        two = _two_folders(root, folders, images=image_folder, masks=mask_folder)
        image_folder, mask_folder = two or (image_folder or root, mask_folder or root)
    part = Part("train", image_folder, mask_folder, image_pattern, mask_pattern)
    return _by_split(part), [], []


def _place(root: Path, given: str | None, key: str) -> tuple[Path | None, str | None]:
    """The folder and pattern that a key of the recipe gives; no folder if it gives none, or the pattern alone."""
    if given is None:
        return None, None
    folder, _, last = given.replace("\\", "/").rstrip("/").rpartition("/")
    pattern = last if "*" in last or "?" in last else None
    path = root / (folder if pattern is not None else given)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder. Correct {key}, or leave it out.")
    return (root if pattern is not None and not folder else path), pattern


def _by_split(part: Part) -> list[Part]:
    """The parts of two folders, each of which may hold a folder for each split.

    Raises:
        InputError: only one of them does.
    """
    if part.images == part.masks:
        splits = _splits_in(part.images)[0]
        inside = {split: (folder, folder) for split, folder in splits.items()}
    else:
        of_images, of_masks = (_splits_in(folder)[0] for folder in (part.images, part.masks))
        if len(of_images) == 1:
            return [part]
        lacking = sorted(set(of_images) - set(of_masks))
        if lacking and len(of_masks) > 1:
            raise InputError(
                f"{part.masks}: there must be masks of each split in {part.images}. Received none for "
                f"{name_some(lacking)}: add a folder '{of_images[lacking[0]].name}', or move its images away."
            )
        if lacking:  # all masks are in one folder
            of_masks = dict.fromkeys(of_images, part.masks)
        inside = {split: (folder, of_masks[split]) for split, folder in of_images.items()}
    return [Part(split, *folders, part.image_pattern, part.mask_pattern) for split, folders in inside.items()]


# Found ----------------------------------------------------------------------------------------------------------------


def _beside_splits(root: Path, folders: Sequence[Path]) -> Found | None:
    """A folder for each split beside one of its masks; None if train has none."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for folder in folders:
        split = split_named(folder.name)
        of_mask = split_named(split_part_of(folder.name))
        if of_mask is not None:
            masks.setdefault(of_mask, folder)
        elif split is not None:
            images.setdefault(split, folder)
    both = [split for split in SPLITS if split in images and split in masks]
    if "train" not in both:
        return None
    used = {folder for split in both for folder in (images[split], masks[split])}
    reason = "not a split with its masks"
    rest = [folder for folder in folders if folder not in used]
    return [Part(split, images[split], masks[split]) for split in both], *_others(root, rest, reason)


def _two_folders(
    root: Path, folders: Sequence[Path], *, images: Path | None = None, masks: Path | None = None
) -> tuple[Path, Path] | None:
    """A folder of images and one of masks, by their names; None if one of them is absent.

    Args:
        images, masks: the one that is given.

    Raises:
        InputError: several may be meant.
    """
    filled = [path for path in folders if _is_filled(path)]
    of_masks = [path for path in filled if is_of_masks(path.name) and path != images]
    of_images = [path for path in filled if is_of_images(path.name) and path != masks]
    if any(not INSTANCES_FOLDER.fullmatch(path.name) for path in of_masks):
        of_masks = [path for path in of_masks if not INSTANCES_FOLDER.fullmatch(path.name)]
    candidates: Mapping[str, list[Path]] = {
        "images": [images] if images is not None else of_images,
        "masks": [masks] if masks is not None else of_masks,
    }
    if not all(candidates.values()):
        return None
    for key, found in candidates.items():
        if len(found) > 1:
            raise InputError(
                f"{root}: there must be one folder of {key}. Received {name_some([path.name for path in found])}: name "
                f"it in data.{key}."
            )
    return candidates["images"][0], candidates["masks"][0]


def _is_filled(folder: Path) -> bool:
    """Whether a folder holds anything that may be an image or a mask: a folder or a file that is not junk."""
    try:
        with os.scandir(folder) as entries:
            return any(
                not is_junk(entry.name) and not is_document(entry.name) and not entry.name.lower().endswith(".xml")
                for entry in entries
            )
    except OSError:  # reported by whoever lists it
        return True
