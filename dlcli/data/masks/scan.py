"""Reading every mask once before any work is done: what is wrong with them is found, and their pixels are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import Progress, hash_content, workers
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.masks.coding import IGNORED, Coding, Mask
from dlcli.data.masks.stored import encode, read_stored

CHUNK = 64  # masks between two calls of `progress`; bounds the memory


@dataclass(frozen=True)
class Scanned:
    """What reading a mask showed.

    Attributes:
        height, width: upright.
        digest: the first 16 hexadecimal digits of the SHA-256 of the file.
        is_lossy: whether its compression changes values.
        meanings: for each coding that was tried, the pixels by their class, or why the mask has none.
    """

    height: int
    width: int
    digest: str
    is_lossy: bool
    meanings: tuple["Counted", ...]


@dataclass(frozen=True)
class Counted:
    """The pixels of a mask by their class.

    Attributes:
        counts: of each class, and last of those that are ignored, int64 ``[classes + 1]``.
        undeclared: some of the values without a meaning, as a recipe spells them.
        num_undeclared: the number of their pixels.
        reason: why the mask cannot be read by this coding; empty if it can.
    """

    counts: NDArray[np.int64]
    undeclared: tuple[str, ...] = ()
    num_undeclared: int = 0
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether each value has a meaning."""
        return not self.undeclared and not self.reason


def count_pixels(mask: Mask, num_classes: int) -> NDArray[np.int64]:
    """The pixels of each class, and last of those that are ignored, int64 ``[classes + 1]``."""
    counts = np.bincount(mask.ravel(), minlength=IGNORED + 1)
    return np.append(counts[:num_classes], counts[IGNORED]).astype(np.int64)


def scan_masks(
    files: Sequence[Path], codings: Sequence[Coding], *, progress: Progress | None = None
) -> list[Scanned | str]:
    """Reads every mask file in several threads. Returns what it shows, or the reason why it cannot be read.

    Args:
        codings: what the values may mean; all of them are tried, with each file decoded once.
        progress: called with the number of masks read and their total.
    """

    def scan(path: Path) -> Scanned | str:
        try:
            data = read_file(path)
            stored = read_stored(data, is_colored=codings[0].is_colored)
            meanings = []
            for coding in codings:
                try:
                    encoded = encode(stored, coding)
                    counts = count_pixels(encoded.mask, len(coding.classes))
                    meanings.append(Counted(counts, encoded.undeclared, encoded.num_undeclared))
                except BadImage as reason:
                    none = np.zeros(len(coding.classes) + 1, np.int64)
                    meanings.append(Counted(none, reason=str(reason)))
            height, width = stored.values.shape[:2]
            return Scanned(height, width, hash_content(data), stored.is_lossy, tuple(meanings))
        except BadImage as reason:
            return str(reason)  # the exception itself would keep the file's bytes in memory

    results: list[Scanned | str] = []
    for start in range(0, len(files), CHUNK):
        results += workers().map(scan, files[start : start + CHUNK])
        if progress is not None:
            progress(len(results), len(files))
    return results


def best_coding(results: Sequence[Scanned | str], num_codings: int) -> int:
    """The position of the coding by which most masks can be read; the first of several."""
    scanned = [result for result in results if isinstance(result, Scanned)]
    good = [sum(result.meanings[i].is_good for result in scanned) for i in range(num_codings)]
    return good.index(max(good))
