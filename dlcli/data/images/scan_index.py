"""What earlier commands found out about image files, kept so that a file is decoded once and not once per command.

The index is one SQLite database in the user's cache folder, shared by all commands and processes. It is keyed by the
absolute path of a file and believed only while the file's size, inode, and times of modification and of change are
those of the moment when it was read. Only what was found in readable images is kept: an image that cannot be read is
tried again by each command. Nothing depends on the index: without it, or after it was deleted, files are read again.
"""

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

ENVIRONMENT = "DLCLI_CACHE"  # the folder of the index; empty: no index
FILE = "images.sqlite"
LAYOUT = 1  # to be raised whenever the tables change, or what is decided when an image is decoded
GRANULARITY = 2.0  # seconds, of the coarsest file systems' times: a file that changed within them may change unnoticed
DAY = 24 * 3600.0  # seconds
UNUSED = 90 * DAY  # after which a folder that no command read is forgotten
RANGE = 4096  # files looked up at a time; bounds the memory
TIMEOUT = 10.0  # seconds to wait for another process that writes
MAX_INTEGER = 2**63 - 1  # of SQLite
DIGEST_LENGTH = 16

Status = tuple[int, int, int, int]  # size, modification and change in ns, inode

TABLES = (
    "CREATE TABLE version (text TEXT NOT NULL)",
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, used REAL NOT NULL)",
    "CREATE TABLE files (folder INTEGER, name BLOB, size INTEGER, modified INTEGER, changed INTEGER, inode INTEGER, "
    "digest TEXT, height INTEGER, width INTEGER, is_gray INTEGER, low REAL, high REAL, frames INTEGER, "
    "format TEXT, mode TEXT, "
    "PRIMARY KEY (folder, name)) WITHOUT ROWID",
    # with row ids: without, each thumbnail would fill a page of its own
    "CREATE TABLE thumbnails (folder INTEGER, name BLOB, digest TEXT, pixels BLOB, PRIMARY KEY (folder, name))",
)
SELECT_FILES = (
    "SELECT name, size, modified, changed, inode, digest, height, width, is_gray, low, high, frames, "
    "format, mode FROM files "
    "WHERE folder = ? AND name BETWEEN ? AND ?"
)
SELECT_THUMBNAILS = "SELECT name, digest, pixels FROM thumbnails WHERE folder = ? AND name BETWEEN ? AND ?"
INSERT_FILE = f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * 15)})"
INSERT_THUMBNAIL = "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?)"
INSERT_FOLDER = (
    "INSERT INTO folders (path, used) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET used = excluded.used RETURNING id"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The properties of an image that was decoded once."""

    height: int  # upright
    width: int
    is_gray: bool
    digest: str
    extremes: tuple[float, float] | None = None
    """The smallest and largest gray value in the file, if it has more than 8 bits."""
    has_more_frames: bool = False
    image_format: str = ""  # by :func:`dlcli.data.images.decoding.find_format`; "" of an array
    mode: str = ""  # Pillow's, as stored: "L", "RGB", "RGBA", "CMYK", "P", "1", "I;16"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file's content: its digest, and what decoding it showed if it was decoded."""

    digest: str
    checked: Checked | None


def index_path() -> Path | None:
    """The file of the index; None if there is to be none."""
    folder = os.environ.get(ENVIRONMENT)
    if folder is None:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = os.path.join(caches, "dlcli")
    return Path(folder, FILE) if os.path.isabs(folder) else None


def settled_status(descriptor: int) -> Status | None:
    """The status of an open file that is about to be read.

    None if it changed so recently that its times could stay the same when it changes again.
    """
    status = os.fstat(descriptor)
    now = time.time()
    if any(abs(now - seconds) < GRANULARITY for seconds in (status.st_mtime, status.st_ctime)):
        return None
    return _status(status)


def _status(status: os.stat_result) -> Status:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & MAX_INTEGER


class ScanIndex:
    """The index, for one pass over some files; a context manager. If the database has errors, the index is empty.

    Args:
        files: those that may be looked up or added, by their position.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._keys: list[tuple[bytes, bytes]] = []  # folder and name
        self._numbers: dict[bytes, int] = {}  # of the folders
        self._new: dict[int, tuple[Status, Known]] = {}
        self._path = index_path() if files else None
        self._database: sqlite3.Connection | None = None
        if self._path is not None:
            self._keys = _keys_of(files)
            with self._without_errors():
                self._database = _open(self._path)

    def __enter__(self) -> "ScanIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.save()
        with self._without_errors():
            if self._database is not None:
                _mark_used(self._database, self._numbers.values())
        self._close()

    def known(self) -> dict[int, Known]:
        """What is known of the files, by their position; those that changed since they were read are absent."""
        found: dict[int, Known] = {}
        with self._without_errors():
            for positions, rows in self._rows(SELECT_FILES):
                for position in positions:
                    folder, name = self._keys[position]
                    row = rows.get(name)
                    if row is not None and row[1:5] == _status_now(folder, name):
                        known = _known(row[5:])
                        if known is not None:
                            found[position] = known
        return found

    def add(self, position: int, status: Status, known: Known) -> None:
        """Keep what was found in a file.

        Args:
            status: by :func:`settled_status`.
        """
        if self._database is not None:
            self._new[position] = status, known
            if len(self._new) >= RANGE:
                self.save()

    def save(self) -> None:
        """Write what was added."""
        new, self._new = self._new, {}
        rows = [(*self._keys[position], *status, *_row(known)) for position, (status, known) in new.items()]
        self._write(INSERT_FILE, rows)

    def thumbnails(self, digests: Sequence[str]) -> dict[int, bytes]:
        """The thumbnails of the files, by their position, if they are of contents with these digests."""
        found: dict[int, bytes] = {}
        with self._without_errors():
            for positions, rows in self._rows(SELECT_THUMBNAILS):
                for position in positions:
                    row = rows.get(self._keys[position][1])
                    if row is not None and row[1] == digests[position] and isinstance(row[2], bytes):
                        found[position] = row[2]
        return found

    def add_thumbnails(self, thumbnails: Mapping[int, bytes], digests: Sequence[str]) -> None:
        """Keep the thumbnails of files, given by their position."""
        if self._database is None:
            return
        rows = [(*self._keys[position], digests[position], pixels) for position, pixels in thumbnails.items()]
        self._write(INSERT_THUMBNAIL, rows)

    def _rows(self, select: str) -> Iterator[tuple[list[int], dict[bytes, tuple[Any, ...]]]]:
        """Positions of files in one folder, and the rows of the files between the first and the last, by name."""
        if self._database is None:
            return
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        start = 0
        while start < len(order):
            folder = self._keys[order[start]][0]
            stop = start + 1
            while stop < min(len(order), start + RANGE) and self._keys[order[stop]][0] == folder:
                stop += 1
            positions, start = order[start:stop], stop
            if folder not in self._numbers:
                row = self._database.execute("SELECT id FROM folders WHERE path = ?", (folder,)).fetchone()
                if row is None:
                    continue
                self._numbers[folder] = row[0]
            first, last = self._keys[positions[0]][1], self._keys[positions[-1]][1]
            rows = self._database.execute(select, (self._numbers[folder], first, last))
            yield positions, {row[0]: row for row in rows}

    def _write(self, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows that start with the folder and the name of a file."""
        if self._database is None or not rows:
            return
        with self._without_errors(), self._database as database:
            for folder in {row[0] for row in rows} - self._numbers.keys():
                number = database.execute(INSERT_FOLDER, (folder, time.time())).fetchone()[0]
                self._numbers[folder] = number
            database.executemany(insert, [(self._numbers[row[0]], *row[1:]) for row in rows])

    @contextlib.contextmanager
    def _without_errors(self) -> Iterator[None]:
        """Goes on without an index if the database is locked, cannot be written or is corrupt; a corrupt one goes."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._close()
            is_corrupt = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            if is_corrupt and self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()


def _open(path: Path) -> sqlite3.Connection:
    """The database, with the tables of this version; those of another version are emptied."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = sqlite3.connect(path, timeout=TIMEOUT, isolation_level="IMMEDIATE")
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        version = f"{LAYOUT} {PIL.__version__}"
        if _version_of(database) != version:
            with database:
                database.execute("BEGIN IMMEDIATE")
                if _version_of(database) != version:  # no other process has made them meanwhile
                    for table in ("folders", "files", "thumbnails", "version"):
                        database.execute(f"DROP TABLE IF EXISTS {table}")
                    for statement in TABLES:
                        database.execute(statement)
                    database.execute("INSERT INTO version VALUES (?)", (version,))
    except BaseException:
        database.close()
        raise
    return database


def _version_of(database: sqlite3.Connection) -> str | None:
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'version'").fetchone() is None:
        return None
    row = database.execute("SELECT text FROM version").fetchone()
    return None if row is None else row[0]


def _mark_used(database: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Marks folders as used today, at most once a day, and then forgets those that were not used for long."""
    now = time.time()
    stale = [
        (now, number)
        for number in numbers
        if database.execute("SELECT 1 FROM folders WHERE id = ? AND used < ?", (number, now - DAY)).fetchone()
    ]
    if stale:
        with database:
            database.executemany("UPDATE folders SET used = ? WHERE id = ?", stale)
            old = (now - UNUSED,)
            for table in ("files", "thumbnails"):
                database.execute(f"DELETE FROM {table} WHERE folder IN (SELECT id FROM folders WHERE used < ?)", old)
            database.execute("DELETE FROM folders WHERE used < ?", old)


def _keys_of(files: Sequence[Path]) -> list[tuple[bytes, bytes]]:
    """The absolute path of each file's folder, and the file's name; files in one folder share the former."""
    folders: dict[str, bytes] = {}
    keys = []
    for file in files:
        folder, separator, name = str(file).rpartition(os.sep)
        if folder not in folders:
            folders[folder] = os.fsencode(os.path.abspath(folder + separator))
        keys.append((folders[folder], name.encode(errors="surrogateescape")))
    return keys


def _status_now(folder: bytes, name: bytes) -> Status | None:
    try:
        return _status(os.stat(folder + b"/" + name))
    except (OSError, ValueError):
        return None


def _row(known: Known) -> tuple[Any, ...]:
    checked = known.checked
    if checked is None:
        return known.digest, *[None] * 8
    low, high = checked.extremes or (None, None)
    flags = int(checked.is_gray), low, high, int(checked.has_more_frames)
    return known.digest, checked.height, checked.width, *flags, checked.image_format, checked.mode


def _known(row: tuple[Any, ...]) -> Known | None:
    """What a row holds; None if it was not written by :func:`_row`."""
    digest, height, width, is_gray, low, high, frames, image_format, mode = row
    if not isinstance(digest, str) or len(digest) != DIGEST_LENGTH:
        return None
    if height is None:
        return Known(digest, None)
    if type(height) is type(width) is type(is_gray) is int and type(image_format) is type(mode) is str:
        names = sys.intern(image_format), sys.intern(mode)
        extremes = (low, high) if type(low) is type(high) is float else None
        return Known(digest, Checked(height, width, bool(is_gray), digest, extremes, bool(frames), *names))
    return None
