"""Images in shards with a mask each. The masks were checked and counted when they were packed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import hash_content
from dlcli.data.images.dataset import CommonKeys, Reading
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.images.members import Member
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import (
    REMEDY,
    PackedRow,
    assemble_shards,
    list_shards,
    parse_annotations,
)
from dlcli.data.masks.coding import IGNORED, MAX_CLASSES, Coding, Mask, by_index
from dlcli.data.masks.dataset import refuse_other_classes, warn_of_masks
from dlcli.data.masks.masks import NAME, PACKED, Masks
from dlcli.data.masks.stored import read_mask
from dlcli.errors import InputError


@dataclass(frozen=True)
class PackedMask:
    """A mask in a shard: an image of the indices of classes.

    Attributes:
        name, digest: of what it was made of when it was packed.
        file: its place in the shard, with its size and the digest of its content.
    """

    name: str
    digest: str
    file: Member
    coding: Coding

    def read(self) -> Mask:
        """See :meth:`dlcli.data.masks.masks.AnyMask.read`."""
        size = self.file.checked.height, self.file.checked.width
        try:
            data = read_file(self.file)
            if hash_content(data) != self.file.checked.digest:
                raise BadImage("its content has changed")
            encoded = read_mask(data, self.coding)
            if encoded.undeclared:
                raise BadImage(f"it has values of no class: {', '.join(encoded.undeclared)}")
            if encoded.mask.shape != size:
                must = "a mask must have the size of its image, {}x{} (height x width)".format(*size)
                raise BadImage(must + ". Received {}x{}".format(*encoded.mask.shape))
        except BadImage as reason:
            raise InputError(f"{self.file}: {reason}. {REMEDY}") from None
        return encoded.mask


class _Row(NamedTuple):
    """What the index says of a mask."""

    mask: PackedMask
    counts: list[int]


def read_mask_shards(*, path: str | Path, reading: Reading, **common: Unpack[CommonKeys]) -> Dataset:
    """The images that the index of a folder of shards lists, with its splits and a mask each.

    Args:
        reading: its ``classes`` are those of a trained model, which the masks must have in the same order.

    Raises:
        InputError: as for :func:`~dlcli.data.images.sources.shards.list_shards`; the images cannot be used; or the
            classes are others.
    """
    folder = Path(path)
    rows = list_shards(folder, "mask")
    classes = _classes_of(rows)
    coding = by_index(classes, ignore=[IGNORED]) if classes else None

    def parse(row: PackedRow) -> _Row:
        pixels, ignored = row.annotation["pixels"], row.annotation["ignored"]
        counts = [*pixels.values(), ignored]
        image = row.file.checked
        if tuple(pixels) != classes or coding is None or not all(isinstance(number, int) for number in counts):
            raise ValueError
        if min(counts) < 0 or sum(counts) != image.height * image.width:
            raise ValueError
        name, digest = row.annotation["mask"]["file"], row.annotation["mask"]["digest"]
        if not isinstance(name, str) or not isinstance(digest, str):
            raise TypeError
        return _Row(PackedMask(name, digest, row.files[PACKED], coding), counts)

    found = dict(zip((row.name for row in rows), parse_annotations(folder, rows, parse), strict=True))
    refuse_other_classes(classes, reading.classes, folder)

    def annotate(part: Sequence[PackedRow]) -> Mapping[str, Masks]:
        each = [found[row.name] for row in part]
        counts: NDArray[np.int64] = np.array([row.counts for row in each], np.int64).reshape(len(each), -1)
        return {NAME: Masks(tuple(row.mask for row in each), counts)}

    dataset = assemble_shards(folder, rows, reading=reading, common=common, outputs=classes, annotate=annotate)
    warnings = (*dataset.warnings, *warn_of_masks(dataset.splits, classes))
    return replace(dataset, warnings=warnings)


def _classes_of(rows: Sequence[PackedRow]) -> tuple[str, ...]:
    """The classes of the first mask, which all must have; none if it has none."""
    pixels = rows[0].annotation.get("pixels") if rows else None
    return tuple(pixels) if isinstance(pixels, dict) and len(pixels) <= MAX_CLASSES else ()
