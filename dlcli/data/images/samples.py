"""What a source of data comes to: samples in train, validation and test, and what tells two data sets apart."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Boxes
from dlcli.data.images.decoding import ImagePolicy, read_images, resize_images
from dlcli.data.splits import BOX_COLUMNS, SPLIT_COLUMNS, Index, Labels, LeftOut


@dataclass(frozen=True)
class Samples:
    """The samples of one split, in a fixed order. Just one of `pixels`, `files` and `unsized` is there."""

    names: tuple[str, ...]
    """What tables and messages call each sample: its path below the data's root, or like "train/17" its position."""
    labels: Labels
    """Index of each sample's class [n], or NO_LABEL."""
    digests: tuple[str, ...]
    """The first 16 hexadecimal digits of the SHA-256 of each file's, or each array's, bytes."""
    groups: tuple[str, ...] | None
    """What must not be divided between splits, where the source says."""
    policy: ImagePolicy | None
    """How images are brought to one form; None for signals and volumes."""
    pixels: NDArray[Any] | None = None
    """In memory and ready: uint8 [n, height, width, channels], or float32 [n, ...] for signals and volumes."""
    files: tuple[Path, ...] | None = None
    """Images that `load` reads."""
    unsized: NDArray[np.uint8] | None = None
    """Images [n, height, width, channels] that `load` resizes, since all of them resized would fill the memory."""
    boxes: Boxes | None = None
    """Where in its image each sample's object is, for localization."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        if self.pixels is not None:
            return tuple(self.pixels.shape[1:])
        assert self.policy is not None
        return self.policy.shape

    def relative_boxes(self) -> NDArray[np.float32] | None:
        """The boxes as the network sees them, rel_xyxy float32 [n, 4], NaN where a sample has none."""
        if self.boxes is None:
            return None
        assert self.policy is not None
        return self.boxes.relative(self.policy)

    def load(self, index: Index) -> NDArray[Any]:
        """The samples at `index` [b]: uint8 [b, height, width, channels], or float32 [b, ...].

        Files are decoded in several threads. What comes back is a new array.

        Raises:
            InputError: a file cannot be read any more, or has other content than when it was checked.
        """
        if self.pixels is not None:
            return np.asarray(self.pixels[index])
        assert self.policy is not None
        if self.files is not None:
            return read_images(
                [self.files[position] for position in index],
                digests=[self.digests[position] for position in index],
                policy=self.policy,
            )
        assert self.unsized is not None
        return resize_images(self.unsized[index], policy=self.policy)


@dataclass(frozen=True)
class Dataset:
    """All the samples of a source, ready to be loaded."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the model's outputs."""
    shape: tuple[int, ...]
    """Of one sample: (height, width, channels), (time, channels) or (depth, height, width, channels)."""
    dtype: str
    """Of one sample: uint8 (pixels in [0, 255]) or float32."""
    splits: dict[str, Samples]
    """By name: train, validation, test; a split without samples is absent."""
    policy: ImagePolicy | None
    """How images are brought to one form, nothing left open; None for signals and volumes."""
    left_out: tuple[LeftOut, ...]
    """What the source holds besides: files that are no images, bad images that were skipped."""
    warnings: tuple[str, ...]
    """What the user should know, one line each."""

    def fingerprint(self) -> str:
        """SHA-256 over the classes, the shape, and each sample's split, name, label, content and box."""
        digest = hashlib.sha256(json.dumps([self.classes, self.shape]).encode())
        for row in self.split_rows():
            boxes = [row[name] for name in BOX_COLUMNS if name in row]
            digest.update(json.dumps([row["split"], row["file"], row["label"], row["digest"], *boxes]).encode())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv, one for each sample, with the columns SPLIT_COLUMNS and, with boxes, BOX_COLUMNS."""
        rows = []
        for split, samples in self.splits.items():
            groups = samples.groups or ("",) * len(samples)
            boxes = [()] * len(samples) if samples.boxes is None else samples.boxes.texts()
            columns = SPLIT_COLUMNS if samples.boxes is None else (*SPLIT_COLUMNS, *BOX_COLUMNS)
            values = zip(samples.names, samples.labels, groups, samples.digests, boxes, strict=True)
            for name, label, group, digest, box in values:
                row = (name, split, self.classes[label], group, digest, *box)
                rows.append(dict(zip(columns, row, strict=True)))
        return rows
