"""Temporary files and folders beside what they replace, and those that killed processes left behind.

A process locks a temporary file or folder for as long as it writes it. The kernel releases the lock when the process
ends, however it ends. So one that nobody has locked is a leftover, and may be removed: no process ids, which containers
on one disk share and which are used again, and no clock, which may be set back.
"""

import contextlib
import fcntl
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".writing-"  # prefix of the names of temporary files and folders
PATTERN = f"{TEMPORARY}{'[0-9]' * 8}-*"  # those that are locked; earlier versions had other names and no locks
MAX_BYTES = 255  # of a name, in most file systems

NEW = "new"  # the folder, in a temporary folder, that is being written
RUN = "run"  # the folder, in a temporary folder, for a run that is being created, under its own name
OLD = "old"  # the folder, in a temporary folder, for what is being replaced, under its own name


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A new, locked, empty file in the folder of ``path``, with its suffix; removed at the end if it still exists.

    Raises:
        OSError: it cannot be created.
    """
    with _locked(path, is_folder=False) as temporary:
        yield temporary


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A new, locked folder in the folder of ``path``; removed at the end, after what is in its folder ``old`` was
    renamed back if nothing has replaced it.

    Raises:
        OSError: it cannot be created.
    """
    with _locked(path, is_folder=True) as temporary:
        yield temporary


@contextlib.contextmanager
def private_folder(name: str) -> Iterator[Path]:
    """A new folder for this process among the system's temporary files, which other users cannot read; removed at the
    end. The next process with the same name removes those that killed processes left.

    Raises:
        OSError: it cannot be created.
    """
    place = Path(tempfile.gettempdir())
    remove_leftovers(place, PATTERN.replace("*", name))
    with _locked(place / name, is_folder=True) as temporary:
        temporary.chmod(0o700)
        yield temporary


def remove_leftovers(folder: Path, pattern: str = PATTERN) -> None:
    """Remove what killed processes left in a folder, and restore what one was replacing at that moment.

    What cannot be removed, such as in a folder of another user, stays.
    """
    for leftover in list(folder.glob(pattern)):
        with contextlib.suppress(OSError):
            remove_if_dead(leftover)


def remove_if_dead(leftover: Path) -> bool:
    """Remove a temporary file or folder unless a process is writing it; whether it is gone.

    A link is removed, not what it points to.

    Raises:
        OSError: it cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = leftover.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            leftover.unlink()
            return True
        is_dead = False
        descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            with contextlib.suppress(OSError):
                _lock(descriptor)
                is_dead = _is_at(leftover, descriptor)
            if is_dead:
                _discard(leftover)
        finally:
            os.close(descriptor)
        return is_dead
    return True


def _name(path: Path, attempt: int) -> str:
    """The name of a temporary file: the end of the file's own name comes last, for libraries that read its suffix."""
    prefix = f"{TEMPORARY}{attempt:08d}-"
    tail = os.fsencode(path.name)[-(MAX_BYTES - len(prefix)) :]
    while tail and 0x80 <= tail[0] < 0xC0:  # the rest of a character that was cut
        tail = tail[1:]
    return prefix + os.fsdecode(tail)


@contextlib.contextmanager
def _locked(path: Path, *, is_folder: bool) -> Iterator[Path]:
    try:
        temporary, descriptor = _create(path, is_folder=is_folder)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        yield temporary
    except OSError as error:  # the user knows the file under its own name
        if error.filename is not None:
            for inner, outer in ((temporary / RUN, path.parent), (temporary / NEW, path), (temporary, path)):
                error.filename = str(error.filename).replace(str(inner), str(outer))
        raise
    finally:
        with contextlib.suppress(OSError):  # what cannot be removed now is a leftover
            if _is_at(temporary, descriptor):
                _discard(temporary)
        os.close(descriptor)


def _create(path: Path, *, is_folder: bool) -> tuple[Path, int]:
    """Create and lock a temporary file or folder under the first name that is free or a leftover's."""
    for attempt in itertools.count():
        temporary = path.with_name(_name(path, attempt))
        if os.path.lexists(temporary) and not _is_removed(temporary):
            continue
        made = False
        try:
            if is_folder:
                temporary.mkdir()
                made = True
                descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)
            else:
                descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        except FileExistsError:
            continue  # another process created it
        except FileNotFoundError:
            if not (is_folder and made) or not path.parent.is_dir():
                raise  # no file can be created there, as in /proc
            continue  # another process took the folder for a leftover before it was locked
        is_locked = True
        try:
            _lock(descriptor)
        except BlockingIOError:
            is_locked = False
        except OSError:
            pass
        if is_locked and _is_at(temporary, descriptor):
            return temporary, descriptor
        os.close(descriptor)
    raise AssertionError("unreachable")


def _is_removed(leftover: Path) -> bool:
    try:
        return remove_if_dead(leftover)
    except OSError:  # such as another user's
        return False


def _lock(descriptor: int) -> None:
    """Lock an open file or folder until it is closed.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: the disk has no locks. Then its leftovers are never recognized, and stay.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether a path is still that of the open file or folder."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _discard(temporary: Path) -> None:
    """Remove a temporary file or folder, after restoring what it was to replace."""
    if not temporary.is_dir():
        temporary.unlink()
        return
    replaced = temporary / OLD
    if replaced.is_dir() and not replaced.is_symlink():
        for old in list(replaced.iterdir()):
            original = temporary.with_name(old.name)
            if not os.path.lexists(original):
                os.rename(old, original)
    shutil.rmtree(temporary)
