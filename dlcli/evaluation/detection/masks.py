"""How much the masks of detections and objects overlap, for instance segmentation: exact, from counts of pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def packed(masks: Array) -> npt.NDArray[np.uint8]:
    """Masks bool ``[m, height, width]`` of an image with a bit for each pixel, ``[m, bytes]``; a row starts with a new
    byte."""
    bits = np.packbits(masks, axis=2)
    return bits.reshape(len(masks), bits.shape[1] * bits.shape[2])


def mask_areas(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The number of pixels of packed masks ``[m]``."""
    return np.asarray(np.bitwise_count(masks).sum(axis=1, dtype=np.int64), np.float64)


def mask_iou(
    masks: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8], is_crowd: Array | None = None
) -> npt.NDArray[np.float64]:
    """Intersection over union of each mask with each other one of the same image, ``[m, k]`` in [0, 1].

    Args:
        masks: packed, ``[m, bytes]``.
        others: packed, ``[k, bytes]``.
        is_crowd: bool ``[k]``: for these it is the intersection over the area of the mask of ``masks``, which is COCO's
            rule.
    """
    areas, other_areas = mask_areas(masks), mask_areas(others)
    result = np.zeros((len(masks), len(others)))
    for i, other in enumerate(others):
        columns = np.flatnonzero(other)  # the bytes that have a pixel of it
        common = np.bitwise_count(masks[:, columns] & other[columns]).sum(axis=1, dtype=np.int64)
        union = areas if is_crowd is not None and is_crowd[i] else areas + other_areas[i] - common
        np.divide(common, union, out=result[:, i], where=common > 0)
    return result
