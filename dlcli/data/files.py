"""Listing folders, and what every source of data shares: names that can be printed, digests and threads."""

import contextlib
import functools
import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dlcli.errors import InputError

Progress = Callable[[int, int], None]  # done, total
AnyPath = str | os.PathLike[str]  # of files there may be many of: making a Path takes longer than opening the file


@functools.cache
def workers() -> ThreadPoolExecutor:
    """The threads that decode images, one for each core available to this process."""
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="images")


def num_threads() -> int:
    """The number of cores available to this process."""
    if hasattr(os, "sched_getaffinity"):  # Linux: without the cores that a container or taskset excludes
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For code that makes many small objects which are kept: Python would examine all of them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def hash_content(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256: enough to distinguish the samples of a data set."""
    return hashlib.sha256(data).hexdigest()[:16]


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the other entries directly in a folder, each sorted by name.

    Raises:
        InputError: it is not a folder or cannot be listed.
    """
    folders, others = list_names(folder)
    return [folder / name for name in folders], [folder / name for name in others]


def list_names(folder: Path) -> tuple[list[str], list[str]]:
    """As :func:`list_folder`, by name alone: for folders of very many files."""
    folders: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder = os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
                (folders if is_folder else others).append(entry.name)
    except FileNotFoundError:
        raise InputError(f"{folder}: no such folder. Give the folder that contains the data.") from None
    except NotADirectoryError:
        raise InputError(f"{folder}: must be a folder. Received a file: give the folder that contains it.") from None
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}). Fix its permissions.") from None
    folders.sort()
    others.sort()
    return folders, others


def paths_below(folder: Path, names: Iterable[str]) -> list[str]:
    """The paths of files whose names are relative to a folder."""
    above = "" if folder == Path() else os.path.join(folder, "")
    return [above + name for name in names]


def prefix_below(root: Path, folder: Path) -> str:
    """What comes before the name of a file in a folder, to make it relative to ``root``: ``cats/``, or nothing."""
    return "" if folder == root else f"{names_below(root, [folder])[0]}/"


def names_below(root: Path, paths: Iterable[Path]) -> list[str]:
    """The paths relative to ``root`` with forward slashes."""
    above = os.path.join(root, "")
    if os.sep != "/":
        return [path.relative_to(root).as_posix() for path in paths]
    return [  # pathlib alone is too slow for a million files
        text[len(above) :] if (text := str(path)).startswith(above) else path.relative_to(root).as_posix()
        for path in paths
    ]


def name_below(root: Path, path: Path) -> str:
    """The path relative to ``root`` with forward slashes, as one line of valid UTF-8 whatever bytes it consists of."""
    return printable(names_below(root, [path])[0])


def printable(text: str) -> str:
    """The text with unprintable and unencodable characters written as escapes."""
    if text.isprintable():
        return text
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
