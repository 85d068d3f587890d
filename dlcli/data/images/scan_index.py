"""What earlier commands found out about image files, kept so that a file is decoded once and not once per command.

The index is one SQLite database in the user's cache folder, shared by all commands and processes. It is keyed by the
absolute path of a file and believed only while the file's size, inode, and times of modification and of change are
those of the moment when it was read. Only what was found in readable images is kept: an image that cannot be read is
tried again by each command. Nothing depends on the index: without it, or after it was deleted, files are read again.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import PIL

from dlcli.data.files import AnyPath, no_garbage_collection

ENVIRONMENT = "DLCLI_CACHE"  # the folder of the index; empty: no index
FILE = "images.sqlite"
LAYOUT = 2  # to be raised whenever the tables change, or what is decided when an image is decoded
GRANULARITY = 2.0  # seconds, of the coarsest file systems' times: a file that changed within them may change unnoticed
DAY = 24 * 3600.0  # seconds
UNUSED = 90 * DAY  # after which a folder that no command read is forgotten
RANGE = 4096  # files looked up at a time; bounds the memory
TIMEOUT = 10.0  # seconds to wait for another process that writes
MAX_INTEGER = 2**63 - 1  # of SQLite
DIGEST_LENGTH = 16

Status = tuple[int, int, int, int]  # size, modification and change in ns, inode
Extremes = tuple[float, float]
Properties = tuple[int, int, bool, Extremes | None, bool, str, str]  # as in Checked, without the digest

TABLES = (
    "CREATE TABLE version (text TEXT NOT NULL)",
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, used REAL NOT NULL)",
    "CREATE TABLE files (folder INTEGER, name BLOB, size INTEGER, modified INTEGER, changed INTEGER, inode INTEGER, "
    "digest TEXT, properties TEXT, "  # the latter as JSON, equal for many files; NULL if the file was not decoded
    "PRIMARY KEY (folder, name)) WITHOUT ROWID",
    # with row ids: without, each thumbnail would fill a page of its own
    "CREATE TABLE thumbnails (folder INTEGER, name BLOB, digest TEXT, pixels BLOB, PRIMARY KEY (folder, name))",
)
SELECT_FILES = (
    "SELECT name, size, modified, changed, inode, digest, properties FROM files "
    "WHERE folder = ? AND name BETWEEN ? AND ?"
)
SELECT_THUMBNAILS = "SELECT name, digest, pixels FROM thumbnails WHERE folder = ? AND name BETWEEN ? AND ?"
INSERT_FILE = f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * 8)})"
INSERT_THUMBNAIL = "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?)"
INSERT_FOLDER = (
    "INSERT INTO folders (path, used) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET used = excluded.used RETURNING id"
)


class Checked(NamedTuple):  # a dataclass takes four times as long to make
    """The properties of an image that was decoded once."""

    height: int  # upright
    width: int
    is_gray: bool
    digest: str
    extremes: Extremes | None = None
    """The smallest and largest gray value in the file, if it has more than 8 bits."""
    has_more_frames: bool = False
    image_format: str = ""  # by :func:`dlcli.data.images.decoding.find_format`; "" of an array
    mode: str = ""  # Pillow's, as stored: "L", "RGB", "RGBA", "CMYK", "P", "1", "I;16"


class Known(NamedTuple):
    """What is known of a file's content: its digest, and what decoding it showed if it was decoded."""

    digest: str
    checked: Checked | None


def cache_folder() -> Path | None:
    """The user's cache folder of this program; None if there is to be none."""
    folder = os.environ.get(ENVIRONMENT)
    if folder is None:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = os.path.join(caches, "dlcli")
    return Path(folder) if os.path.isabs(folder) else None


def index_path() -> Path | None:
    """The file of the index; None if there is to be none."""
    folder = cache_folder()
    return None if folder is None else folder / FILE


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

    def __init__(self, files: Sequence[AnyPath]) -> None:
        self._keys: list[tuple[bytes, bytes]] = []  # folder and name
        self._numbers: dict[bytes, int] = {}  # of the folders
        self._new: dict[int, tuple[Status, Known]] = {}
        self._path = index_path() if files else None
        self._database: sqlite3.Connection | None = None
        if self._path is not None:
            with no_garbage_collection():
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

    def digests(self) -> dict[int, str]:
        """The digests of the files' contents, by position; files that changed since they were read are absent."""
        return {position: row[5] for position, row in self._unchanged()}

    def checked(self) -> dict[int, Checked]:
        """The properties of the files, by position; those that changed or were not decoded yet are absent."""
        found: dict[int, Checked] = {}
        properties: dict[Any, Properties | None] = {}  # by their JSON
        with no_garbage_collection():
            for position, row in self._unchanged():
                digest, text = row[5:]
                if text not in properties:
                    properties[text] = _read_properties(text)
                read = properties[text]
                if read is not None:
                    height, width, is_gray, extremes, frames, image_format, mode = read
                    found[position] = Checked(height, width, is_gray, digest, extremes, frames, image_format, mode)
        return found

    def _unchanged(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The position and row of each file that has not changed since it was read; the row has a digest."""
        with self._without_errors():
            for positions, rows in self._rows(SELECT_FILES):
                with _opened(self._keys[positions[0]][0]) as folder:
                    for position in positions if folder is not None else ():
                        name = self._keys[position][1]
                        row = rows.get(name)
                        if row is not None and row[1:5] == _status_now(name, folder) and _is_digest(row[5]):
                            yield position, row

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


def _keys_of(files: Sequence[AnyPath]) -> list[tuple[bytes, bytes]]:
    """The absolute path of each file's folder, and the file's name; files in one folder share the former."""
    folders: dict[str, bytes] = {}
    keys = []
    for file in files:
        folder, separator, name = os.fspath(file).rpartition(os.sep)
        if folder not in folders:
            folders[folder] = os.fsencode(os.path.abspath(folder + separator))
        keys.append((folders[folder], name.encode(errors="surrogateescape")))
    return keys


@contextlib.contextmanager
def _opened(folder: bytes) -> Iterator[int | None]:
    """A descriptor of a folder, from which its files are found faster than by their paths; None if there is none."""
    try:
        descriptor = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY))  # O_PATH needs no permission to list it
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _status_now(name: bytes, folder: int | None) -> Status | None:
    try:
        return _status(os.stat(name, dir_fd=folder))
    except (OSError, ValueError):
        return None


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == DIGEST_LENGTH


def _row(known: Known) -> tuple[str, str | None]:
    """The digest, and the other properties as JSON."""
    if known.checked is None:
        return known.digest, None
    height, width, is_gray, digest, extremes, *more = known.checked
    return digest, json.dumps([height, width, is_gray, *(extremes or (None, None)), *more])


def _read_properties(text: object) -> Properties | None:
    """The properties that :func:`_row` wrote; None if it wrote none."""
    try:
        height, width, is_gray, low, high, has_more_frames, image_format, mode = json.loads(str(text))
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = [type(value) for value in (height, width, is_gray, has_more_frames, image_format, mode)]
    if kinds != [int, int, bool, bool, str, str]:
        return None
    extremes = (low, high) if type(low) is type(high) is float else None
    return height, width, is_gray, extremes, has_more_frames, image_format, mode
