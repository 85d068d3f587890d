"""Walking a folder of the user's: every real folder below it once, whatever links and depth it has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.data.files import list_names, printable
from dlcli.errors import InputError

MAX_DEPTH = 100  # folders within each other; deeper trees are a mistake or an attack

Identity = tuple[int, int]  # device and inode


@dataclass
class Walked:
    """A folder of a walk.

    Attributes:
        path: of the folder, through the links that lead to it.
        folders: directly in it, sorted by name; the walk enters those that its caller leaves in the list.
        files: the names of the other entries directly in it, sorted.
        left_out: why it was not listed: a link to it leads back, or to a folder that was listed already.
    """

    path: Path
    folders: list[Path] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    left_out: str | None = None


def walk(folder: Path, *, root: Path | None = None) -> Iterator[Walked]:
    """The folder and those below it, each real folder once; those that only links lead to come last.

    Args:
        root: a folder above it, to which no link may lead back.

    Raises:
        InputError: a folder cannot be listed, or folders are nested too deep.
    """
    listed: dict[Identity, Path] = {}
    above = _above(folder, folder if root is None else root)
    pending, links = [(folder, 0, above)], list[tuple[Path, int, frozenset[Identity]]]()
    while pending or links:
        path, depth, parents = pending.pop() if pending else links.pop(0)
        if depth > MAX_DEPTH:
            raise InputError(
                f"{path}: folders may be nested at most {MAX_DEPTH} deep. Move the files up, or remove the folder."
            )
        own = _identity(path)
        if own in parents and depth:
            yield Walked(path, left_out="a link back to a folder above it")
            continue
        if own in listed:
            yield Walked(path, left_out=f"a link to {printable(listed[own].name)}, which is listed already")
            continue
        listed[own] = path
        folders, files = list_names(path)
        walked = Walked(path, [path / name for name in folders], files)
        yield walked
        further = [(inner, depth + 1, parents | {own}) for inner in walked.folders]
        pending += [item for item in reversed(further) if not item[0].is_symlink()]
        links += [item for item in further if item[0].is_symlink()]


def _above(folder: Path, root: Path) -> frozenset[Identity]:
    """The real folders from ``root``, and those above it, down to ``folder``."""
    found = set()
    for path in (Path(os.path.realpath(root)), Path(os.path.realpath(folder))):
        for parent in (path, *path.parents):
            found.add(_identity(parent))
    return frozenset(found)


def _identity(path: Path) -> Identity:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such folder. Give the folder that contains the data.") from None
    except OSError as error:
        raise InputError(f"{path}: the folder cannot be listed ({error.strerror}). Fix its permissions.") from None
    return status.st_dev, status.st_ino
