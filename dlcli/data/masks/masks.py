"""The mask of each image: in a file, in memory, or drawn from regions when it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import find
from dlcli.data.files import hash_content
from dlcli.data.images.decoding import BadImage, ImagePolicy, read_file
from dlcli.data.images.samples import ImageAnnotation, Samples
from dlcli.data.masks.coding import Coding, Mask
from dlcli.data.masks.stored import as_png, read_mask
from dlcli.data.masks.targets import MaskTarget
from dlcli.data.splits import Index
from dlcli.errors import InputError

NAME = "masks"  # of the annotation
MASK_COLUMNS = ("mask", "mask_digest")  # of split.csv
PACKED = "mask.png"  # suffix of a mask in a shard


class AnyMask(Protocol):
    """A mask that can be read."""

    @property
    def name(self) -> str:
        """Where it comes from, in tables and messages: its file below the root."""
        ...

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of what it is made of."""
        ...

    def read(self) -> Mask:
        """The mask at the size of the upright image.

        Raises:
            InputError: it can no longer be read, or has changed since it was checked.
        """
        ...


@dataclass(frozen=True)
class MaskFile:
    """A mask in a file of its own.

    Attributes:
        digest: of the content that the file must have; empty if it was not checked yet.
    """

    name: str
    path: Path
    coding: Coding
    digest: str = ""

    def read(self) -> Mask:
        """See :meth:`AnyMask.read`."""
        try:
            data = read_file(self.path)
            if self.digest and hash_content(data) != self.digest:
                raise BadImage("its content has changed")
            encoded = read_mask(data, self.coding)
            if encoded.undeclared:
                raise BadImage(f"it has values that are not declared: {', '.join(encoded.undeclared)}")
            return encoded.mask
        except BadImage as reason:
            raise InputError(
                f"{self.path}: {reason}. It was modified or removed after the data was checked: restore it."
            ) from None


@dataclass(frozen=True)
class MaskArray:
    """A mask in memory, such as that of a synthetic scene."""

    name: str
    values: Mask

    @property
    def digest(self) -> str:
        """See :attr:`AnyMask.digest`."""
        return hash_content(self.values.tobytes())

    def read(self) -> Mask:
        """See :meth:`AnyMask.read`."""
        return self.values


@dataclass(frozen=True)
class Masks(ImageAnnotation):
    """A mask for each sample.

    Attributes:
        masks: in the order of the samples.
        counts: the pixels of each class, and last of those that are ignored, int64 ``[n, classes + 1]``, at the size of
            the image; None before the masks were scanned.
    """

    masks: tuple[AnyMask, ...]
    counts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.masks)

    def take(self, index: Index) -> "Masks":
        """The masks of the samples at these positions."""
        counts = None if self.counts is None else self.counts[index]
        return Masks(tuple(self.masks[i] for i in index), counts)

    def columns(self) -> Mapping[str, Sequence[str]]:
        """The names and digests of the masks, as MASK_COLUMNS."""
        cells = [mask.name for mask in self.masks], [mask.digest for mask in self.masks]
        return dict(zip(MASK_COLUMNS, cells, strict=True))

    def described(self, position: int, classes: Sequence[str]) -> dict[str, Any]:
        """The ``mask`` of a sample, with its file and digest, and the number of its ``pixels`` of each class and of
        those that are ``ignored``."""
        assert self.counts is not None
        mask, (*pixels, ignored) = self.masks[position], self.counts[position].tolist()
        return {
            "mask": {"file": mask.name, "digest": mask.digest},
            "pixels": dict(zip(classes, pixels, strict=True)),
            "ignored": ignored,
        }

    def files(self, position: int) -> Mapping[str, bytes]:
        """The mask of a sample as PNG: the index of each pixel's class, IGNORED for others."""
        return {PACKED: as_png(self.masks[position].read())}

    def target(self, policy: ImagePolicy | None) -> MaskTarget:
        """The masks in the network's input; they are read batch by batch, unless they are in memory."""
        assert policy is not None
        if all(isinstance(mask, MaskArray) for mask in self.masks) and not policy.is_tiled:
            return MaskTarget(policy, self.masks).in_memory()
        return MaskTarget(policy, self.masks)

    def with_digests(self, digests: Sequence[str], coding: Coding, counts: NDArray[np.int64]) -> "Masks":
        """The same masks after they were scanned: those in files have their digests and their final meaning."""
        scanned = [
            replace(mask, digest=digest, coding=coding) if isinstance(mask, MaskFile) else mask
            for mask, digest in zip(self.masks, digests, strict=True)
        ]
        return Masks(tuple(scanned), counts)


def masks_of(samples: Samples) -> Masks | None:
    """The masks of a split; None if its samples have none."""
    return find(samples.annotations, NAME, Masks)
