"""Images packed into tar files, the shards, with an index of where each of them is.

A shard has WebDataset's layout: the files of a sample, ``000000017.jpg`` and ``000000017.cls``, share the part of their
names before the first point, and follow each other. Other programs read shards from beginning to end. Here each image
is read by its offset, so that samples can be drawn in any order, and what decoding showed of each image is in the
index, so that no image is read before it is needed.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.formats import FORMATS
from dlcli.data.images.members import Member
from dlcli.data.images.samples import Dataset
from dlcli.data.images.scan_index import DIGEST_LENGTH, Checked
from dlcli.data.splits import SPLIT_COLUMNS, SPLITS
from dlcli.data.table import MAX_BYTES, is_usable, parse_number, read_records, refuse_errors
from dlcli.errors import InputError
from dlcli.files import read_text

INDEX = "shards.csv"
PLACE_COLUMNS = ("shard", "image", "offset", "bytes")
IMAGE_COLUMNS = ("height", "width", "is_gray", "lowest", "highest", "has_more_frames", "format", "mode")
COLUMNS = (*SPLIT_COLUMNS, *PLACE_COLUMNS, *IMAGE_COLUMNS)
WRITTEN = "Give a folder that dlcli data pack or import wrote."
REMEDY = "Pack or import the data again with dlcli data."


class PackedRow(NamedTuple):
    """An image in a shard, as the index lists it."""

    line: int
    name: str
    file: Member
    label: str
    split: str
    group: str


def is_packed(folder: Path) -> bool:
    """Whether a folder contains shards."""
    return (folder / INDEX).is_file()


def read_shards(*, path: str | Path, reading: Reading, **common: Unpack[CommonKeys]) -> Dataset:
    """The images that the index of a folder of shards lists, in its order and with its splits.

    Raises:
        InputError: as for :func:`list_shards`, or the images cannot be used.
    """
    rows = list_shards(Path(path))
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        rows,
        source=str(path),
        rule="there must be images to train on.",
        place=lambda name: f"{Path(path) / INDEX}:{line_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=reading.classes,
        aliases=reading.aliases,
        progress=reading.progress,
        common=common,
        has_groups=any(row.group for row in rows),
        exclude=reading.exclude,
    )


def list_shards(folder: Path) -> list[PackedRow]:
    """The rows of the index of a folder of shards.

    Raises:
        InputError: there is no index, it is corrupt, or a shard is missing or too short.
    """
    index = folder / INDEX
    text = read_text(index, noun="table", max_bytes=MAX_BYTES, remedy=WRITTEN)
    records = read_records(index, text)
    header = next(records, (1, []))[1]
    if tuple(header) != COLUMNS:
        raise InputError(f"{index}:1: must have the columns of this version, {', '.join(COLUMNS)}. {REMEDY}")
    rows: list[PackedRow] = []
    errors: list[tuple[int, str]] = []
    sizes: dict[str, int] = {}
    for line, values in records:
        try:
            rows.append(_row(line, values, folder, sizes))
        except ValueError as error:
            errors.append((line, f"{error}. {REMEDY}"))
    refuse_errors(index, errors)
    return rows


def index_rows(dataset: Dataset, places: Mapping[str, Sequence[tuple[str, str, int, int]]]) -> Iterator[list[Any]]:
    """The rows of the index of packed images, with COLUMNS.

    Args:
        places: shard, name in it, offset and number of bytes of each image, by split.
    """
    rows = iter(dataset.split_rows())
    for split, samples in dataset.splits.items():
        for place, image in zip(places[split], samples.checked, strict=True):
            row = next(rows)
            yield index_row([row[name] for name in SPLIT_COLUMNS], place, image)


def index_row(cells: Sequence[str], place: tuple[str, str, int, int], image: Checked) -> list[Any]:
    """A row of the index, with COLUMNS.

    Args:
        cells: of SPLIT_COLUMNS.
        place: shard, name in it, offset and number of bytes of the image.
    """
    return [
        *cells,
        *place,
        *(image.height, image.width, int(image.is_gray), *(image.extremes or ("", ""))),
        *(int(image.has_more_frames), image.image_format, image.mode),
    ]


def _row(line: int, values: Sequence[str], folder: Path, sizes: dict[str, int]) -> PackedRow:
    """A row of the index.

    Args:
        sizes: of the shards found so far, in bytes by name; a new one is added.

    Raises:
        ValueError: a value is not as `index_rows` writes it; the message is the reason.
    """
    if len(values) != len(COLUMNS):
        raise ValueError(f"a row must have {len(COLUMNS)} values. Received {len(values)}")
    name, split, label, group, digest, shard, image, offset, num_bytes, *rest = values
    height, width, is_gray, lowest, highest, has_more_frames, image_format, mode = rest
    if split not in SPLITS:
        raise ValueError(f"split must be {', '.join(SPLITS)}. Received '{split}'")
    if shard not in sizes:
        sizes[shard] = _size_of(folder, shard)
    start, length = _count(offset, "offset"), _count(num_bytes, "bytes")
    if start + length > sizes[shard]:
        raise ValueError(f"{shard} must have at least {start + length:,} bytes. Received {sizes[shard]:,}")
    if len(digest) != DIGEST_LENGTH or image_format not in FORMATS or os.path.basename(image) != image:
        raise ValueError("digest, format and image must be those of a packed image")
    checked = Checked(
        _count(height, "height"),
        _count(width, "width"),
        is_gray == "1",
        digest,
        (_number(lowest, "lowest"), _number(highest, "highest")) if lowest else None,
        has_more_frames == "1",
        image_format,
        mode,
    )
    return PackedRow(line, name, Member(str(folder / shard), image, start, length, checked), label, split, group)


def _size_of(folder: Path, shard: str) -> int:
    """The size in bytes of a shard.

    Raises:
        ValueError: the name is not that of a file in the folder.
    """
    if os.path.basename(shard) != shard or not shard.endswith(".tar"):
        raise ValueError("shard must be the name of a .tar file in the folder")
    try:
        return os.stat(folder / shard).st_size
    except OSError:
        raise ValueError(f"{shard}: no such shard in {folder}") from None


def _count(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def _number(text: str, name: str) -> float:
    number = parse_number(text)
    if number is None or not is_usable(number):
        raise ValueError(f"{name} must be a number")
    return number
