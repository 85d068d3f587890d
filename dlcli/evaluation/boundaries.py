"""Boundary F1: how well the boundaries of predicted regions follow the true ones.

For each class of an image, the precision is the proportion of the predicted boundary that lies within a tolerance of
the true boundary, the recall the proportion of the true boundary that lies within it of the predicted one, and the
score their harmonic mean (Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?",
section 3).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.segmentation import IGNORED

Array = npt.NDArray[Any]

TOLERANCE = 0.0075
"""The tolerance, as a proportion of the image's diagonal (Csurka et al. 2013); rounded up to whole pixels, as in the
DAVIS benchmark (Perazzi et al. 2016)."""
FAR = 1 << 20  # pixels; further than any two pixels of an image


def boundary_f1(
    true: Array, predicted: Array, num_classes: int, *, tolerance: float = TOLERANCE, ignored: int = IGNORED
) -> npt.NDArray[np.float64]:
    """The boundary F1 of each class of an image ``[k]`` in [0, 1]; NaN for classes without true pixels.

    The boundary of a class is its pixels that have a neighbor of another class above, below, left or right. The edges
    of the image and of ignored regions are not boundaries. Distances are Euclidean, between the centers of pixels. If a
    class has neither a true nor a predicted boundary, because it fills the image, the score is 1; if only one of them
    exists, 0.

    Args:
        true: integer labels ``[height, width]``: classes, or ``ignored``.
        predicted: classes ``[height, width]``; ignored pixels of ``true`` are ignored here too.
        tolerance: see `TOLERANCE`.
    """
    counts = true != ignored
    distance = tolerance_in_pixels(*true.shape, tolerance=tolerance)
    edges = [(labels, _boundary(labels, counts)) for labels in (true, predicted)]
    scores = np.full(num_classes, np.nan)
    for label in np.unique(true[counts]):
        own, found = (is_boundary & (labels == label) for labels, is_boundary in edges)
        if not own.any() or not found.any():
            scores[label] = float(own.any() == found.any())
            continue
        precision, recall = _proportion_near(found, own, distance), _proportion_near(own, found, distance)
        scores[label] = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return scores


def tolerance_in_pixels(height: int, width: int, *, tolerance: float = TOLERANCE) -> int:
    """The tolerance in an image of this size, at least 1."""
    return max(1, math.ceil(tolerance * math.hypot(height, width)))


def _boundary(labels: Array, counts: Array) -> Array:
    """Where a pixel that counts has a neighbor that counts and has another label ``[height, width]``."""
    result = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        one, other = [slice(None)] * 2, [slice(None)] * 2
        one[axis], other[axis] = slice(1, None), slice(None, -1)
        before, after = tuple(other), tuple(one)
        differs = (labels[before] != labels[after]) & counts[before] & counts[after]
        result[before] |= differs
        result[after] |= differs
    return result


def _proportion_near(points: Array, targets: Array, distance: int) -> float:
    """The proportion of ``points`` that are at most ``distance`` from one of ``targets``, both ``[height, width]``.

    A distance is found from the horizontal distances in the rows at most ``distance`` above and below, so that the time
    is linear in the pixels.
    """
    along = _distance_in_row(targets)
    rows, columns = np.nonzero(points)
    is_near = np.zeros(len(rows), bool)
    for shift in range(-distance, distance + 1):
        shifted = rows + shift
        is_inside = (shifted >= 0) & (shifted < len(along))
        reach = math.isqrt(distance**2 - shift**2)
        is_near[is_inside] |= along[shifted[is_inside], columns[is_inside]] <= reach
    return float(is_near.mean())


def _distance_in_row(targets: Array) -> npt.NDArray[np.int32]:
    """The distance of each pixel to the nearest of ``targets`` in its row, int32 ``[height, width]``."""
    columns = np.arange(targets.shape[1], dtype=np.int32)
    left = np.maximum.accumulate(np.where(targets, columns, -FAR), axis=1)
    right = np.minimum.accumulate(np.where(targets, columns, FAR)[:, ::-1], axis=1)[:, ::-1]
    nearest: npt.NDArray[np.int32] = np.minimum(columns - left, right - columns).astype(np.int32)
    return nearest
