"""Shards at a URL, such as s3://bucket/folder: complete local copies of them, which are kept for the next command."""

import contextlib
import csv
import fcntl
import hashlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.data.files import printable
from dlcli.data.images.scan_index import cache_folder as user_cache_folder
from dlcli.data.images.sources.shards import DIGESTS, INDEX, WRITTEN
from dlcli.data.listing import name_some
from dlcli.data.table import MAX_BYTES
from dlcli.errors import InputError
from dlcli.files import decoded, is_url
from dlcli.recipe.sections.image_data import ShardFolder
from dlcli.rundir.writing import replace_by, replace_file
from dlcli.runtime.console import Console

FOLDER = "shards"  # in the user's cache folder
MAX_NAME = 100  # characters


def local_shards(section: ShardFolder, console: Console) -> Path:
    """The folder of shards of a ``data`` section; of a URL: the local copies, by :func:`copy_shards`."""
    if not is_url(section.path):
        return Path(section.path)
    return copy_shards(section.path, section.cache_folder, console)


def copy_shards(url: str, cache_folder: str | None, console: Console) -> Path:
    """The folder of local copies of the shards at a URL; it has the last part of the URL as its name.

    A copy appears under its name when its size, and its SHA-256 if the shards have a list of these, are right. So what
    an interrupted command has completed is not downloaded again.

    Args:
        cache_folder: where copies are kept; None for the user's cache folder.

    Raises:
        InputError: the URL cannot be read, the package of its protocol is missing, or a shard is not as its list says.
        OSError: the copies cannot be written.
    """
    url = url.rstrip("/")
    kept = _folder_of_copies() if cache_folder is None else Path(cache_folder)
    if kept is None:
        raise InputError(
            f"{url}: there is no cache folder for copies of the shards. Set data.cache_folder or DLCLI_CACHE."
        )
    with _explained(url):
        filesystem, root = _open(url)
        sizes = {os.path.basename(entry["name"]): entry["size"] for entry in filesystem.ls(root, detail=True)}
        if INDEX not in sizes:
            raise InputError(f"{url}: there is no {INDEX} at this address. {WRITTEN}")
        if sizes[INDEX] > MAX_BYTES:
            raise InputError(f"{url}/{INDEX}: may have at most {MAX_BYTES:,} bytes. Pack fewer images.")
        index = filesystem.cat_file(f"{root}/{INDEX}")
        list_of_digests = filesystem.cat_file(f"{root}/{DIGESTS}") if DIGESTS in sizes else b""
    names = _shards_in(index, f"{url}/{INDEX}")
    if absent := [name for name in names if name not in sizes]:
        raise InputError(
            f"{url}: must have the shards of its {INDEX}. It lacks {name_some(list(map(printable, absent)))}."
        )
    digests = _digests(list_of_digests, f"{url}/{DIGESTS}")
    version = hashlib.sha256(url.encode() + b"\0" + index).hexdigest()[:16]  # packed again, it is another folder
    folder = kept / version / _name_of(url)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):  # two processes of one machine share the copies
        for number, name in enumerate(names):
            if not _has_size(folder / name, sizes[name]):
                console.say(f"downloading {printable(name)} ({number + 1} of {len(names)}) to {folder}")
                shard = Remote(filesystem, f"{root}/{name}", f"{url}/{name}", sizes[name], digests.get(name))
                replace_by(folder / name, shard.fetch)
        replace_file(folder / INDEX, index)
    return folder


def _folder_of_copies() -> Path | None:
    folder = user_cache_folder()
    return None if folder is None else folder / FOLDER


def _name_of(url: str) -> str:
    """A name for the folder of copies."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", url.rpartition("/")[2])[:MAX_NAME]
    return FOLDER if name.strip("._") == "" else name


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise InputError(
            f"{url}: shards at a URL need the package fsspec. Install it with pip install 'dlcli[remote]'."
        ) from None
    filesystem, root = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    return filesystem, root


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


class Remote(NamedTuple):
    """A shard at a URL.

    Attributes:
        filesystem, path: of fsspec.
        url: for messages.
        size: in bytes.
        digest: its SHA-256; None if it is not known.
    """

    filesystem: Any
    path: str
    url: str
    size: int
    digest: str | None

    def fetch(self, to: Path) -> None:
        """Download it to a file.

        Raises:
            InputError: the download was interrupted, or the content is not as it should be.
        """
        with _explained(self.url, remedy="Run the command again: shards that are complete are kept."):
            self.filesystem.get_file(self.path, str(to))
        received = to.stat().st_size
        if received != self.size:
            raise InputError(
                f"{self.url}: must have {self.size:,} bytes. Received {received:,}: run the command again."
            )
        if self.digest is None:
            return
        with open(to, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.digest:
            raise InputError(f"{self.url}: is corrupt: {DIGESTS} has another SHA-256. Copy the shards there again.")


@contextlib.contextmanager
def _explained(place: str, remedy: str = "Check the address, the network and the credentials.") -> Iterator[None]:
    """Turns whatever a file system raises into one line: each has exceptions of its own.

    Raises:
        InputError: there was an exception.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{place}: no such file, folder or bucket. Check the address.") from None
    except PermissionError:
        raise InputError(f"{place}: no permission to read it. Check the credentials.") from None
    except ImportError as error:  # fsspec names the package of the protocol
        raise InputError(f"{place}: a package is missing: {_first_line(error)}") from None
    except Exception as error:
        raise InputError(f"{place}: cannot be read ({type(error).__name__}: {_first_line(error)}). {remedy}") from None


def _first_line(error: Exception) -> str:
    return printable((str(error).strip().splitlines() or ["no reason given"])[0])[:200]


def _shards_in(index: bytes, place: str) -> list[str]:
    """The names of the shards that an index lists, once each.

    Raises:
        InputError: it is no index, or a name is not that of a shard.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(decoded(index, place, noun="table"), newline=""), strict=True))
    except csv.Error:
        rows = []
    names = list(dict.fromkeys(row.get("shard") or "" for row in rows))
    if not names or any(os.path.basename(name) != name or not name.endswith(".tar") for name in names):
        raise InputError(f"{place}: must be an index of shards. {WRITTEN}")
    return names


def _digests(content: bytes, place: str) -> dict[str, str]:
    """The SHA-256 of each shard by its name, in a list in the form of ``sha256sum``."""
    lines = decoded(content, place, noun="list").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process of this machine downloads to a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # the disk has no locks: both download, and each file is complete anyway
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
