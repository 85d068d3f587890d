"""Boxes in the network's input: they follow augmentation and enter batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import Target
from dlcli.data.augmentation.affine import Maps, move_boxes
from dlcli.data.splits import Index


@dataclass(frozen=True)
class BoxTarget(Target):
    """A box for each sample.

    Attributes:
        boxes: rel_xyxy float32 ``[n, 4]``; NaN for a sample without a box.
    """

    boxes: NDArray[np.float32]

    def take(self, index: Index) -> "BoxTarget":
        """The boxes of the samples at these positions."""
        return BoxTarget(self.boxes[index])

    def warped(self, maps: Maps, *, height: int, width: int) -> "BoxTarget":
        """The boxes around the warped boxes; NaN where nothing of a box is left in the image."""
        moved, is_left = move_boxes(self.boxes, maps, height=height, width=width)
        return BoxTarget(np.where(is_left[:, None], moved, np.float32(np.nan)))

    def rows(self) -> Mapping[str, Any]:
        """``box`` float32 ``[n, 4]`` and ``box_weight`` float32 ``[n]``, 0 for a sample without a box."""
        has_box = np.logical_not(np.isnan(self.boxes).any(axis=1, keepdims=True))
        return {
            "box": tf.constant(np.where(has_box, self.boxes, 0.0), tf.float32),
            "box_weight": tf.constant(has_box[:, 0], tf.float32),
        }

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: ``box`` float32 ``[b, 4]`` and ``box_weight`` float32 ``[b]``; nothing without :meth:`rows`."""
        return {name: element[name] for name in ("box", "box_weight") if name in element}
