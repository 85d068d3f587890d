"""Paths on the command line, and patterns that the shell has not expanded."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from dlcli.errors import InputError


def expanded(paths: Sequence[str]) -> list[Path]:
    """The paths, with the files that match in place of a pattern; a file whose own name looks like one is itself.

    Raises:
        InputError: nothing matches a pattern.
    """
    result: list[Path] = []
    unmatched: list[str] = []
    for path in paths:
        if not glob.has_magic(path) or os.path.lexists(path):
            result.append(Path(path))
            continue
        found = sorted(glob.iglob(path, recursive=True))
        result += map(Path, found)
        unmatched += [] if found else [path]
    if unmatched:
        raise InputError(
            "\n".join(f"{path}: no file matches this pattern. Name an existing file." for path in unmatched)
        )
    return result
