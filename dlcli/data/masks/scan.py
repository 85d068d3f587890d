"""Reading every mask once before any work is done: what is wrong with them is found, and their pixels are counted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import Progress, hash_content, workers
from dlcli.data.findings import find_once
from dlcli.data.images.decoding import BadImage, read_with_status
from dlcli.data.images.scan_index import Known, ScanIndex, Status
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

    What earlier commands found out is taken from the index of images.

    Args:
        codings: what the values may mean; all of them are tried, with each file decoded once.
        progress: called with the number of masks read and their total.
    """
    return find_once(files, lambda: _scan_masks(files, codings, progress), encode=_all_to_json, decode=_all_from_json)


def _scan_masks(files: Sequence[Path], codings: Sequence[Coding], progress: Progress | None) -> list[Scanned | str]:
    def scan(path: Path) -> tuple[Status | None, Scanned | str]:
        try:
            status, data = read_with_status(path)
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
            return status, Scanned(height, width, hash_content(data), stored.is_lossy, tuple(meanings))
        except BadImage as reason:
            return None, str(reason)  # the exception itself would keep the file's bytes in memory

    results: list[Scanned | str | None] = [None] * len(files)
    with ScanIndex(files) as index:
        kind = f"mask {hash_content(repr(codings).encode())}"  # what was counted depends on the meaning of the values
        digests = index.digests()
        kinds = [f"{digests.get(position, '')} {kind}" for position in range(len(files))]
        for position, text in index.thumbnails(kinds).items():
            if position in digests:
                results[position] = _from_json(text, digests[position])
        missing = [position for position, result in enumerate(results) if result is None]
        for start in range(0, len(missing), CHUNK):
            part = missing[start : start + CHUNK]
            texts: dict[int, bytes] = {}
            for position, (status, result) in zip(part, workers().map(scan, [files[i] for i in part]), strict=True):
                results[position] = result
                if status is not None and isinstance(result, Scanned):
                    kinds[position] = f"{result.digest} {kind}"
                    texts[position] = _to_json(result)
                    index.add(position, status, Known(result.digest, None))
            index.add_thumbnails(texts, kinds)
            if progress is not None:
                progress(len(files) - len(missing) + start + len(part), len(files))
    return [result for result in results if result is not None]


def _all_to_json(found: Sequence[Scanned | str]) -> bytes:
    return json.dumps(
        [result if isinstance(result, str) else [result.digest, _to_json(result).decode()] for result in found]
    ).encode()


def _all_from_json(content: bytes) -> list[Scanned | str]:
    found = [
        result if isinstance(result, str) else _from_json(result[1].encode(), result[0])
        for result in json.loads(content)
    ]
    return [result for result in found if result is not None]


def _to_json(scanned: Scanned) -> bytes:
    """A mask's properties but for its digest, for the index."""
    values = {**asdict(scanned), "meanings": [{**asdict(m), "counts": m.counts.tolist()} for m in scanned.meanings]}
    del values["digest"]
    return json.dumps(values).encode()


def _from_json(text: bytes, digest: str) -> Scanned | None:
    """The inverse of :func:`_to_json`; None for what it did not write."""
    try:
        values = json.loads(text)
        meanings = tuple(
            Counted(
                np.array(meaning["counts"], np.int64),
                tuple(map(str, meaning["undeclared"])),
                int(meaning["num_undeclared"]),
                str(meaning["reason"]),
            )
            for meaning in values["meanings"]
        )
        return Scanned(int(values["height"]), int(values["width"]), digest, bool(values["is_lossy"]), meanings)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def best_coding(results: Sequence[Scanned | str], num_codings: int) -> int:
    """The position of the coding by which most masks can be read; the first of several."""
    scanned = [result for result in results if isinstance(result, Scanned)]
    good = [sum(result.meanings[i].is_good for result in scanned) for i in range(num_codings)]
    return good.index(max(good))
