"""The masks of objects in the network's input: read in the input pipeline, they follow augmentation like the boxes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.annotations import Loader
from dlcli.data.augmentation import mosaic
from dlcli.data.augmentation.affine import warp_nearest
from dlcli.data.augmentation.copy_paste import paste
from dlcli.data.augmentation.mosaic import NUM_PARTS, Parts
from dlcli.data.boxes.object_targets import ObjectsTarget
from dlcli.data.files import workers
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.resizing import resize_image
from dlcli.data.images.tiles import Windows, cut
from dlcli.data.kept import Kept
from dlcli.data.splits import Index


class Readable(Protocol):
    """The masks of the objects of an image."""

    def read(self) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class InstancesTarget(ObjectsTarget):
    """The boxes and masks of the objects of each sample.

    Attributes:
        policy: how images, and so masks, are resized or cut into tiles.
        instances: the masks of all objects of each sample.
        is_trained: which of these objects are trained on, bool ``[objects]`` for each sample.
        store: the masks of each sample that were read, resized or whole for tiles; None if nothing is kept.
    """

    policy: ImagePolicy = None  # type: ignore[assignment]
    instances: tuple[Readable, ...] = ()
    is_trained: tuple[NDArray[np.bool_], ...] = ()
    store: Kept | None = None

    def take(self, index: Index) -> Self:
        """The boxes and masks of the samples at these positions."""
        return replace(
            super().take(index),
            instances=tuple(self.instances[i] for i in index),
            is_trained=tuple(self.is_trained[i] for i in index),
            store=None,
        )

    def kept(self, max_bytes: int) -> Self:
        """See :meth:`dlcli.data.annotations.Target.kept`."""
        return replace(self, store=Kept(max_bytes))

    def composed(self, parts: Parts, *, height: int, width: int) -> Self:
        """As for boxes; masks are loaded of each source, and are composed with the images."""
        composed = super().composed(parts, height=height, width=width)
        return replace(composed, instances=self.instances, is_trained=self.is_trained)

    def load(self, index: Index, windows: Windows | None = None) -> NDArray[np.uint8]:
        """The masks of the samples at ``index`` ``[b]``: uint8 ``[b, slots, height, width]``, in the order of all their
        objects that are trained on, read in several threads.

        Args:
            windows: of the tiles that are cut from them, ``[b, 6]``.

        Raises:
            InputError: they can no longer be read, or have changed since they were checked.
        """
        result = np.zeros((len(index), self.slots, *self.policy.image_size), np.uint8)

        def fill(row: int) -> None:
            for slot, mask in enumerate(self._read(int(index[row]))):
                if windows is not None:
                    mask = cut(mask, (windows[row, 0], windows[row, 1]), self.policy.image_size, fill=0)
                result[row, slot] = mask

        list(workers().map(fill, range(len(index))))
        return result

    def _read(self, sample: int) -> NDArray[np.uint8]:
        """The masks of the objects of a sample that are trained on, resized or whole for tiles, ``[objects, height,
        width]``."""

        def read() -> NDArray[np.uint8]:
            masks = self.instances[sample].read()[self.is_trained[sample]]
            if self.policy.is_tiled:
                return masks
            resized = np.zeros((len(masks), *self.policy.image_size), np.uint8)
            for slot, mask in enumerate(masks):
                resized[slot] = resize_instance(mask, self.policy)
            return resized

        return read() if self.store is None else self.store.get(sample, read)

    def rows(self) -> Mapping[str, Any]:
        """As for boxes, and ``box_position`` int32 ``[n, slots]``: which of the loaded masks is that of a box."""
        return {**super().rows(), "box_position": tf.constant(self.in_slots(self.positions, 0))}

    def loaders(self) -> Mapping[str, Loader]:
        """``masks`` uint8 ``[b, slots, height, width]``, those of all objects that are trained on."""
        return {"masks": Loader(self.load, (self.slots, *self.policy.image_size), "uint8")}

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: as for boxes, and ``masks`` uint8 ``[b, slots, height, width]``: 1 in the object of each box, warped
        as the images are, 0 outside and where there is no box."""
        entries = dict(super().batch(element))
        if "masks" not in element or not entries:
            return entries
        height, width = self.policy.image_size
        position, is_composed = element["box_position"], element["masks"].shape.rank == 5
        loaded = element["masks"]
        if is_composed:
            loaded = tf.reshape(loaded, [-1, NUM_PARTS * self.slots, height, width])
        masks = tf.gather(loaded, position, batch_dims=1)
        masks *= tf.cast(entries["box_class"] >= 0, tf.uint8)[:, :, None, None]
        if is_composed:
            part = position // self.slots
            scale, x, y = tf.unstack(tf.gather(element["part_maps"], part, batch_dims=1), axis=-1)  # [b, slots]
            zero = tf.zeros_like(scale)
            masks = _warped(masks, tf.stack([scale, zero, x, zero, scale, y], axis=-1))
            part_of_pixels = mosaic.part_of_pixels(element["part_point"], height, width)
            masks *= tf.cast(part_of_pixels[:, None] == part[:, :, None, None], tf.uint8)
        if "maps" in element:
            masks = _warped(masks, tf.repeat(element["maps"][:, None], position.shape[1], axis=1))
        return {**entries, "masks": masks}

    def pasted(
        self, images: Any, entries: Mapping[str, Any], others: Any, of_others: Mapping[str, Any], is_chosen: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        """See :meth:`dlcli.data.annotations.Target.pasted`."""
        return paste(images, entries, others, of_others, is_chosen, min_visible=self.min_visible)


def resize_instance(mask: NDArray[np.uint8], policy: ImagePolicy) -> NDArray[np.uint8]:
    """A mask of the size of its upright image in the network's input: each pixel has the value of the nearest one; 0 in
    what padding adds."""
    resized = resize_image(
        Image.fromarray(mask),
        image_size=policy.image_size,
        resize=policy.resize,
        interpolation="nearest",
        antialias=False,
    )
    return np.array(resized)


def _warped(masks: Any, maps: Any) -> Any:
    """Traced: masks ``[b, slots, height, width]`` warped by maps ``[b, slots, 6]``."""
    slots, height, width = masks.shape[1:]
    warped = _warp_compiled(tf.reshape(masks, [-1, height, width]), tf.reshape(maps, [-1, 6]))
    return tf.reshape(warped, [-1, slots, height, width])


def _warp(masks: Any, maps: Any) -> Any:
    return warp_nearest(masks, maps, outside=0)


_warp_compiled = tf.function(_warp, autograph=False, jit_compile=True)
