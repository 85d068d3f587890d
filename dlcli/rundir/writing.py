"""Crash-safe writing.

A file is replaced by writing a temporary file, flushing it to disk and renaming it, so that a kill, a crash or a full
disk leaves either the complete old file or the complete new one. Files that grow are appended to in whole lines.
"""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import check_replaceable
from dlcli.printing import json_text
from dlcli.temporary import NEW, OLD, temporary_file, temporary_folder

LINE_BLOCK = 2**16  # bytes read at a time to find the end of the last complete line


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and flush it to disk; for files in a folder that is itself renamed when complete."""
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)  # errors while writing do not name the file
        raise


def replace_file(path: Path, content: bytes | str) -> None:
    """Create or replace a file atomically: a reader sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    replace_by(path, lambda temporary: write_file(temporary, data))


def replace_by(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file as :func:`replace_file` does, for libraries that need a file name: ``write`` gets a temporary one.

    Raises:
        InputError: ``path`` is a link, a pipe or a device.
        OSError: the file could not be written; its ``filename`` is ``path``.
    """
    check_replaceable(path)
    with temporary_file(path) as temporary:
        write(temporary)
        _sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def replace_folder(path: Path, files: Mapping[str, bytes | str | Callable[[Path], None]]) -> None:
    """Create or replace a folder atomically, so that it contains exactly these files.

    Args:
        files: the content of each file by its name, which may be in a folder below, or a function that writes it.

    Raises:
        InputError: ``path`` is a file, a link, a pipe or a device.
        OSError: the folder could not be written; the old one is unchanged.
    """
    with new_folder(path) as folder:
        new = folder.path
        folders: set[Path] = set()
        for name, content in files.items():
            if "/" in name:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                folders.add((new / name).parent)
            if callable(content):
                try:
                    content(new / name)
                except OSError as error:  # of a full disk, which NumPy raises without a name
                    error.filename = error.filename or str(path / name)
                    raise
                _sync_file(new / name)
            else:
                write_file(new / name, content.encode() if isinstance(content, str) else content)
        for inner in folders:
            sync_folder(inner)
        folder.put(path)


def _check_folder(path: Path) -> None:
    check_replaceable(path)
    if path.is_file():
        raise InputError(f"{path}: is a file, which would be replaced by a folder. Move it, or choose another name.")


@dataclass(frozen=True)
class NewFolder:
    """A folder that is being written, as ``path``, in a temporary one."""

    path: Path

    def put(self, path: Path) -> None:
        """Rename the folder to ``path``, beside the temporary one, in place of what is there, if anything.

        Raises:
            InputError: ``path`` is a file, a link, a pipe or a device.
        """
        _check_folder(path)
        sync_folder(self.path)
        if path.exists():  # a rename cannot replace a folder that is not empty
            old = self.path.with_name(OLD)
            old.mkdir()
            os.rename(path, old / path.name)
        os.rename(self.path, path)
        sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[NewFolder]:
    """A folder to be written and then put at ``path``, or at another path in the same folder; else it is removed.

    Raises:
        InputError: ``path`` is a file, a link, a pipe or a device.
        OSError: it cannot be created or written; the error names ``path``.
    """
    _check_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary:
        new = temporary / NEW
        new.mkdir()
        yield NewFolder(new)


def replace_json(path: Path, value: Any) -> None:
    """Replace a JSON file; NaN and infinities raise ValueError because other programs could not read them."""
    replace_file(path, json_text(value, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line and flush it to disk, after removing an incomplete line that a killed process left.

    Raises:
        OSError: the file cannot be written to, such as on a full disk; it names the file.
    """
    try:
        with open_own(path) as file:
            _remove_incomplete_line(file)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def _remove_incomplete_line(file: Any) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    end = size
    while end > 0:
        start = max(0, end - LINE_BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            file.truncate(start + found + 1)
            return
        end = start
    file.truncate(0)


def open_own(path: Path) -> io.BufferedRandom:
    """Opens a file of a run to append to it, or creates it; never what a link leads to, nor a pipe or device.

    Raises:
        InputError: it is one of these.
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    refusal = InputError(f"{path}: must be a file of the run. Received a link, pipe or device: remove it.")
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link
            raise refusal from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refusal
    return os.fdopen(descriptor, "ab+")
