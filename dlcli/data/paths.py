"""The paths that tables and annotations name: below one folder, unless the recipe allows others."""

import os
from pathlib import Path

from dlcli.data.files import printable


def normalized(root: Path, name: str) -> str:
    """A path that a table or an annotation names relative to ``root``, without ``.`` and needless ``..``.

    Backslashes separate folders, as on Windows, unless a file has the name as it is.
    """
    if "\\" in name and not os.path.lexists(root / name):
        name = name.replace("\\", "/")
    return os.path.normpath(name)


def path_named(root: Path, name: str) -> Path:
    """The file that a table or an annotation names by a path relative to ``root``, see :func:`normalized`."""
    return root / normalized(root, name)


def is_outside(root: Path, path: Path) -> bool:
    """Whether a path leads out of a folder, as it is written: an absolute path elsewhere, or one with too many ``..``.

    Links in the folder are followed wherever they lead: they belong to whoever made the folder.
    """
    written = os.path.abspath(path)
    return not any(written.startswith(os.path.join(own, "")) for own in (os.path.abspath(root), os.path.realpath(root)))


def outside_error(root: Path, name: str) -> str:
    """The error for a path that leads out of ``root``, to be written after its place."""
    return (
        f"images must be in {root}. Received '{printable(name[:200])}': move the image there, or set "
        "data.allow_outside: true in a recipe."
    )
