"""The folder for the results of a verb: those of a different request are never replaced."""

import itertools
from collections.abc import Callable
from pathlib import Path

from dlcli.errors import InputError


def free_folder(parent: Path, name: str, *, has_same: Callable[[Path], bool]) -> Path:
    """The folder of that name, with a number if it already has the results of a different request.

    Args:
        has_same: whether an existing folder has results of the same request, which may be replaced.

    Raises:
        InputError: there is a link at its place.
    """
    for candidate in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2))):
        folder = parent / candidate
        if folder.is_symlink():
            raise InputError(f"{folder}: is a link. Remove it, or choose another name with --name.")
        if not folder.exists() or has_same(folder):
            return folder
    raise AssertionError("unreachable")
