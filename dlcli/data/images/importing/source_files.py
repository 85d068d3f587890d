"""The files to import: their format and their split, by their names."""

import os
import re
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from dlcli.data.files import name_below, printable
from dlcli.data.folders import walk
from dlcli.data.junk import is_junk
from dlcli.data.listing import name_some
from dlcli.data.splits import SPLIT_NAMES, split_named, split_word_in
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file

Format = Literal["parquet", "tfrecord", "tar"]
FORMATS = "Parquet (.parquet), TFRecord (.tfrecord, or names such as train-00000-of-00010) or tar files (.tar, .tar.gz)"

PART = re.compile(r"-(\d+)-of-(\d+)(?=\D|$)")  # train-00000-of-00010
TFRECORD = re.compile(r"\.(tfrecords?|tfrec)([-.]|$)", re.IGNORECASE)
TAR = re.compile(r"\.(tar|tar\.gz|tgz)$", re.IGNORECASE)
PARQUET_MAGIC = b"PAR1"


class SourceFile(NamedTuple):
    """A file to import.

    Attributes:
        path: of it.
        name: relative to the folder of all of them.
        split: train, validation or test.
    """

    path: Path
    name: str
    split: str


class Sources(NamedTuple):
    """The files to import, all of one format.

    Attributes:
        files: sorted by name.
        format: of them.
        has_splits: whether their names say the splits; if not, all are of train.
    """

    files: tuple[SourceFile, ...]
    format: Format
    has_splits: bool


def find_sources(paths: Sequence[Path]) -> Sources:
    """The files that the user names, or those in the one folder that is named.

    Raises:
        InputError: there are none, they are of several formats, some of several parts are missing, or the names of
            only some say their split.
    """
    folders = [path for path in paths if path.is_dir()]
    if folders and len(paths) > 1:
        raise InputError(f"{folders[1] if len(folders) > 1 else folders[0]}: give one folder, or files.")
    if folders:
        root = folders[0]
        files = _files_below(root)
        _refuse_missing_parts(root, files)
    else:
        root = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        files = [(path, _format_of_file(path)) for path in dict.fromkeys(paths)]
    formats = sorted({found for _, found in files}, key=get_args(Format).index)
    if len(formats) > 1:
        raise InputError(
            f"{root}: the files must be of one format. Received {' and '.join(formats)}: give those of one."
        )
    named = [(path, name_below(root, path if folders else path.absolute())) for path, _ in files]
    sources, has_splits = _with_splits(root, sorted(named, key=lambda item: item[1]))
    return Sources(sources, formats[0], has_splits)


def _files_below(root: Path) -> list[tuple[Path, Format]]:
    found: list[tuple[Path, Format]] = []
    others: Counter[str] = Counter()
    for walked in walk(root):
        walked.folders[:] = [folder for folder in walked.folders if not is_junk(folder.name)]
        for name in walked.files:
            kind = _format_of_name(name)
            if kind is not None and not is_junk(name):
                found.append((walked.path / name, kind))
            elif not is_junk(name):
                others[Path(name).suffix.lower() or "no suffix"] += 1
    if not found:
        received = (
            ", ".join(f"{printable(suffix)} ({count:,})" for suffix, count in others.most_common(5)) or "no files"
        )
        raise InputError(f"{root}: must contain {FORMATS}. Received {received}.")
    return found


def _format_of_name(name: str) -> Format | None:
    if name.lower().endswith(".parquet"):
        return "parquet"
    if TAR.search(name):
        return "tar"
    if TFRECORD.search(name) or (PART.search(name) and "." not in name):
        return "tfrecord"
    return None


def _format_of_file(path: Path) -> Format:
    """The format of a file that the user names, by its name or else by its content.

    Raises:
        InputError: it cannot be read, or is of another format.
    """
    try:
        with open_file(path) as file:
            kind = _format_of_name(path.name)
            if kind is None and file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
                return "parquet"
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Give a folder, or files, to import.") from None
    if kind is None and tarfile.is_tarfile(path):
        return "tar"
    if kind is None:
        raise InputError(f"{path}: expected {FORMATS}.")
    return kind


def _refuse_missing_parts(root: Path, files: Sequence[tuple[Path, Format]]) -> None:
    """Refuses a folder in which some of several parts are missing, such as after a download that was stopped.

    Raises:
        InputError: there are some.
    """
    parts: dict[tuple[Path, str, int], set[int]] = {}
    for path, _ in files:
        if match := PART.search(path.name):
            parts.setdefault((path.parent, path.name[: match.start()], int(match[2])), set()).add(int(match[1]))
    for (folder, stem, number), found in parts.items():
        missing = [index for index in range(number) if index not in found] if number <= 10**6 else []
        if missing:
            name = printable(f"{stem}-{missing[0]:05d}-of-{number:05d}")
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise InputError(
                f"{folder}: all parts must be present, and {name}{more} is missing. Download the data again, or give "
                f"the files to import by name."
            )


def _with_splits(root: Path, files: Sequence[tuple[Path, str]]) -> tuple[tuple[SourceFile, ...], bool]:
    splits = {name: _split_of(name) for _, name in files}
    found = {split for split in splits.values() if split is not None}
    if not found:
        return tuple(SourceFile(path, name, "train") for path, name in files), False
    unclear = [name for name, split in splits.items() if split is None]
    if unclear:
        raise InputError(
            f"{root}: the names of all files must say their split, {SPLIT_NAMES}, or none. Received "
            f"{name_some(unclear)}: give the files to import by name."
        )
    if "train" not in found:
        raise InputError(
            f"{root}: there must be files of train. Received {' and '.join(sorted(found))}: give the files of train "
            "too, or rename these."
        )
    return tuple(SourceFile(path, name, splits[name] or "train") for path, name in files), True


def _split_of(name: str) -> str | None:
    """The split that a file's name says, or that of a folder it is in: ``mnist-test.tfrecord``, ``test/0.parquet``."""
    *folders, file = name.split("/")
    return split_word_in(PART.sub(".", file)) or next(filter(None, map(split_named, reversed(folders))), None)
