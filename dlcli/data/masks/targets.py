"""Masks in the network's input: they are read in the input pipeline, follow augmentation and enter batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import BatchMixing, Loader, Target
from dlcli.data.augmentation.affine import warp_nearest
from dlcli.data.files import workers
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.tiles import TileReader, center_windows
from dlcli.data.kept import Kept
from dlcli.data.masks.coding import IGNORED, Mask
from dlcli.data.masks.resizing import resize_mask
from dlcli.data.splits import Index


class Readable(Protocol):
    """A mask that can be read at the size of its image."""

    def read(self) -> Mask: ...


@dataclass(frozen=True)
class MaskTarget(Target):
    """The mask of each sample, in the network's input.

    Attributes:
        policy: how images, and so masks, are resized.
        masks: in the order of the samples.
        values: the masks, resized, uint8 ``[n, height, width]``; None if they are read batch by batch.
        store: what was read of each mask, resized, or whole for tiles; None if nothing is kept.
    """

    policy: ImagePolicy
    masks: Sequence[Readable]
    values: NDArray[np.uint8] | None = None
    store: Kept | None = None

    def take(self, index: Index) -> "MaskTarget":
        """The masks of the samples at these positions."""
        values = None if self.values is None else self.values[index]
        return replace(self, masks=tuple(self.masks[i] for i in index), values=values, store=None)

    def kept(self, max_bytes: int) -> "MaskTarget":
        """See :meth:`dlcli.data.annotations.Target.kept`."""
        return replace(self, store=Kept(max_bytes))

    def in_memory(self) -> "MaskTarget":
        """The same masks, all of them read."""
        return replace(self, values=self.load(np.arange(len(self.masks))))

    def load(self, index: Index) -> NDArray[np.uint8]:
        """The masks at ``index`` ``[b]``: uint8 ``[b, height, width]``, read in several threads; of images that are cut
        into tiles, the tiles in the middle.

        Raises:
            InputError: one can no longer be read, or has changed since it was checked.
        """
        if self.policy.is_tiled:
            sizes = np.array([self.masks[i].read().shape for i in index], np.int64)
            return self.tile_reader().load(index, center_windows(sizes, self.policy.image_size))
        result = np.empty((len(index), *self.policy.image_size), np.uint8)

        def fill(row: int) -> None:
            result[row] = self._read(int(index[row]))

        list(workers().map(fill, range(len(index))))
        return result

    def tile_reader(self) -> TileReader:
        """Cuts tiles from the masks; pixels that are not of the image, or do not count, are IGNORED."""
        return TileReader(self._read, self.policy.image_size, fill=IGNORED, only_counted=True)

    def _read(self, position: int) -> Mask:
        """A mask, resized, or whole for tiles."""

        def read() -> Mask:
            whole = self.masks[position].read()
            return whole if self.policy.is_tiled else resize_mask(whole, self.policy)

        return read() if self.store is None else self.store.get(position, read)

    def rows(self) -> Mapping[str, Any]:
        """``mask`` uint8 ``[n, height, width]``, if the masks are in memory."""
        return {} if self.values is None else {"mask": tf.constant(self.values)}

    def loaders(self) -> Mapping[str, Loader]:
        """``mask`` uint8 ``[b, height, width]``, if the masks are read batch by batch."""
        if self.values is not None:
            return {}
        load = self.tile_reader().load if self.policy.is_tiled else self.load
        return {"mask": Loader(load, self.policy.image_size, "uint8")}

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: ``mask`` uint8 ``[b, height, width]``, warped as the images are: each pixel has the class of the
        nearest pixel of the source, and is IGNORED where that is outside. Nothing for an element without masks."""
        if "mask" not in element:
            return {}
        masks = element["mask"]
        if "maps" in element:
            masks = tf.ensure_shape(_warp_compiled(masks, element["maps"]), masks.shape)
        return {"mask": masks}

    def mixed(self, entries: Mapping[str, Any], mixing: BatchMixing) -> Mapping[str, Any]:
        """Traced: the masks with the partner's classes in the rectangle that CutMix copies.

        Raises:
            TypeError: MixUp averages the images.
        """
        if mixing.averages:
            raise TypeError(
                "MixUp averages two images, so that a pixel belongs to two classes: masks cannot be mixed so."
            )
        return {name: mixing.pasted(masks) for name, masks in entries.items()}


def _warp(masks: Any, maps: Any) -> Any:
    return warp_nearest(masks, maps, outside=IGNORED)


_warp_compiled = tf.function(_warp, autograph=False, jit_compile=True)
