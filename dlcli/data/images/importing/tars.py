"""Images in tar files in WebDataset's layout: the files of a sample share their names up to the first point.

The class is in a file beside the image: its number in ``.cls``, its name in ``.txt``, or a key of ``.json``.
"""

import contextlib
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.data.files import printable
from dlcli.data.images.formats import IMAGE_SUFFIXES
from dlcli.data.images.importing.samples import RELABEL, BadLabel, ForeignImage, class_of
from dlcli.data.listing import name_some
from dlcli.errors import InputError
from dlcli.files import GZIP, BadFile, open_file

LABELS = ("cls", "txt")  # the suffixes of the files of labels that are tried, before the keys of .json
KEYS = ("label", "cls", "class")
MAX_BYTES = 2**30  # of a file in a tar file
BZIP2, XZ = b"BZh", b"\xfd7zXZ\0"


class Entry(NamedTuple):
    """A file in a tar file.

    Attributes:
        info: of :mod:`tarfile`.
        data: its bytes; None if they are not wanted.
    """

    info: tarfile.TarInfo
    data: bytes | None


Entries = Mapping[str, Entry]
"""The files of a sample by suffix: what follows the first point of their names, in lowercase."""


class TarReader:
    """Reads tar files.

    Args:
        image: the suffix of the images; None for that of the only image of a sample.
        label: the suffix of the files of labels, or a key of the JSON files; None to find them.
        names: of the classes; None for numbers, or the names in the files.
    """

    def __init__(self, *, image: str | None, label: str | None, names: Sequence[str] | None) -> None:
        self._image = None if image is None else image.lower().removeprefix(".")
        self._label = None if label is None else label.removeprefix(".")
        self._names = names

    def count(self, file: Path) -> int:
        """As :meth:`Reader.count`; the headers of the files in it are read."""
        with _opened(file) as tar:
            return sum(1 for _ in _samples(tar, file, is_wanted=lambda suffix: False))

    def read(self, file: Path, name: str) -> Iterator[ForeignImage]:
        """As :meth:`Reader.read`."""
        with open_file(file) as raw:
            is_plain = not raw.read(len(XZ)).startswith((GZIP, BZIP2, XZ))
        with _opened(file) as tar:
            for key, entries in _samples(tar, file, is_wanted=self._is_wanted):
                place = f"{file}: {printable(key)}"
                image, data = self._image_in(entries, place)
                number, label = self._class_in(entries, place)
                stored = (file.name, os.path.basename(image.name), image.offset_data, image.size) if is_plain else None
                yield ForeignImage(f"{name}/{printable(image.name)}", place, data, number, label, stored)

    def _is_wanted(self, suffix: str) -> bool:
        return f".{suffix}" in IMAGE_SUFFIXES or suffix in (*LABELS, "json", self._image, (self._label or "").lower())

    def _image_in(self, entries: Entries, place: str) -> tuple[tarfile.TarInfo, bytes]:
        found = [suffix for suffix in entries if f".{suffix}" in IMAGE_SUFFIXES]
        if self._image is not None:
            found = [self._image] if self._image in entries else []
        if len(found) == 1:
            info, data = entries[found[0]]
            assert data is not None
            return info, data
        rule = "there must be one image" if self._image is None else f"there must be a file .{printable(self._image)}"
        raise InputError(f"{place}: {rule}. Received {_listed(entries)}: choose one with --image.")

    def _class_in(self, entries: Entries, place: str) -> tuple[int | None, str]:
        wanted = LABELS if self._label is None else (self._label.lower(),)
        suffix = next((name for name in wanted if name in entries and name != "json"), None)
        try:
            if suffix is not None:
                return class_of(_text_value(entries[suffix].data or b"", suffix), self._names)
            if "json" in entries:
                return class_of(self._json_value(entries["json"].data or b""), self._names)
        except BadLabel as reason:
            raise InputError(f"{place}: {reason}. {RELABEL}") from None
        rule = "no file .cls, .txt or .json" if self._label is None else f"no file .{printable(self._label)} or .json"
        raise InputError(f"{place}: has {rule} for the label. Received {_listed(entries)}: set --label.")

    def _json_value(self, data: bytes) -> Any:
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise BadLabel("its .json is not valid JSON") from None
        wanted = KEYS if self._label in (None, "json") else (self._label,)
        if isinstance(content, dict):
            for key in wanted:
                if key in content:
                    return content[key]
        elif self._label == "json" or self._label is None:
            return content
        received = name_some([printable(str(key)) for key in content]) if isinstance(content, dict) else "no object"
        raise BadLabel(f"its .json must have the key {' or '.join(map(str, wanted))}. Received {received}: set --label")


def _text_value(data: bytes, suffix: str) -> int | bytes:
    """The number in a ``.cls``, or the text of another file."""
    text = data.strip()
    return int(text) if suffix == "cls" and text.isdigit() and len(text) < 10 else text


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with open_file(file) as raw, tarfile.open(fileobj=raw, mode="r:*") as tar:
            yield tar
    except BadFile as reason:
        raise InputError(f"{file}: {reason}. Give a folder, or files, to import.") from None
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError):
        raise InputError(
            f"{file}: is not a tar file, or is truncated or corrupt. Download or write it again."
        ) from None


def _samples(
    tar: tarfile.TarFile, file: Path, *, is_wanted: Callable[[str], bool]
) -> Iterator[tuple[str, dict[str, Entry]]]:
    """The files of each sample, with the sample's key; folders, links and hidden files are skipped.

    The files are read in the order of the tar file, because going back in a compressed one means to start again.

    Args:
        is_wanted: whether the bytes of files with a suffix are wanted.
    """
    key, entries = "", dict[str, Entry]()
    for info in tar:
        tar.members = []  # type: ignore[attr-defined]  # which would keep an object for each file
        folder, _, name = info.name.rpartition("/")
        stem, point, suffix = name.partition(".")
        suffix = suffix.lower()
        if not info.isreg() or not stem or not point:
            continue
        own = f"{folder}/{stem}" if folder else stem
        if own != key and entries:
            yield key, entries
            entries = {}
        key = own
        if suffix in entries:
            raise InputError(f"{file}: {printable(info.name)}: must be in its sample once. Write the tar file again.")
        entries[suffix] = Entry(info, _read(tar, info, file) if is_wanted(suffix) else None)
    if entries:
        yield key, entries
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Refuses a tar file without the block of zeros that ends it: :mod:`tarfile` takes one that was cut off between two
    files for a complete one.

    Raises:
        tarfile.ReadError: it has none.
    """
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo, file: Path) -> bytes:
    if info.size > MAX_BYTES:
        raise InputError(
            f"{file}: {printable(info.name)}: may have at most {MAX_BYTES:,} bytes. Received {info.size:,}."
        )
    opened = tar.extractfile(info)
    assert opened is not None
    data = opened.read()
    if len(data) < info.size:
        raise tarfile.ReadError
    return data


def _listed(entries: Entries) -> str:
    return name_some([f".{printable(suffix)}" for suffix in entries])
