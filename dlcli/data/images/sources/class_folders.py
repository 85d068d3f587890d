"""Images in a folder for each class, directly in the root or in a folder for each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from dlcli.data.files import list_folder, name_below, no_garbage_collection, paths_below, prefix_below, printable
from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.discovery import find_images, hold_runs
from dlcli.data.images.samples import Dataset
from dlcli.data.junk import is_junk
from dlcli.data.listing import name_some, refuse_all_excluded
from dlcli.data.split_folders import Folders, find_splits
from dlcli.data.splits import LeftOut
from dlcli.data.table import ImageRow
from dlcli.errors import InputError


def read_folder(
    *,
    path: str | Path,
    folders: Folders = "auto",
    reading: Reading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a folder. The class of each is the folder directly below the root, or the split, that contains it.

    Args:
        folders: ``classes`` if no folder is a split, whatever its name.

    Raises:
        InputError: there is no folder for each class, or images cannot be read.
    """
    root = Path(path)
    split_folders, left_out, warnings = find_splits(
        root, folders=folders, classes=_known(reading.classes, reading.aliases)
    )
    rows: list[ImageRow] = []
    for split, folder in split_folders.items():
        images, others = list_classes(
            folder, root, exclude=reading.exclude, needs_all=split == "train" and reading.classes is None
        )
        left_out += others
        above, paths, labels = prefix_below(root, folder), paths_below(folder, images), class_names(folder, images)
        with no_garbage_collection():
            rows += [
                ImageRow(0, printable(above + name), path, label, split, "")
                for name, path, label in zip(images, paths, labels, strict=True)
            ]
    return assemble_files(
        rows,
        source=str(root),
        rule="there must be images to train on.",
        place=lambda name: f"{root}/{name}",
        on_bad_image=reading.on_bad_image,
        trained=reading.classes,
        aliases=reading.aliases,
        progress=reading.progress,
        common=common,
        by_suffix=True,
        exclude=reading.exclude,
        left_out=left_out,
        warnings=warnings,
    )


def _known(classes: Sequence[str] | None, aliases: Mapping[str, str]) -> set[str]:
    """The names that the folders of a trained model's classes may have."""
    return {*(classes or ()), *aliases}


def class_folders(path: str | Path, *, folders: Folders = "auto") -> tuple[str, ...]:
    """The classes by their folders, in every split and including empty ones; sorted.

    Raises:
        InputError: a folder cannot be listed, or the split folders have wrong names.
    """
    splits = find_splits(Path(path), folders=folders)[0]
    found = [folder for split in splits.values() for folder in list_folder(split)[0] if not is_junk(folder.name)]
    return tuple(sorted({printable(folder.name) for folder in found if not hold_runs(list_folder(folder)[0])}))


def class_names(folder: Path, images: Sequence[str]) -> list[str]:
    """The class of each image, given by its name relative to the folder of a split: the first folder in it.

    Raises:
        InputError: two folders' names are the same with unprintable characters written as escapes.
    """
    folders = [name.partition("/")[0] for name in images]
    own: dict[str, str] = {}
    for name in set(folders):
        if own.setdefault(printable(name), name) != name:
            raise InputError(
                f"{folder}: two classes would both be called '{printable(name)}'. Rename one of the folders."
            )
    shown = {name: printable(name) for name in own.values()}
    return [shown[name] for name in folders]


def describe_empty(names: Sequence[str]) -> str:
    """That the folders of the classes, of these names, hold nothing that can be trained on."""
    return f"there must be images in the folders of the classes. Received none in {name_some(names)}."


def list_classes(
    folder: Path, root: Path, *, exclude: Sequence[str] = (), needs_all: bool
) -> tuple[list[str], list[LeftOut]]:
    """The images in the class folders of one split, by their names relative to it, sorted; and what is left out.

    Raises:
        InputError: there is no class folder, or one contains no image and all are needed.
    """
    found, left_out = find_images(folder, root=root, exclude=exclude)
    images = [name for name in found if "/" in name]
    loose = {name for name in found if "/" not in name}
    left_out += [LeftOut(name_below(root, folder / name), "outside the class folders") for name in sorted(loose)]
    if not images:
        refuse_all_excluded(left_out, source=str(folder), is_left=False)
        empty = [printable(path.name) for path in list_folder(folder)[0] if not is_junk(path.name)]
        if empty:
            raise InputError(f"{folder}: {describe_empty(empty)}")
        beside = f" ({len(loose)} images are directly in it)" if loose else ""
        raise InputError(
            f"{folder}: there must be a folder of images for each class, such as "
            f"{folder}/cats/1.jpg. Received none{beside}."
        )
    if needs_all:
        above = prefix_below(root, folder)
        filled = {name.partition("/")[0] for name in images} | loose
        emptied = {item.name.removeprefix(above).partition("/")[0] for item in left_out if item.kind == "excluded"}
        skipped = {item.name for item in left_out}
        for path in list_folder(folder)[0]:
            is_known = path.name in filled or printable(path.name) in emptied or name_below(root, path) in skipped
            if not is_known:
                raise InputError(f"{path}: no image in this class folder. Add images or remove the folder.")
    return images, left_out
