"""Finding image files, and decoding each of them once so that corrupt files are reported before any work is done."""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlcli.data.files import (
    AnyPath,
    Progress,
    hash_content,
    name_below,
    no_garbage_collection,
    prefix_below,
    printable,
    workers,
)
from dlcli.data.findings import find_once
from dlcli.data.folders import Walked, walk
from dlcli.data.images.decoding import (
    CONVERT,
    BadImage,
    ValueRange,
    decode_with_extremes,
    find_format,
    has_more_frames,
    read_with_status,
)
from dlcli.data.images.formats import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES
from dlcli.data.images.members import Member
from dlcli.data.images.scan_index import Checked, Known, ScanIndex, Status
from dlcli.data.junk import is_junk, reason_of_junk
from dlcli.data.listing import excluded
from dlcli.data.splits import LeftOut

ALL_SUFFIXES = {*IMAGE_SUFFIXES, *UNSUPPORTED_SUFFIXES}
CHUNK = 64  # files between two calls of `progress`; bounds the memory
PER_TASK = 16  # files that a thread reads in one call
BLOCK = 2**16  # files that are looked up in the index together; bounds the memory

Result = TypeVar("Result")


class Scan:
    """The digests and properties of image files, each of which is read once, or not at all if it is in the index or
    in a shard.

    Args:
        by_suffix: refuse a file with the suffix of an unsupported format without opening it.
        value_range: as for :func:`~dlcli.data.images.decoding.decode`.
        progress: called with the number of images read and their total.
    """

    def __init__(
        self, *, by_suffix: bool, value_range: ValueRange | None = None, progress: Progress | None = None
    ) -> None:
        self._by_suffix = by_suffix
        self._value_range = value_range
        self._progress = progress
        self._results: dict[AnyPath, Checked | str] = {}

    def check(self, files: Sequence[AnyPath]) -> list[Checked | str]:
        """Decodes every file in several threads. Returns its properties, or the reason why it cannot be read."""
        found = list(map(self._known, files))
        missing = [position for position, result in enumerate(found) if result is None]
        read = check_images(
            [files[i] for i in missing],
            by_suffix=self._by_suffix,
            value_range=self._value_range,
            progress=self._progress,
        )
        for position, result in zip(missing, read, strict=True):
            found[position] = self._results[files[position]] = result
        return [result for result in found if result is not None]

    def _known(self, file: AnyPath) -> Checked | str | None:
        if isinstance(file, Member) and self._value_range is None:  # which images can be read depends on the range
            return file.checked
        return self._results.get(file)

    def digests(self, files: Sequence[AnyPath], *, only: bool) -> tuple[str, ...]:
        """The digest of each file's content, or the path of a file that cannot be read.

        Args:
            only: the files are not decoded, because few of them will be needed.
        """
        if only and not any(isinstance(file, Member) for file in files):
            return hash_files(files)
        results = self.check(files)
        bad = [file for file, result in zip(files, results, strict=True) if isinstance(result, str)]
        of_bad = iter(hash_files(bad))
        return tuple(result.digest if isinstance(result, Checked) else next(of_bad) for result in results)


def check_images(
    files: Sequence[AnyPath],
    *,
    by_suffix: bool,
    value_range: ValueRange | None = None,
    progress: Progress | None = None,
) -> list[Checked | str]:
    """Decodes every file in several threads. Returns its properties, or the reason why it cannot be read.

    With ``by_suffix`` a file with the suffix of an unsupported format is refused without being opened.
    """
    return find_once(
        files,
        lambda: _check_images(files, by_suffix=by_suffix, value_range=value_range, progress=progress),
        encode=_checked_to_bytes,
        decode=_checked_from_bytes,
    )


def _check_images(
    files: Sequence[AnyPath], *, by_suffix: bool, value_range: ValueRange | None, progress: Progress | None
) -> list[Checked | str]:
    results: list[Checked | str] = []
    for start in range(0, len(files), BLOCK):

        def report(done: int, total: int, start: int = start) -> None:
            if progress is not None:  # the last images of a block are those that are read
                progress(min(start + BLOCK, len(files)) - total + done, len(files))

        block = files[start : start + BLOCK]
        results += _check_block(block, by_suffix=by_suffix, value_range=value_range, progress=report)
    return results


def _check_block(
    files: Sequence[AnyPath], *, by_suffix: bool, value_range: ValueRange | None, progress: Progress
) -> list[Checked | str]:
    def check(path: AnyPath) -> tuple[Status | None, Checked | str]:
        try:
            suffix = os.path.splitext(path)[1]
            if by_suffix and suffix.lower() in UNSUPPORTED_SUFFIXES:
                raise BadImage(f"{suffix} files are not supported: {CONVERT}")
            status, data = read_with_status(path)
            return status, check_image(data, value_range=value_range)
        except BadImage as reason:
            return None, str(reason)  # the exception itself would keep the image's bytes in memory

    results: list[Checked | str | None] = [None] * len(files)
    with ScanIndex(files if value_range is None else ()) as index:  # which images can be read depends on the range
        for position, checked in index.checked().items():
            results[position] = checked
        missing = [position for position, result in enumerate(results) if result is None]
        for position, (status, result) in _read_all(check, files, missing, progress):
            results[position] = result
            if status is not None and isinstance(result, Checked) and value_range is None:
                index.add(position, status, Known(result.digest, result))
    return [result for result in results if result is not None]


def _checked_to_bytes(found: Sequence[Checked | str]) -> bytes:
    """As JSON: the different properties, the number of those of each image, and the digests."""
    numbers: dict[object, int] = {}
    of_images = []
    for result in found:
        properties = result if isinstance(result, str) else result._replace(digest="")
        of_images.append(numbers.setdefault(properties, len(numbers)))
    digests = ["" if isinstance(result, str) else result.digest for result in found]
    return json.dumps([list(numbers), of_images, " ".join(digests)]).encode()


def _checked_from_bytes(content: bytes) -> list[Checked | str]:
    """The inverse of :func:`_checked_to_bytes`."""
    properties, of_images, digests = json.loads(content)
    known = [value if isinstance(value, str) else _as_checked(*value) for value in properties]
    return [
        value if isinstance(value, str) else value._replace(digest=digest)
        for value, digest in zip(map(known.__getitem__, of_images), digests.split(" "), strict=False)
    ]


def _as_checked(
    height: int, width: int, is_gray: bool, digest: str, extremes: list[float] | None, *more: Any
) -> Checked:
    """The properties of an image in JSON, which has no tuples."""
    return Checked(height, width, is_gray, digest, None if extremes is None else (extremes[0], extremes[1]), *more)


def check_image(data: bytes, *, value_range: ValueRange | None = None) -> Checked:
    """The properties of an image by the bytes of its file, which is decoded.

    Raises:
        BadImage: it cannot be decoded.
    """
    decoded = decode_with_extremes(data, value_range=value_range)
    return Checked(
        decoded.image.height,
        decoded.image.width,
        decoded.image.mode == "L",
        hash_content(data),
        decoded.extremes,
        has_more_frames(data),
        find_format(data),
        decoded.mode,
    )


def hash_files(files: Sequence[AnyPath]) -> tuple[str, ...]:
    """The digest of each file's content, or the path of a file that cannot be read."""
    return find_once(
        files,
        lambda: _hash_files(files),
        encode=lambda found: json.dumps(found).encode(),
        decode=lambda content: tuple(json.loads(content)),
    )


def _hash_files(files: Sequence[AnyPath]) -> tuple[str, ...]:
    def digest(path: AnyPath) -> tuple[Status | None, str]:
        try:
            status, data = read_with_status(path)
            return status, hash_content(data)
        except BadImage:
            return None, str(path)

    results: list[str] = [""] * len(files)
    with ScanIndex(files) as index:
        for position, digest_then in index.digests().items():
            results[position] = digest_then
        missing = [position for position, result in enumerate(results) if not result]
        for position, (status, result) in _read_all(digest, files, missing, None):
            results[position] = result
            if status is not None:
                index.add(position, status, Known(result, None))
    return tuple(results)


def _read_all(
    read: Callable[[AnyPath], Result], files: Sequence[AnyPath], positions: Sequence[int], progress: Progress | None
) -> Iterator[tuple[int, Result]]:
    """What ``read`` makes of the files at these positions, in several threads."""

    def read_some(start: int) -> list[Result]:
        return [read(files[position]) for position in positions[start : start + PER_TASK]]

    for start in range(0, len(positions), CHUNK):
        stop = min(start + CHUNK, len(positions))
        results = itertools.chain.from_iterable(workers().map(read_some, range(start, stop, PER_TASK)))
        yield from zip(positions[start:stop], results, strict=True)
        if progress is not None:
            progress(stop, len(positions))


def find_images(folder: Path, *, root: Path, exclude: Sequence[str] = ()) -> tuple[list[str], list[LeftOut]]:
    """All image files below a folder and what is left out.

    Links to folders are followed; each real folder is listed once. Left out are hidden files and folders, files without
    an image's suffix, folders of this program's runs, which contain plots, and files that match ``exclude``: patterns
    such as ``*.gif`` of a file's name or of its path below the root.

    Returns:
        The names of the images relative to the folder, with forward slashes, sorted; and what is left out, with names
        relative to ``root``.

    Raises:
        InputError: a folder cannot be listed, or folders are nested too deep.
    """
    found: list[str] = []
    left_out: list[LeftOut] = []
    above = prefix_below(root, folder)
    with no_garbage_collection():
        for walked in walk(folder, root=root):
            if walked.left_out is not None:
                left_out.append(LeftOut(name_below(root, walked.path), walked.left_out))
                continue
            if walked.path != folder and hold_runs(walked.folders):
                walked.folders.clear()
                left_out.append(LeftOut(name_below(root, walked.path), "a folder of runs"))
                continue
            prefix = prefix_below(folder, walked.path)
            for name, reason in _entries(walked):
                if reason is not None:
                    left_out.append(LeftOut(printable(above + prefix + name), reason))
                elif exclude and (item := excluded(printable(above + prefix + name), exclude)) is not None:
                    left_out.append(item)
                else:
                    found.append(prefix + name)
            walked.folders[:] = [path for path in walked.folders if _may_hold_images(path)]
        found.sort()
    return found, left_out


def classify_file(name: str) -> str | None:
    """None if a file of this name counts as an image, else the reason why not."""
    if os.path.splitext(name)[1].lower() in ALL_SUFFIXES and not name.startswith("."):  # junk has other suffixes
        return None
    return reason_of_junk(name) if is_junk(name) else "not an image by its suffix"


def _entries(walked: Walked) -> Iterator[tuple[str, str | None]]:
    """The entries of a folder: each image with None, others with the reason why they are left out."""
    for name in walked.files:
        yield name, classify_file(name)
    for path in walked.folders:
        if is_junk(path.name):
            yield path.name, reason_of_junk(path.name)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path.name, None  # it has an image's name, so it is reported like a corrupt image


def _may_hold_images(folder: Path) -> bool:
    return not is_junk(folder.name) and folder.suffix.lower() not in IMAGE_SUFFIXES


def hold_runs(folders: Sequence[Path]) -> bool:
    """Whether one of them is a run of this program."""
    return any((folder / "run.json").is_file() for folder in folders)
