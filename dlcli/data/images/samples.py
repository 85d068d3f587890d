"""Image data sets: the samples of train, validation and test, their rows of split.csv and their fingerprint."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Annotation, Target
from dlcli.data.files import AnyPath, workers
from dlcli.data.images.decoding import ImagePolicy, bring_to, read_images, read_unchanged, resize_images
from dlcli.data.images.scan_index import Checked
from dlcli.data.images.tiles import Sizes, TileReader, center_windows
from dlcli.data.splits import NO_LABEL, SPLIT_COLUMNS, DataWarning, Index, Labels, LeftOut


@runtime_checkable
class ImageAnnotation(Annotation, Protocol):
    """What is annotated of each image besides its class, or in place of one: boxes, masks, labels, numbers."""

    def target(self, policy: ImagePolicy | None) -> Target:
        """What a network predicts of it, in the coordinates of its input.

        Args:
            policy: how images are resized.
        """
        ...

    def described(self, position: int, classes: Sequence[str]) -> dict[str, Any]:
        """What is annotated of a sample, in values for JSON, from which shards read it back.

        Args:
            classes: of the data set.

        Raises:
            TypeError: it cannot be described so.
        """
        raise TypeError(f"{type(self).__name__}: annotations of this kind cannot be packed.")

    def files(self, position: int) -> Mapping[str, bytes]:
        """The files that belong to what :meth:`described` returns, such as a mask: their contents by suffix.

        Raises:
            InputError: one can no longer be read, or has changed since it was checked.
        """
        return {}


@dataclass(frozen=True)
class Samples:
    """The samples of one split, in a fixed order. Exactly one of `pixels`, `files` and `unsized` is given."""

    names: tuple[str, ...]
    """The name of each sample in tables and messages: its path below the data's root, or its position ("train/17")."""
    labels: Labels
    """Index of each sample's class [n]; NO_LABEL for all of them if samples have no class."""
    digests: tuple[str, ...]
    """The first 16 hexadecimal digits of the SHA-256 of each file's, or each array's, bytes."""
    groups: tuple[str, ...] | None
    """The group of each sample, if the source has groups; each group is in one split."""
    policy: ImagePolicy | None
    """How images are resized, or cut into tiles, and converted; None for signals and volumes."""
    pixels: NDArray[Any] | None = None
    """In memory and ready: uint8 [n, height, width, channels], or float32 [n, ...] for signals and volumes."""
    files: tuple[AnyPath, ...] | None = None
    """Images that `load` reads: paths, or members of shards."""
    unsized: NDArray[np.uint8] | tuple[NDArray[np.uint8], ...] | None = None
    """Images in memory at their own size, each [height, width, channels], that `load` resizes or cuts into tiles; a
    tuple, as sizes may differ, only for tiles and for images that are not resized."""
    annotations: Mapping[str, ImageAnnotation] = field(default_factory=dict)
    """By name, what is annotated besides the class, or in place of one."""
    checked: tuple[Checked, ...] = ()
    """What decoding showed of each image, if all of them were decoded and are in `files`, or no longer at their own
    size."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_classes(self) -> bool:
        """Whether each sample has a class."""
        return not bool(np.any(self.labels == NO_LABEL))

    def targets(self) -> tuple[Target, ...]:
        """What a network predicts for each sample besides its class, in the coordinates of its input."""
        return tuple(annotation.target(self.policy) for annotation in self.annotations.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample; of images of their own sizes, of one of the median size."""
        if self.pixels is not None:
            return tuple(self.pixels.shape[1:])
        assert self.policy is not None
        return self.policy.shape

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of the input of a network that takes the samples; None for the height and width of images of their own
        sizes."""
        return self.shape if self.policy is None else self.policy.input_shape

    @property
    def is_tiled(self) -> bool:
        """Whether the network takes tiles of the images."""
        return self.policy is not None and self.policy.is_tiled

    @property
    def has_own_sizes(self) -> bool:
        """Whether images are not resized, so that those that `load` returns at once must have one size."""
        return self.policy is not None and self.policy.has_own_sizes

    @property
    def keeps_size(self) -> bool:
        """Whether the images are read at their own size, as they are or to be cut into tiles."""
        return self.policy is not None and self.policy.keeps_size

    @property
    def is_decoded(self) -> bool:
        """Whether the images are in memory as they are used: resized, or at their own size if they keep it."""
        return self.pixels is not None or (self.keeps_size and self.unsized is not None)

    @property
    def sizes(self) -> Sizes:
        """Height and width of each upright image at its own size, [n, 2]; as they are in memory, if they are resized.

        For files that were decoded once.
        """
        if self.files is not None or self.checked:
            return np.array([(image.height, image.width) for image in self.checked], np.int64).reshape(-1, 2)
        images = self.pixels if self.unsized is None else self.unsized
        assert images is not None
        return np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2)

    def of_one_size(self) -> "Samples":
        """The same samples as whole images of one size, to be drawn or compared: padded and resized to the size of a
        tile, or to the median size, if they are not resized anyway."""
        return self if not self.keeps_size or self.policy is None else replace(self, policy=self.policy.of_one_size())

    def take_files(self, index: Index) -> "Samples":
        """The samples at these positions, of files that were decoded once."""
        assert self.files is not None
        return replace(
            self,
            names=tuple(self.names[i] for i in index),
            labels=self.labels[index],
            digests=tuple(self.digests[i] for i in index),
            groups=None if self.groups is None else tuple(self.groups[i] for i in index),
            files=tuple(self.files[i] for i in index),
            annotations={name: annotation.take(index) for name, annotation in self.annotations.items()},
            checked=tuple(self.checked[i] for i in index),
        )

    def load(self, index: Index) -> NDArray[Any]:
        """The samples at `index` [b]: uint8 [b, height, width, channels], or float32 [b, ...]; of images that are cut
        into tiles, the tiles in the middle.

        Files are decoded in several threads. The result is a new array.

        Raises:
            InputError: a file can no longer be read, or has changed since it was checked.
            ValueError: images that are not resized differ in size.
        """
        if self.pixels is not None:
            return np.asarray(self.pixels[index])
        assert self.policy is not None
        if self.is_tiled:
            return self.tile_reader().load(index, center_windows(self.sizes[index], self.policy.image_size))
        if self.has_own_sizes:
            return np.stack(list(workers().map(self.load_whole, index.tolist())))
        if self.files is not None:
            return read_images(
                [self.files[position] for position in index],
                digests=[self.digests[position] for position in index],
                policy=self.policy,
            )
        if isinstance(self.unsized, np.ndarray):
            return resize_images(self.unsized[index], policy=self.policy)
        assert self.unsized is not None
        return np.stack([bring_to(self.unsized[position], self.policy) for position in index])

    def load_whole(self, position: int) -> NDArray[np.uint8]:
        """The image at a position at its own size, [height, width, channels], for samples that keep it.

        Raises:
            InputError: the file can no longer be read, or has changed since it was checked.
        """
        assert self.policy is not None
        if self.files is not None:
            return read_unchanged(self.files[position], policy=self.policy, digest=self.digests[position])
        assert self.unsized is not None
        return bring_to(self.unsized[position], self.policy)

    def tile_reader(self) -> TileReader:
        """Cuts tiles from the images; beyond an image they are black."""
        return TileReader(self.load_whole, self.shape, fill=0)


@dataclass(frozen=True)
class Dataset:
    """All the samples of a source, ready to be loaded."""

    classes: tuple[str, ...]
    """Names of the model's outputs in their order: classes of images or pixels, labels, columns of numbers."""
    shape: tuple[int, ...]
    """Of one sample: (height, width, channels), (time, channels) or (depth, height, width, channels); of images of
    their own sizes, of one of the median size."""
    dtype: str
    """Of one sample: uint8 (pixels in [0, 255]) or float32."""
    splits: dict[str, Samples]
    """By name: train, validation, test; a split without samples is absent."""
    policy: ImagePolicy | None
    """How images are resized and converted, with every setting decided; None for signals and volumes."""
    left_out: tuple[LeftOut, ...]
    """The rest of the source: files that are not images, unreadable images that were skipped."""
    warnings: tuple[DataWarning, ...]

    @property
    def has_classes(self) -> bool:
        """Whether each sample has a class."""
        return all(samples.has_classes for samples in self.splits.values())

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of the input of a network that takes the samples; None for the height and width of images of their own
        sizes."""
        return self.shape if self.policy is None else self.policy.input_shape

    def fingerprint(self) -> str:
        """SHA-256 over the classes, the shape, and each sample's split, name, label, content and annotations."""
        digest = hashlib.sha256(json.dumps([self.classes, self.shape]).encode())
        for row in self._rows():
            more = [cell for name, cell in row.items() if name not in SPLIT_COLUMNS]
            digest.update(json.dumps([row["split"], row["file"], row["label"], row["digest"], *more]).encode())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv, one for each sample: the columns SPLIT_COLUMNS and those of the annotations."""
        return list(self._rows())

    def _rows(self) -> Iterator[dict[str, str]]:
        for split, samples in self.splits.items():
            columns = {
                "file": samples.names,
                "split": (split,) * len(samples),
                "label": ["" if label == NO_LABEL else self.classes[label] for label in samples.labels],
                "group": samples.groups or ("",) * len(samples),
                "digest": samples.digests,
            }
            for annotation in samples.annotations.values():
                columns |= annotation.columns()
            for row in zip(*columns.values(), strict=True):
                yield dict(zip(columns, row, strict=True))
