"""Packing image files into shards: tar files in WebDataset's layout."""

import hashlib
import io
import itertools
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from dlcli.data.files import AnyPath, Progress, hash_content
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.images.formats import FORMATS
from dlcli.data.images.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.printing import json_text

Place = tuple[str, str, int, int]
"""Shard, name in it, offset and number of bytes of an image."""


class Packed(NamedTuple):
    """Where a sample is in the shards.

    Attributes:
        image: the place of its image.
        files: offset and number of bytes, in the same shard, and the digest of the content of each other file, by
            suffix.
    """

    image: Place
    files: Mapping[str, tuple[int, int, str]]


def write_shards(dataset: Dataset, folder: Path, *, max_bytes: int, progress: Progress) -> dict[str, list[Packed]]:
    """Write the image files of a data set as shards; each is as it was, byte for byte. Beside it are its class
    (``.cls``), its mask and, as JSON, what else is annotated of it.

    The images of a split are in random order, always the same, because programs that read a shard from its beginning
    should not find one class after the other.

    Args:
        folder: where to write them.
        max_bytes: of a shard; one that has a single image may have more.
        progress: called with the number of images written and their total.

    Returns:
        The places of the samples, by split, in their order.

    Raises:
        InputError: a file can no longer be read, or has changed since it was checked.
        OSError: the shards cannot be written.
    """
    total, done = sum(map(len, dataset.splits.values())), itertools.count(1)
    return {
        split: _write_split(
            samples, folder, split, dataset.classes, max_bytes=max_bytes, report=lambda: progress(next(done), total)
        )
        for split, samples in dataset.splits.items()
    }


def _write_split(
    samples: Samples, folder: Path, split: str, classes: Sequence[str], *, max_bytes: int, report: Callable[[], None]
) -> list[Packed]:
    assert samples.files is not None
    places: dict[int, Packed] = {}
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    with ShardWriter(folder, split, max_bytes=max_bytes) as shards:
        for position in order:
            data = _unchanged(samples.files[position], samples.digests[position])
            image_format = samples.checked[position].image_format
            files = dict[str, bytes]()
            for annotation in samples.annotations.values():
                files |= annotation.files(position)
            beside = dict(files)
            if samples.has_classes:
                beside["cls"] = str(samples.labels[position]).encode()
            if samples.annotations:
                beside["json"] = described(samples, position, classes).encode()
            packed = shards.add(f"{position:09d}", data, image_format, beside)
            places[position] = packed._replace(files={suffix: packed.files[suffix] for suffix in files})
            report()
    return [places[position] for position in range(len(samples))]


def described(
    samples: Samples, position: int, classes: Sequence[str], files: Mapping[str, tuple[int, int, str]] | None = None
) -> str:
    """What is annotated of a sample, as JSON; empty if nothing is.

    Args:
        files: the places of its files in its shard, if they are known.
    """
    if not samples.annotations:
        return ""
    content: dict[str, Any] = {}
    for annotation in samples.annotations.values():
        content |= annotation.described(position, classes)
    if files:
        content["files"] = files
    return json_text(content, indent=None, allow_nan=False)


def _unchanged(file: AnyPath, digest: str) -> bytes:
    """The bytes of an image file that was checked.

    Raises:
        InputError: it can no longer be read, or has changed.
    """
    try:
        data = read_file(file)
    except BadImage as reason:
        raise InputError(f"{file}: {reason}. It was modified or removed after the data was checked.") from None
    if hash_content(data) != digest:
        raise InputError(f"{file}: its content has changed after the data was checked. Pack the data again.")
    return data


def digests_text(folder: Path) -> str:
    """The SHA-256 of each shard in a folder, in the form of ``sha256sum``."""
    lines = []
    for path in sorted(folder.glob("*.tar")):
        with open(path, "rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)


class ShardWriter:
    """Writes the shards of a split, ``train-000000.tar`` and so on, one after the other; a context manager.

    Args:
        folder: where to write them.
        max_bytes: of a shard; one that has a single image may have more.
    """

    def __init__(self, folder: Path, split: str, *, max_bytes: int) -> None:
        self._paths = (folder / f"{split}-{number:06d}.tar" for number in itertools.count())
        self._max_bytes = max_bytes
        self._shard: _Shard | None = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, key: str, data: bytes, image_format: str, beside: Mapping[str, bytes]) -> Packed:
        """Append a sample.

        Args:
            key: the name of its files before the first point.
            data: the bytes of its image file.
            image_format: of the image, a key of FORMATS.
            beside: the content of its other files, by suffix.

        Returns:
            Where its files are.
        """
        num_bytes = len(data) + sum(map(len, beside.values()))
        if self._shard is not None and self._shard.size + num_bytes > self._max_bytes:
            self.close()
        if self._shard is None:
            self._shard = _Shard(next(self._paths))
        name = key + FORMATS[image_format].suffixes[0]
        image = (self._shard.path.name, name, self._shard.add(name, data), len(data))
        files = {
            suffix: (self._shard.add(f"{key}.{suffix}", content), len(content), hash_content(content))
            for suffix, content in beside.items()
        }
        return Packed(image, files)

    def close(self) -> None:
        """Complete the last shard."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None


class _Shard:
    """A tar file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = open(path, "xb")  # noqa: SIM115 - closed by close
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self.size = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a file, and return the offset of its first byte."""
        header = tarfile.TarInfo(name)  # of the epoch, and nobody's: the same data give the same bytes
        header.size = len(data)
        start = self._file.tell() + tarfile.BLOCKSIZE
        self._tar.addfile(header, io.BytesIO(data))
        self.size = self._file.tell()
        return start

    def close(self) -> None:
        """Complete the file, and flush it to disk; a file that could not be completed stays closed."""
        if self._file.closed:
            return
        try:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
