"""Folders named after the splits they contain: the one place that distinguishes them from folders of classes."""

import difflib
import itertools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from dlcli.data.files import list_folder, printable
from dlcli.data.junk import is_document, is_junk, reason_of_junk
from dlcli.data.listing import name_some
from dlcli.data.splits import SPLIT_NAMES, SPLIT_WORDS, SPLITS, DataWarning, LeftOut, split_named, split_word_in
from dlcli.errors import InputError
from dlcli.files import suffix_of

Folders = Literal["auto", "classes"]
AnyRow = TypeVar("AnyRow", bound=Any)  # a dataclass with a name and a split
Found = tuple[dict[str, Path], list[LeftOut], list[DataWarning]]

PART_OF_SPLIT = re.compile(
    rf"((?i:{'|'.join(itertools.chain(*SPLIT_WORDS.values()))}))((?<=[a-z])[A-Z]|[\s._-][A-Za-z]|[\s._-]*\d+)"
)
"""A split's name and a letter or number: ``trainA``, ``test_1``."""
IF_CLASSES = "If they are classes, set data.folders: classes in a recipe"
IF_CLASS = "If it is a class, set data.folders: classes in a recipe"


def find_splits(root: Path, *, folders: Folders = "auto", classes: Collection[str] = ()) -> Found:
    """The folder of each split; if the folders in the root are classes, the root itself is train.

    Splits are folders with the names of :func:`~dlcli.data.splits.split_named`: all of the folders, or train and
    another split among others, which are left out. Folders that hold subfolders of the same names are splits too if a
    word of their names says which: ``seg_train`` and ``seg_test``. A folder that only repeats the name of its split,
    as archives do (``training_set/training_set/cats``), is entered.

    Args:
        folders: ``classes`` if the folders in the root are classes whatever their names.
        classes: those of a trained model; folders of these names are classes.

    Raises:
        InputError: the root cannot be listed, two folders are the same split, train is missing, or it is not clear
            whether the folders are splits or classes.
    """
    if folders == "classes":
        return {"train": root}, [], []
    below, files = _listed(root)
    by_name = {folder.name: folder for folder in below if printable(folder.name) not in classes}
    named = {name: split for name in by_name if (split := split_named(name)) is not None}
    named = named or _named_in_words(by_name, classes)
    others = [folder.name for folder in below if folder.name not in named]
    has_train = "train" in named.values()
    if not named or (others and not (has_train and len(named) > 1)):
        if named:
            _refuse_unclear(root, named, others)
        if by_name:  # else all are the classes of a trained model
            _refuse_parts_of_splits(root, list(by_name))
            _refuse_inner_folders(root, below)
        return {"train": root}, [], []
    splits: dict[str, Path] = {}
    for name, split in named.items():
        if split in splits:
            raise InputError(
                f"{root}: each split must be in one folder. Received '{splits[split].name}' and '{name}': merge them."
            )
        splits[split] = by_name[name]
    if not has_train:
        raise InputError(f"{root}: there must be a folder 'train' beside {name_some(list(named))}. {IF_CLASSES}.")
    for name in others:
        _refuse_misspelled(root, name)
    reason = "outside the split folders"
    left_out = [LeftOut(printable(path.name), reason_of_junk(path.name)) for path in files if is_junk(path.name)]
    left_out += [LeftOut(printable(path.name), reason) for path in files if not is_junk(path.name)]
    left_out += [LeftOut(printable(name), reason) for name in others]
    warnings = [DataWarning("folders", f"{root / name} is not a split folder and was left out.") for name in others]
    return {split: _unwrapped(splits[split], split) for split in SPLITS if split in splits}, left_out, warnings


def files_by_split(
    path: Path,
    *,
    suffixes: Sequence[str] | None = None,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
) -> dict[str, Path]:
    """The file of each split.

    Args:
        path: the file of train, or a folder that has a file for each split.
        suffixes: of these files, with the point; those with others are not considered. None for all files but
            documents.
        validation_path, test_path: further files; a folder may not have those of the same splits.

    Raises:
        InputError: as by :func:`name_files_of_splits`, or a split has two files.
    """
    files = {"train": path}
    if path.is_dir():
        files_below = [file for file in list_folder(path)[1] if not is_junk(file.name)]
        if suffixes is None:
            found = [file for file in files_below if not is_document(file.name)]
        else:
            found = [file for file in files_below if suffix_of(file) in suffixes]
        if not found:
            kinds = "" if suffixes is None else f"{' or '.join(suffixes)} "
            raise InputError(f"{path}: the folder must have {kinds}files. Received none.")
        files = name_files_of_splits(path, found)
    for split, given in (("validation", validation_path), ("test", test_path)):
        if given is not None and split in files:
            raise InputError(f"{path}: has a file for {split}, '{printable(files[split].name)}': remove {split}_path.")
        if given is not None:
            files[split] = Path(given)
    return files


def rows_by_split(files: Mapping[str, Path], read: Callable[[Path], Sequence[AnyRow]]) -> list[AnyRow]:
    """The rows of the files of :func:`files_by_split`: of a single one as they are read, of several each in its split.

    Rows of files that have the same name are named after their folders too.
    """
    if len(files) == 1:
        return list(read(next(iter(files.values()))))
    rows = []
    are_alike = len({file.name for file in files.values()}) < len(files)
    for split, file in files.items():
        for row in read(file):
            name = f"{printable(file.parent.name)}/{row.name}" if are_alike else row.name
            rows.append(replace(row, split=split, name=name))
    return rows


def name_files_of_splits(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The file of each split among the files of a folder, of one format; a single one is train.

    Raises:
        InputError: names do not say which file is which split, two are of the same split, or there is none for train.
    """
    if len(files) == 1:
        return {"train": files[0]}
    by_split: dict[str, Path] = {}
    for path in files:
        split = split_word_in(path.stem)
        if split is None or split in by_split or suffix_of(path) != suffix_of(files[0]):
            names = name_some([printable(each.name) for each in files])
            raise InputError(f"{folder}: must have one file for each split. Received {names}: name one of them.")
        by_split[split] = path
    if "train" not in by_split:
        raise InputError(f"{folder}: there must be a file for train. Received {name_some(sorted(by_split))}.")
    return by_split


def refuse_split_names(root: Path, names: Sequence[str], *, classes: Collection[str] = ()) -> None:
    """Refuses files of classes, each named after its class, of which some are named like splits.

    Raises:
        InputError: there are some.
    """
    for name in names:
        if name not in classes and split_named(name) is not None:
            raise InputError(
                f"{root}: a class must not have the name of a split. Received '{name}': put the files of each split "
                f"into a folder of its own. {IF_CLASS}."
            )


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and files directly in a folder; of the folders, those that are not junk."""
    folders, files = list_folder(folder)
    return [path for path in folders if not is_junk(path.name)], files


def _named_in_words(by_name: Mapping[str, Path], classes: Collection[str]) -> dict[str, str]:
    """The folders that have a split among the words of their names, if they surely are splits: they are different,
    one is train, and they hold subfolders of the same names and no files."""
    if classes and set(map(printable, by_name)) <= set(classes):
        return {}
    named = {name: split for name in by_name if (split := split_word_in(name)) is not None}
    if "train" not in named.values() or len(set(named.values())) < 2:
        return {}
    inside = [_subfolders(_unwrapped(by_name[name], split)) for name, split in named.items()]
    return named if inside[0] and all(names == inside[0] for names in inside) else {}


def _unwrapped(folder: Path, split: str) -> Path:
    """The folder of a split, or the only folder in it if that has a name of the same split too."""
    while (names := _subfolders(folder)) is not None and len(names) == 1:
        (name,) = names
        if split_named(name) != split and split_word_in(name) != split:
            break
        folder = folder / name
    return folder


def _subfolders(folder: Path) -> set[str] | None:
    """The names of the folders in a folder; None if it has files of its own, besides documents and junk."""
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_junk(entry.name):
                    continue
                if entry.is_dir():
                    names.add(entry.name)
                elif not is_document(entry.name):
                    return None
    except OSError:  # reported by whoever reads the folder
        return None
    return names


def _refuse_misspelled(root: Path, name: str) -> None:
    """Refuses a folder beside those of splits whose name is nearly that of one.

    Raises:
        InputError: it is such a folder.
    """
    near = difflib.get_close_matches(name.lower(), itertools.chain(*SPLIT_WORDS.values()), n=1, cutoff=0.7)
    if near:
        raise InputError(f"{root / name}: a split's folder must be {SPLIT_NAMES}: rename it to '{near[0]}'.")


def _refuse_unclear(root: Path, named: Mapping[str, str], others: Sequence[str]) -> None:
    """Refuses folders of which some are named like splits and the others are not.

    Raises:
        InputError: always; the remedy depends on what is in the folders.
    """
    name, split = next(iter(named.items()))
    inside = _subfolders(root / name)
    alike = [other for other in others if inside and _subfolders(root / other) == inside]
    if len(alike) == len(others):
        for other in others:
            _refuse_misspelled(root, other)
    beside = name_some([printable(other) for other in others])
    words = (
        f"{root}: folders must be either splits or classes. '{printable(name)}' has the name of the {split} split, "
        f"and {beside} {'has' if len(others) == 1 else 'have'} not"
    )
    if len(alike) == len(others):
        missing = [other for other in SPLITS if other not in named.values()]
        raise InputError(
            f"{words}, but {'holds' if len(others) == 1 else 'hold'} folders of the same names: "
            f"{name_some(sorted(map(printable, inside or ())))}. If they are splits, rename "
            f"{'it' if len(others) == 1 else 'them'}: {' or '.join(missing)}. {IF_CLASSES}."
        )
    raise InputError(
        f"{words}. If it is a split, move the classes into a folder 'train' beside it, or remove it. {IF_CLASS}."
    )


def _refuse_parts_of_splits(root: Path, names: Sequence[str]) -> None:
    """Refuses folders that are all named after splits and something more, such as ``trainA`` and ``trainB``.

    Raises:
        InputError: they are like this.
    """
    found = [PART_OF_SPLIT.fullmatch(name) for name in names]
    parts = [(match[0], match[1], match[2]) for match in found if match is not None]
    if len(parts) < 2 or len(parts) < len(names) or "train" not in {split_named(word) for _, word, _ in parts}:
        return
    name, word, rest = parts[0]
    raise InputError(
        f"{root}: folders must be either splits or classes. {name_some([part[0] for part in parts])} are named after "
        f"splits and something more. If '{rest}' is a class, make '{word}/{rest}' of '{name}'. If '{name}' is a part "
        f"of a split, merge the parts into '{word}'. {IF_CLASSES}."
    )


def _refuse_inner_folders(root: Path, folders: Sequence[Path]) -> None:
    """Refuses folders without files of their own that hold several subfolders of the same names, as splits do.

    Raises:
        InputError: they are like this.
    """
    inside = [_subfolders(folder) for folder in folders]
    names = inside[0] if len(inside) > 1 else None
    if names is None or len(names) < 2 or any(other != names for other in inside):
        return
    first, second = (printable(folder.name) for folder in folders[:2])
    inner = sorted(map(printable, names))
    if all(split_named(name) for name in names):
        remedy = f"The folders of the splits must be the outer ones: make '{inner[0]}/{first}' of '{first}/{inner[0]}'"
    else:
        remedy = f"If they are splits, give them the names of splits: {SPLIT_NAMES}"
    raise InputError(
        f"{root}: folders must be either splits or classes. '{first}' and '{second}' hold folders of the same names, "
        f"as splits do: {name_some(inner)}. {remedy}. {IF_CLASSES}."
    )
