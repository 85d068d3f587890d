"""Any number of boxes for each image, in the network's input: they follow augmentation and enter batches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import Target
from dlcli.data.augmentation.affine import Maps, bounds_of_moved
from dlcli.data.augmentation.mosaic import NUM_PARTS, Parts
from dlcli.data.boxes.offsets import offsets_of, spans
from dlcli.data.images.tiles import Windows
from dlcli.data.splits import Index

PADDING = -1  # the class of a slot without a box
DIGITS = 2  # of a pixel, after the decimal point: a box that ends at the edge of a tile is not a sliver of the next
ROUNDING = 1e-6  # of a proportion of a box, so that a whole box counts as whole


@dataclass(frozen=True)
class ObjectsTarget(Target):
    """The boxes of each sample, one sample's after another.

    Attributes:
        boxes: rel_xyxy in [0, 1], float32 ``[m, 4]``.
        labels: the class of each, int32 ``[m]``.
        visible: the proportion of each box's area that is in the image, float32 ``[m]`` in (0, 1].
        positions: the number of each among all boxes of its sample, of which some may have been dropped, int32 ``[m]``;
            in a composed sample, plus ``slots`` of one sample for each part before its own.
        offsets: int64 ``[n + 1]``: sample i has the boxes ``offsets[i]:offsets[i + 1]``.
        slots: the boxes that a row of a batch has room for; at least as many as any sample has.
        min_visible: boxes with a smaller proportion left are dropped.
        num_dropped: how many were, of the boxes of these samples.
        sizes: height and width of the samples where they are whole images to be cut into tiles, int64 ``[n, 2]``; else
            None.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    visible: NDArray[np.float32]
    positions: NDArray[np.int32]
    offsets: Index
    slots: int
    min_visible: float
    num_dropped: int = 0
    sizes: NDArray[np.int64] | None = None

    @property
    def num_slots(self) -> int:
        """See :attr:`dlcli.data.annotations.Target.num_slots`."""
        return self.slots

    @property
    def owners(self) -> Index:
        """The sample of each box, int64 ``[m]``."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def take(self, index: Index) -> Self:
        """The boxes of the samples at these positions."""
        positions, offsets = spans(self.offsets, index)
        return replace(
            self,
            boxes=self.boxes[positions],
            labels=self.labels[positions],
            visible=self.visible[positions],
            positions=self.positions[positions],
            offsets=offsets,
            num_dropped=0,
            sizes=None if self.sizes is None else self.sizes[index],
        )

    def tiled(self, images: Index, windows: Windows, *, height: int, width: int) -> Self:
        """The boxes of tiles of the samples, without those of which less than ``min_visible`` is in the tile."""
        if self.sizes is None:
            raise ValueError("the boxes of tiles are cut from those of whole images. Received those of resized images.")
        taken = self.take(images)
        assert taken.sizes is not None
        owners, tile = taken.owners, np.array([width, height] * 2)
        in_pixels = (taken.boxes.astype(np.float64) * np.tile(taken.sizes[:, ::-1], 2)[owners]).round(DIGITS)
        boxes = (in_pixels - np.tile(windows[:, 1::-1], 2)[owners]) / tile
        everywhere = np.tile([0.0, 0.0, 1.0, 1.0], (len(boxes), 1))
        return replace(taken.placed(boxes, within=everywhere), sizes=None)

    def warped(self, maps: Maps, *, height: int, width: int) -> Self:
        """The boxes around the warped boxes, without those of which less than ``min_visible`` is left in the image."""
        return self.placed(bounds_of_moved(self.boxes, maps[self.owners], height=height, width=width))

    def composed(self, parts: Parts, *, height: int, width: int) -> Self:
        """The boxes of the parts of each sample, without those of which less than ``min_visible`` is left in the part.
        There is room for the boxes of four samples."""
        sides = np.array([width, height, width, height], np.float64)
        taken = self.take(parts.sources.ravel())
        cells, maps = (parts.cells / sides).reshape(-1, 4), parts.maps.reshape(-1, 3, 3)
        has_room = (cells[:, :2] < cells[:, 2:]).all(axis=1)  # parts of which something is shown
        taken = taken.take(np.flatnonzero(has_room))
        cells, maps = cells[has_room][taken.owners], maps[has_room][taken.owners]
        moved = taken.placed(bounds_of_moved(taken.boxes, maps, height=height, width=width), within=cells)
        part = np.flatnonzero(has_room)[moved.owners] % NUM_PARTS
        positions = (moved.positions + part * self.slots).astype(np.int32)
        first = np.concatenate([[0], np.cumsum(has_room.reshape(-1, NUM_PARTS).sum(axis=1))])
        return replace(moved, positions=positions, offsets=moved.offsets[first], slots=NUM_PARTS * self.slots)

    def placed(self, boxes: NDArray[np.float64], within: NDArray[np.float64] | None = None) -> Self:
        """The same objects at other places, clipped to the image, without those of which too little is left.

        Args:
            boxes: rel_xyxy ``[m, 4]``, also outside [0, 1].
            within: the part of the image in which each box can be seen, rel_xyxy ``[m, 4]``. Boxes that are wholly
                outside of their parts are not counted as dropped.
        """
        inside = boxes.clip(0, 1) if within is None else boxes.clip(within[:, [0, 1, 0, 1]], within[:, [2, 3, 2, 3]])
        # what was cropped before is gone too
        visible = self.visible * area(inside) / np.maximum(area(boxes), np.finfo(np.float64).tiny)
        single = inside.astype(np.float32)  # a box may have no area in single precision
        kept = (visible >= self.min_visible - ROUNDING) & (single[:, 2] > single[:, 0]) & (single[:, 3] > single[:, 1])
        return replace(
            self,
            boxes=single[kept],
            labels=self.labels[kept],
            visible=visible[kept].astype(np.float32),
            positions=self.positions[kept],
            offsets=offsets_of(self.owners[kept], len(self.offsets) - 1),
            num_dropped=self.num_dropped + int((~kept & (visible > 0 if within is not None else True)).sum()),
        )

    def rows(self) -> Mapping[str, Any]:
        """``boxes`` float32 ``[n, slots, 4]`` rel_xyxy, 0 where padded, and ``box_class`` int32 ``[n, slots]``, there
        PADDING."""
        return {
            "boxes": tf.constant(self.in_slots(self.boxes, 0)),
            "box_class": tf.constant(self.in_slots(self.labels, PADDING)),
        }

    def in_slots(self, values: NDArray[Any], padding: int) -> NDArray[Any]:
        """The values of the boxes ``[m, ...]`` in a table with a row for each sample, ``[n, slots, ...]``."""
        owners = self.owners
        table = np.full((len(self.offsets) - 1, self.slots, *values.shape[1:]), padding, values.dtype)
        table[owners, np.arange(len(owners)) - self.offsets[:-1][owners]] = values
        return table

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: ``boxes`` float32 ``[b, slots, 4]`` and ``box_class`` int32 ``[b, slots]``; nothing without
        :meth:`rows`."""
        return {name: element[name] for name in ("boxes", "box_class") if name in element}


def area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area of each box ``[n, 4]``, as a proportion of the image; 0 for one that is turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])
