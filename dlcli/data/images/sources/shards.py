"""Images packed into tar files, the shards, with an index of where each of them is.

A shard has WebDataset's layout: the files of a sample, ``000000017.jpg`` and ``000000017.cls``, share the part of their
names before the first point, and follow each other. Other programs read shards from beginning to end. Here each image
is read by its offset, so that samples can be drawn in any order, and what decoding showed of each image is in the
index, so that no image is read before it is needed.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple, TypeVar, Unpack

from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.formats import FORMATS
from dlcli.data.images.members import Member
from dlcli.data.images.samples import Dataset
from dlcli.data.images.scan_index import DIGEST_LENGTH, Checked
from dlcli.data.images.shard_writer import Packed, described
from dlcli.data.splits import SPLIT_COLUMNS, SPLITS
from dlcli.data.table import MAX_BYTES, is_usable, parse_number, read_records, refuse_errors
from dlcli.errors import InputError
from dlcli.files import read_text

INDEX = "shards.csv"
DIGESTS = "shards.sha256"  # of the shards, as sha256sum writes and checks them
PLACE_COLUMNS = ("shard", "image", "offset", "bytes")
IMAGE_COLUMNS = ("height", "width", "is_gray", "lowest", "highest", "has_more_frames", "format", "mode")
COLUMNS = (*SPLIT_COLUMNS, *PLACE_COLUMNS, *IMAGE_COLUMNS)
ANNOTATED_COLUMNS = (*COLUMNS, "annotation")  # the last holds JSON
NOUNS = {
    "": "one class each",
    "labels": "any number of labels",
    "value": "numbers to predict",
    "box": "a class and a box each",
    "objects": "any number of objects",
    "mask": "a mask each",
}
"""What images may have, by the first key of their annotation."""
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
    annotation: Mapping[str, Any] = {}
    files: Mapping[str, Member] = {}
    """Files beside the image, such as its mask, by suffix; with the image's size."""


class Shard(NamedTuple):
    """A tar file: its path, and its size in bytes."""

    path: str
    size: int


def is_packed(folder: Path) -> bool:
    """Whether a folder contains shards."""
    return (folder / INDEX).is_file()


def read_shards(*, path: str | Path, reading: Reading, **common: Unpack[CommonKeys]) -> Dataset:
    """The images that the index of a folder of shards lists, in its order and with its splits.

    Raises:
        InputError: as for :func:`list_shards`, or the images cannot be used.
    """
    return assemble_shards(Path(path), list_shards(Path(path)), reading=reading, common=common)


def list_shards(folder: Path, annotated: str = "") -> list[PackedRow]:
    """The rows of the index of a folder of shards.

    Args:
        annotated: what the images must have, a key of NOUNS.

    Raises:
        InputError: there is no index, it is corrupt, its images have something else, or a shard is missing or too
            short.
    """
    index = folder / INDEX
    text = read_text(index, noun="table", max_bytes=MAX_BYTES, remedy=WRITTEN)
    records = read_records(index, text)
    header = next(records, (1, []))[1]
    if tuple(header) not in (COLUMNS, ANNOTATED_COLUMNS):
        raise InputError(f"{index}:1: must have the columns of this version, {', '.join(COLUMNS)}. {REMEDY}")
    rows: list[PackedRow] = []
    errors: list[tuple[int, str]] = []
    shards: dict[str, Shard] = {}
    for line, values in records:
        try:
            rows.append(_row(line, values, len(header), folder, shards))
        except ValueError as error:
            errors.append((line, f"{error}. {REMEDY}"))
        else:
            found = next(iter(rows[-1].annotation), "")
            if found != annotated:
                received = NOUNS.get(found, "others")
                raise InputError(
                    f"{index}:{line}: the images must have {NOUNS[annotated]} here. They have {received}: give a "
                    "recipe whose task learns that, with data.kind: shards."
                )
    refuse_errors(index, errors)
    return rows


AnyValue = TypeVar("AnyValue")


def parse_annotations(
    folder: Path, rows: Sequence[PackedRow], parse: Callable[[PackedRow], AnyValue]
) -> list[AnyValue]:
    """What is annotated of each row.

    Args:
        parse: returns it; it may raise ValueError, KeyError or TypeError.

    Raises:
        InputError: annotations are not as `dlcli data pack` writes them.
    """
    found: list[AnyValue] = []
    errors: list[tuple[int, str]] = []
    for row in rows:
        try:
            found.append(parse(row))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            errors.append((row.line, f"annotation must be that of a packed image. {REMEDY}"))
    refuse_errors(folder / INDEX, errors)
    return found


def assemble_shards(
    folder: Path, rows: Sequence[PackedRow], *, reading: Reading, common: CommonKeys, **keys: Any
) -> Dataset:
    """A data set of the images of some rows.

    Args:
        keys: more of :func:`dlcli.data.images.dataset.assemble_files`.

    Raises:
        InputError: the images cannot be used.
    """
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        rows,
        source=str(folder),
        rule="there must be images to train on.",
        place=lambda name: f"{folder / INDEX}:{line_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=reading.classes if "outputs" not in keys else None,
        aliases=reading.aliases,
        progress=reading.progress,
        common=common,
        has_groups=any(row.group for row in rows),
        exclude=reading.exclude,
        **keys,
    )


def index_rows(dataset: Dataset, places: Mapping[str, Sequence[Packed]]) -> Iterator[list[Any]]:
    """The rows of the index of packed images, with COLUMNS, and the annotation if images have any.

    Args:
        places: of the samples, by split.
    """
    rows = iter(dataset.split_rows())
    for split, samples in dataset.splits.items():
        for position, (packed, image) in enumerate(zip(places[split], samples.checked, strict=True)):
            row = next(rows)
            annotation = described(samples, position, dataset.classes, packed.files)
            cells = index_row([row[name] for name in SPLIT_COLUMNS], packed.image, image)
            yield [*cells, annotation] if samples.annotations else cells


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


def _row(line: int, values: Sequence[str], num_columns: int, folder: Path, shards: dict[str, Shard]) -> PackedRow:
    """A row of the index. Texts that many rows have are kept once.

    Args:
        shards: those found so far, by name; a new one is added.

    Raises:
        ValueError: a value is not as `index_rows` writes it; the message is the reason.
    """
    if len(values) != num_columns:
        raise ValueError(f"a row must have {num_columns} values. Received {len(values)}")
    name, split, label, group, digest, shard, image, offset, num_bytes, *rest = values
    height, width, is_gray, lowest, highest, has_more_frames, image_format, mode, *annotations = rest
    if split not in SPLITS:
        raise ValueError(f"split must be {', '.join(SPLITS)}. Received '{split}'")
    if shard not in shards:
        shards[shard] = Shard(str(folder / shard), _size_of(folder, shard))
    start, length = _count(offset, "offset"), _count(num_bytes, "bytes")
    _refuse_short(shard, start + length, shards[shard].size)
    if len(digest) != DIGEST_LENGTH or image_format not in FORMATS or os.path.basename(image) != image:
        raise ValueError("digest, format and image must be those of a packed image")
    checked = Checked(
        _count(height, "height"),
        _count(width, "width"),
        is_gray == "1",
        digest,
        (_number(lowest, "lowest"), _number(highest, "highest")) if lowest else None,
        has_more_frames == "1",
        intern(image_format),
        intern(mode),
    )
    member = Member(shards[shard].path, image, start, length, checked)
    row = PackedRow(line, name, member, intern(label), intern(split), intern(group))
    if not annotations:
        return row
    annotation = _json(annotations[0])
    files = _files_of(member, annotation.get("files", {}))
    for file in files.values():
        _refuse_short(shard, file.offset + file.num_bytes, shards[shard].size)
    return row._replace(annotation=annotation, files=files)


def _files_of(image: Member, places: Any) -> dict[str, Member]:
    """The files beside an image by their places: suffix -> offset, number of bytes, digest.

    Raises:
        ValueError: they are not as :func:`index_rows` writes them.
    """
    key, (height, width, *_) = image.name.partition(".")[0], image.checked
    files = {}
    try:
        for suffix, (offset, num_bytes, digest) in places.items():
            checked = Checked(height, width, True, digest, None, False, "", "")
            files[suffix] = Member(image.shard, f"{key}.{suffix}", offset, num_bytes, checked)
            if os.path.basename(suffix) != suffix or not 0 <= offset < 2**50 or not 0 <= num_bytes < 2**50:
                raise ValueError
            if type(offset) is not int or type(num_bytes) is not int or len(digest) != DIGEST_LENGTH:
                raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise ValueError("annotation.files must have offset, bytes and digest of each file") from None
    return files


def _refuse_short(shard: str, least: int, size: int) -> None:
    if least > size:
        raise ValueError(f"{shard} must have at least {least:,} bytes. Received {size:,}")


def _json(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError("annotation must be a JSON object")
    return content


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
