"""What belongs to the samples of a split besides names and classes: it follows them into splits and batches.

A source lists an :class:`Annotation` for all its samples (boxes, texts, tags, numbers to predict). What an image task
predicts besides the class enters its batches as a :class:`Target`, which also follows augmentation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import Index

Item = TypeVar("Item")
Kind = TypeVar("Kind", bound="Annotation")


class Annotation(Protocol):
    """One annotation for each sample, in the order of the samples."""

    def __len__(self) -> int: ...

    def take(self, index: Index) -> Self:
        """The annotations of the samples at these positions."""
        ...

    def columns(self) -> Mapping[str, Sequence[str]]:
        """Further columns of split.csv, with a cell for each sample. They are part of the fingerprint."""
        return {}


@dataclass(frozen=True)
class Items(Annotation, Generic[Item]):
    """A Python object for each sample, such as a text or the words of a sentence."""

    values: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Index) -> Self:
        return type(self)(tuple(self.values[i] for i in index))


@dataclass(frozen=True)
class Array(Annotation):
    """A row ``[...]`` of one array for each sample."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Index) -> Self:
        return type(self)(self.values[index])


def find(annotations: Mapping[str, Annotation], name: str, kind: type[Kind]) -> Kind | None:
    """The annotation of this name, which must be of this class; None if there is none."""
    found = annotations.get(name)
    assert found is None or isinstance(found, kind)
    return found


@dataclass(frozen=True)
class Loader:
    """What belongs to a sample and is read from files for each batch, in the input pipeline.

    Attributes:
        load: index int64 ``[b]`` -> an array ``[b, *shape]``; of images that are cut into tiles, ``(index, windows)``
            with the windows int64 ``[b, 6]`` of :mod:`dlcli.data.images.tiles`. It may raise InputError.
        shape: of one sample; None for a side that differs between batches.
        dtype: of the array, by its name in NumPy: ``uint8``.
    """

    load: Callable[..., NDArray[Any]]
    shape: tuple[int | None, ...]
    dtype: str


class BatchMixing(Protocol):
    """How MixUp or CutMix mixes each sample of a batch with its partner."""

    @property
    def averages(self) -> bool:
        """Whether MixUp may average the pixels of both samples."""
        ...

    def means(self, values: Any) -> Any:
        """Traced: the means of float32 values ``[b, n]`` of both samples, by the parts of the image that are theirs."""
        ...

    def pasted(self, maps: Any) -> Any:
        """Traced: maps ``[b, height, width, ...]`` with the partner's values in the rectangle that CutMix copies."""
        ...


class Target(Protocol):
    """What a network predicts for each image, in the coordinates of its input, such as a box or a mask."""

    def take(self, index: Index) -> "Target":
        """The targets of the samples at these positions."""
        ...

    def tiled(self, images: Index, windows: NDArray[np.int64], *, height: int, width: int) -> "Target":
        """The targets of tiles of the images; themselves if they are loaded by tile.

        Args:
            images: the sample that each tile is cut from, int64 ``[t]``.
            windows: of the tiles, ``[t, 6]``, as in :mod:`dlcli.data.images.tiles`.
            height, width: of a tile.
        """
        return self

    def warped(self, maps: NDArray[np.float64], *, height: int, width: int) -> "Target":
        """The targets of the images that augmentation warps in one epoch; themselves if they have no position.

        Args:
            maps: ``[n, 3, 3]``, from a pixel of the result to its place in the source, as in
                :mod:`dlcli.data.augmentation.affine`.
        """
        return self

    def composed(self, parts: Any, *, height: int, width: int) -> "Target":
        """The targets of the images that mosaic composes of several.

        Args:
            parts: :class:`dlcli.data.augmentation.mosaic.Parts`.

        Raises:
            TypeError: such targets cannot be composed.
        """
        raise TypeError(f"{type(self).__name__}: targets of this kind cannot be composed, as mosaic composes images.")

    @property
    def num_slots(self) -> int:
        """The objects of a sample that its row of a batch has room for; 0 for other targets."""
        return 0

    def pasted(
        self, images: Any, entries: Mapping[str, Any], others: Any, of_others: Mapping[str, Any], is_chosen: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        """Traced: images and entries of a batch's ``y`` with objects of other images, as
        :func:`dlcli.data.augmentation.copy_paste.paste` pastes them.

        Raises:
            TypeError: such targets have no masks along which they could be pasted.
        """
        raise TypeError(f"{', '.join(entries)}: targets of this kind cannot be pasted, as copy_paste pastes objects.")

    @property
    def num_dropped(self) -> int:
        """How many parts of the targets, such as boxes, were dropped because augmentation leaves too little of them."""
        return 0

    def kept(self, max_bytes: int) -> "Target":
        """The same, which keeps what it loads of each sample, compressed, up to so many bytes."""
        return self

    def rows(self) -> Mapping[str, Any]:
        """Tensors with a row for each sample; a batch's element holds the rows of its samples."""
        return {}

    def loaders(self) -> Mapping[str, Loader]:
        """What is read from files for each batch, by its name in a batch's element."""
        return {}

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: entries of a batch's ``y``.

        Args:
            element: ``index`` int64 ``[b]``, the batch's :meth:`rows`, what :meth:`loaders` loaded (of each source of
                composed images: ``[b, 4, ...]``), and ``maps`` float32 ``[b, 6]`` if the images are warped. It may be
                ``index`` alone, if only images are needed.
        """
        ...

    def mixed(self, entries: Mapping[str, Any], mixing: BatchMixing) -> Mapping[str, Any]:
        """Traced: the entries of a batch's ``y`` that :meth:`batch` returned, for images that MixUp or CutMix mixes.

        Raises:
            TypeError: such targets cannot be mixed.
        """
        raise TypeError(f"{', '.join(entries)}: targets of this kind cannot be mixed, as MixUp and CutMix mix images.")
