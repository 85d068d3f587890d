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
NO_CLASS = -1
AT_ONCE = 32  # classes, each of which has a bit


def boundary_f1(
    true: Array, predicted: Array, num_classes: int, *, tolerance: float = TOLERANCE, ignored: int = IGNORED
) -> npt.NDArray[np.float64]:
    """The boundary F1 of each class of an image ``[k]`` in [0, 1]; NaN for classes without true pixels.

    The boundary of a class is its pixels that have a neighbor of another class above, below, left or right. The edges
    of the image and of ignored regions are not boundaries. Distances are Euclidean, between the centers of pixels. If a
    class has neither a true nor a predicted boundary, because it fills the image in both, the score is 1; if only one
    of them exists, or the class is not predicted, 0.

    Args:
        true: integer labels ``[height, width]``: classes, or ``ignored``.
        predicted: classes ``[height, width]``; ignored pixels of ``true`` are ignored here too.
        tolerance: see `TOLERANCE`.
    """
    counts = true != ignored
    distance = tolerance_in_pixels(*true.shape, tolerance=tolerance)
    signed = (true.astype(np.int32), predicted.astype(np.int32))  # with room for NO_CLASS
    own, found = (np.where(_is_boundary(labels, counts), labels, NO_CLASS) for labels in signed)
    recall, precision = _near(own, found, num_classes, distance), _near(found, own, num_classes, distance)
    scores = np.full(num_classes, np.nan)
    for label in np.unique(true[counts]):
        if np.isnan(recall[label]) or np.isnan(precision[label]):  # a boundary without pixels
            has_neither = np.isnan(recall[label]) and np.isnan(precision[label])
            scores[label] = float(has_neither and (predicted[counts] == label).any())
            continue
        total = recall[label] + precision[label]
        scores[label] = 2 * recall[label] * precision[label] / total if total > 0 else 0.0
    return scores


def tolerance_in_pixels(height: int, width: int, *, tolerance: float = TOLERANCE) -> int:
    """The tolerance in an image of this size, at least 1."""
    return max(1, math.ceil(tolerance * math.hypot(height, width)))


def _is_boundary(labels: Array, counts: Array) -> Array:
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


def _near(points: Array, targets: Array, num_classes: int, distance: int) -> npt.NDArray[np.float64]:
    """For each class the proportion of its ``points`` that are at most ``distance`` from one of its ``targets``
    ``[k]``; NaN for a class without points.

    Args:
        points, targets: the class of each pixel of a boundary, `NO_CLASS` elsewhere, ``[height, width]``.
    """
    hits = np.zeros(num_classes, np.int64)
    for first in range(0, num_classes, AT_ONCE):
        near = _dilated(_bits(targets, first), distance) & _bits(points, first)
        hits += np.bincount(points[near > 0].astype(np.int64), minlength=num_classes)
    total = np.bincount(points[points != NO_CLASS].astype(np.int64), minlength=num_classes)
    result = np.full(num_classes, np.nan)
    np.divide(hits, total, out=result, where=total > 0)
    return result


def _bits(labels: Array, first: int) -> npt.NDArray[np.uint32]:
    """A bit for the class of each pixel, if it is one of the `AT_ONCE` classes from ``first`` on."""
    is_one = (labels >= first) & (labels < first + AT_ONCE)
    return np.where(is_one, np.uint32(1) << np.where(is_one, labels - first, 0).astype(np.uint32), np.uint32(0))


def _dilated(bits: npt.NDArray[np.uint32], distance: int) -> npt.NDArray[np.uint32]:
    """The union of the bits within a Euclidean distance of each pixel: all classes are dilated by a disk at once.

    The disk consists of horizontal runs, which are extended by one pixel on both sides at a time.
    """
    height = len(bits)
    result, run = np.zeros_like(bits), bits.copy()
    reaches = [math.isqrt(distance**2 - shift**2) for shift in range(min(distance, height - 1) + 1)]
    for reach in range(distance + 1):
        if reach > 0:
            run[:, reach:] |= bits[:, :-reach]
            run[:, :-reach] |= bits[:, reach:]
        for shift in (shift for shift, own in enumerate(reaches) if own == reach):
            result[shift:] |= run[: height - shift]
            result[: height - shift] |= run[shift:]
    return result
