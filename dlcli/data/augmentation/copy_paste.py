"""Copy-paste (Ghiasi et al. 2021): objects of one training image are pasted into another, along their masks.

Both images are augmented first, each with its own parameters; the paper's scale jitter is that of ``zoom_range`` or
``random_crop``. Which image gets objects, of which other one, and which objects, is a function of (seed, epoch, sample)
and of the number of samples.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Tensor = Any
Entries = Mapping[str, Tensor]

ROUNDING = 1e-6  # of a proportion of an object, so that a whole object counts as whole


@dataclass(frozen=True)
class Pasting:
    """What is pasted into the samples of an epoch.

    Attributes:
        partners: the sample whose objects are pasted into each, int64 ``[n]``; itself where nothing is.
        is_chosen: which of the partner's objects are, by their slots, bool ``[n, slots]``.
    """

    partners: NDArray[np.int64]
    is_chosen: NDArray[np.bool_]


@dataclass(frozen=True)
class CopyPaste:
    """Pastes each object of another sample with probability 1/2.

    Attributes:
        probability: that a sample gets objects of another.
    """

    probability: float

    def draw(self, *, seed: int, epoch: int, num: int, slots: int) -> Pasting:
        """What is pasted into ``num`` samples with room for ``slots`` objects each."""
        generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"copy_paste")]))
        is_pasted, others = generator.random((num, 2)).T
        is_pasted = is_pasted < self.probability
        partners = np.where(is_pasted, (others * num).astype(np.int64), np.arange(num))
        return Pasting(partners, (generator.random((num, slots)) < 0.5) & is_pasted[:, None])


def paste(
    images: Tensor, entries: Entries, others: Tensor, of_others: Entries, is_chosen: Tensor, *, min_visible: float
) -> tuple[Tensor, Entries]:
    """Traced: the images of a batch with objects of other images above their own.

    An own object that is partly covered gets the box around what is left of its mask; one of which less than
    ``min_visible`` is left is dropped.

    Args:
        images, others: float32 ``[b, height, width, channels]``.
        entries, of_others: of the images: ``boxes`` float32 ``[b, n, 4]`` rel_xyxy, ``box_class`` int32 ``[b, n]``, -1
            where there is none, and ``masks`` uint8 ``[b, n, height, width]``.
        is_chosen: which objects of the others are pasted, bool ``[b, n]``.

    Returns:
        The images, and the same entries of the own and the pasted objects, ``[b, 2 n, ...]``.
    """
    is_pasted = is_chosen & (of_others["box_class"] >= 0)
    pasted = _only(of_others, is_pasted)
    covered = tf.reduce_max(pasted["masks"], axis=1)  # [b, height, width]
    images = tf.where(covered[..., None] > 0, others, images)
    left = entries["masks"] * (1 - covered)[:, None]
    before, after = (tf.reduce_sum(tf.cast(masks, tf.float32), axis=[2, 3]) for masks in (entries["masks"], left))
    boxes = tf.where((after < before)[..., None], _bounds(left), entries["boxes"])
    is_left = (entries["box_class"] >= 0) & (after >= (min_visible - ROUNDING) * before) & ((after > 0) | (before == 0))
    own = _only({**entries, "boxes": boxes, "masks": left}, is_left)
    return images, {name: tf.concat([own[name], pasted[name]], axis=1) for name in own}


def _only(entries: Entries, is_kept: Tensor) -> dict[str, Tensor]:
    """The entries without the other objects, whose slots are empty."""
    return {
        "boxes": tf.where(is_kept[..., None], entries["boxes"], 0.0),
        "box_class": tf.where(is_kept, entries["box_class"], -1),
        "masks": entries["masks"] * tf.cast(is_kept, tf.uint8)[..., None, None],
    }


def _bounds(masks: Tensor) -> Tensor:
    """The box around each mask ``[b, n, height, width]``, rel_xyxy; the whole image for an empty one."""
    ends = []
    for axis in (2, 3):  # over rows for the columns, over columns for the rows
        is_inside = tf.reduce_max(masks, axis=axis)  # [b, n, side]
        side = is_inside.shape[-1]
        first = tf.argmax(is_inside, axis=-1)
        last = side - tf.argmax(tf.reverse(is_inside, [-1]), axis=-1)
        ends.append([tf.cast(place, tf.float32) / side for place in (first, last)])
    (left, right), (top, bottom) = ends
    return tf.stack([left, top, right, bottom], axis=-1)
