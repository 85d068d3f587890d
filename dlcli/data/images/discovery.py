"""Finding image files, and decoding each of them once so that corrupt files are reported before any work is done."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dlcli.data.files import Progress, hash_content, name_below, names_below, no_garbage_collection, workers
from dlcli.data.folders import walk
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
from dlcli.data.images.scan_index import Checked, Known, ScanIndex, Status
from dlcli.data.junk import is_junk, reason_of_exclusion, reason_of_junk
from dlcli.data.splits import LeftOut

ALL_SUFFIXES = {*IMAGE_SUFFIXES, *UNSUPPORTED_SUFFIXES}
CHUNK = 64  # files between two calls of `progress`; bounds the memory
PER_TASK = 16  # files that a thread reads in one call

Result = TypeVar("Result")


class Scan:
    """The digests and properties of image files, each of which is read once, or not at all if it is in the index.

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
        self._results: dict[str, Checked | str] = {}

    def check(self, files: Sequence[Path]) -> list[Checked | str]:
        """Decodes every file in several threads. Returns its properties, or the reason why it cannot be read."""
        found = list(map(self._results.get, map(str, files)))
        missing = [position for position, result in enumerate(found) if result is None]
        read = check_images(
            [files[i] for i in missing],
            by_suffix=self._by_suffix,
            value_range=self._value_range,
            progress=self._progress,
        )
        for position, result in zip(missing, read, strict=True):
            found[position] = self._results[str(files[position])] = result
        return [result for result in found if result is not None]

    def digests(self, files: Sequence[Path], *, only: bool) -> tuple[str, ...]:
        """The digest of each file's content, or the path of a file that cannot be read.

        Args:
            only: the files are not decoded, because few of them will be needed.
        """
        if only:
            return hash_files(files)
        results = self.check(files)
        bad = [file for file, result in zip(files, results, strict=True) if isinstance(result, str)]
        of_bad = iter(hash_files(bad))
        return tuple(result.digest if isinstance(result, Checked) else next(of_bad) for result in results)


def check_images(
    files: Sequence[Path],
    *,
    by_suffix: bool,
    value_range: ValueRange | None = None,
    progress: Progress | None = None,
) -> list[Checked | str]:
    """Decodes every file in several threads. Returns its properties, or the reason why it cannot be read.

    With ``by_suffix`` a file with the suffix of an unsupported format is refused without being opened.
    """

    def check(path: Path) -> tuple[Status | None, Checked | str]:
        try:
            if by_suffix and path.suffix.lower() in UNSUPPORTED_SUFFIXES:
                raise BadImage(f"{path.suffix} files are not supported: {CONVERT}")
            status, data = read_with_status(path)
            decoded = decode_with_extremes(data, value_range=value_range)
            image = decoded.image
            return status, Checked(
                image.height,
                image.width,
                image.mode == "L",
                hash_content(data),
                decoded.extremes,
                has_more_frames(data),
                find_format(data),
                decoded.mode,
            )
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


def hash_files(files: Sequence[Path]) -> tuple[str, ...]:
    """The digest of each file's content, or the path of a file that cannot be read."""

    def digest(path: Path) -> tuple[Status | None, str]:
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
    read: Callable[[Path], Result], files: Sequence[Path], positions: Sequence[int], progress: Progress | None
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


def find_images(folder: Path, *, root: Path, exclude: Sequence[str] = ()) -> tuple[list[Path], list[LeftOut]]:
    """All image files below a folder, sorted by path, and what is left out, with names relative to ``root``.

    Links to folders are followed; each real folder is listed once. Left out are hidden files and folders, files without
    an image's suffix, folders of this program's runs, which contain plots, and files that match ``exclude``: patterns
    such as ``*.gif`` of a file's name or of its path below the root.

    Raises:
        InputError: a folder cannot be listed, or folders are nested too deep.
    """
    found: list[Path] = []
    left_out: list[LeftOut] = []
    with no_garbage_collection():
        for path, reason in _entries(folder, root):
            if reason is None:
                reason = reason_of_exclusion(name_below(root, path), exclude) if exclude else None
            if reason is None:
                found.append(path)
            else:
                left_out.append(LeftOut(name_below(root, path), reason))
        names = names_below(folder, found)
        return [found[i] for i in sorted(range(len(found)), key=names.__getitem__)], left_out


def classify_file(path: Path) -> str | None:
    """None if a file counts as an image, else the reason why not."""
    name = path.name
    if is_junk(name):
        return reason_of_junk(name)
    if os.path.splitext(name)[1].lower() in ALL_SUFFIXES:  # as Path.suffix, in half the time
        return None
    return "not an image by its suffix"


def _entries(folder: Path, root: Path) -> Iterator[tuple[Path, str | None]]:
    """The entries below a folder: each image with None, others with the reason why they are left out."""
    for walked in walk(folder, root=root):
        if walked.left_out is not None:
            yield walked.path, walked.left_out
        elif walked.path != folder and hold_runs(walked.folders):
            walked.folders.clear()
            yield walked.path, "a folder of runs"
        else:
            for path in walked.files:
                yield path, classify_file(path)
            for path in walked.folders:
                if is_junk(path.name):
                    yield path, reason_of_junk(path.name)
                elif path.suffix.lower() in IMAGE_SUFFIXES:
                    yield path, None  # it has an image's name, so it is reported like a corrupt image
            walked.folders[:] = [path for path in walked.folders if _may_hold_images(path)]


def _may_hold_images(folder: Path) -> bool:
    return not is_junk(folder.name) and folder.suffix.lower() not in IMAGE_SUFFIXES


def hold_runs(folders: Sequence[Path]) -> bool:
    """Whether one of them is a run of this program."""
    return any((folder / "run.json").is_file() for folder in folders)
