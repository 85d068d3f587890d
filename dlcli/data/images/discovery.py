"""Finding image files, and decoding each of them once so that corrupt files are reported before any work is done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.files import Progress, hash_content, name_below, workers
from dlcli.data.folders import walk
from dlcli.data.images.decoding import (
    CONVERT,
    BadImage,
    ValueRange,
    decode_with_extremes,
    has_more_frames,
    read_file,
)
from dlcli.data.images.formats import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES
from dlcli.data.junk import is_junk, reason_of_exclusion, reason_of_junk
from dlcli.data.splits import LeftOut

CHUNK = 64  # files between two calls of `progress`; bounds the memory


@dataclass(frozen=True)
class Checked:
    """The properties of an image that was decoded once."""

    height: int
    width: int
    is_gray: bool
    digest: str
    extremes: tuple[float, float] | None = None
    """The smallest and largest gray value in the file, if it has more than 8 bits."""
    has_more_frames: bool = False


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

    def check(path: Path) -> Checked | str:
        try:
            if by_suffix and path.suffix.lower() in UNSUPPORTED_SUFFIXES:
                raise BadImage(f"{path.suffix} files are not supported: {CONVERT}")
            data = read_file(path)
            decoded = decode_with_extremes(data, value_range=value_range)
            image = decoded.image
            return Checked(
                image.height,
                image.width,
                image.mode == "L",
                hash_content(data),
                decoded.extremes,
                has_more_frames(data),
            )
        except BadImage as reason:
            return str(reason)  # the exception itself would keep the image's bytes in memory

    results: list[Checked | str] = []
    for start in range(0, len(files), CHUNK):
        results.extend(workers().map(check, files[start : start + CHUNK]))
        if progress is not None:
            progress(len(results), len(files))
    return results


def hash_files(files: Sequence[Path]) -> tuple[str, ...]:
    """The digest of each file's content, or the path of a file that cannot be read."""

    def digest(path: Path) -> str:
        try:
            return hash_content(read_file(path))
        except BadImage:
            return str(path)

    return tuple(workers().map(digest, files))


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
    for path, reason in _entries(folder, root):
        if reason is None:
            reason = reason_of_exclusion(name_below(root, path), exclude) if exclude else None
        if reason is None:
            found.append(path)
        else:
            left_out.append(LeftOut(name_below(root, path), reason))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix()), left_out


def classify_file(path: Path) -> str | None:
    """None if a file counts as an image, else the reason why not."""
    if is_junk(path.name):
        return reason_of_junk(path.name)
    if path.suffix.lower() in IMAGE_SUFFIXES + UNSUPPORTED_SUFFIXES:
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
