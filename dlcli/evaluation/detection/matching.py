"""Assigns detections to objects by COCO's rule (Lin et al. 2014, section 5; pycocotools' COCOeval).

Of each image and class, detections are taken in descending order of their scores. Each takes the object with the
highest IoU that is not yet taken, if the IoU reaches the threshold. Objects that count come before those that are
ignored: crowds, which can be taken any number of times, difficult objects, and objects outside the area range. A
detection that takes an ignored object, or none and lies outside the area range itself, is ignored too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, GroundTruth, Overlaps

Array = npt.NDArray[Any]
Range = tuple[float, float]

ALL_AREAS: Range = (0.0, 1e5**2)  # square pixels
NUM_TAKEN = 100  # detections of an image and class that are looked at, those of the highest scores
PERFECT = 1 - 1e-10  # an IoU that reaches every threshold
COUNTED = 1 << 30  # of the keys by which an object is chosen: above every position of an ignored one


@dataclass(frozen=True)
class Matches:
    """The object that each detection takes, for each area range and IoU threshold.

    Attributes:
        detections: positions in the detections, int64 ``[d]``, in the order of class, image, and descending score.
        rank: of each among those of its image and class, from 0, int64 ``[d]``.
        objects: the position of the object taken, int32 ``[areas, thresholds, d]``; -1 for none.
        is_ignored: whether a detection is not counted, bool ``[areas, thresholds, d]``.
        is_object_ignored: whether an object is not counted, bool ``[areas, m]``.
    """

    detections: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int32]
    is_ignored: npt.NDArray[np.bool_]
    is_object_ignored: npt.NDArray[np.bool_]


def match(
    detections: Detections,
    truth: GroundTruth,
    pairs: Overlaps,
    *,
    thresholds: Sequence[float],
    areas: Sequence[Range] = (ALL_AREAS,),
    num_taken: int = NUM_TAKEN,
) -> Matches:
    """Assign the detections of a split to its objects.

    Args:
        pairs: all pairs with an IoU of at least the lowest threshold; those of different classes do not matter.
        thresholds: of the IoU.
        areas: smallest and largest area in square pixels, both included.
        num_taken: detections of each image and class that are looked at.
    """
    order, rank = _ranked(detections)
    order, rank = order[rank < num_taken], rank[rank < num_taken]
    is_object_ignored = np.stack(
        [truth.is_ignored | (truth.areas < low) | (truth.areas > high) for low, high in areas]
    ).reshape(len(areas), len(truth))
    objects = np.full((len(areas) * len(thresholds), len(detections)), -1, np.int32)
    is_taken = np.zeros((len(areas) * len(thresholds), len(truth)), bool)
    least = np.tile(np.minimum(np.asarray(thresholds, np.float64), PERFECT), len(areas))[:, None]
    of_area = np.repeat(np.arange(len(areas)), len(thresholds))
    for of_round in _rounds(detections, truth, pairs, order):
        starts = np.flatnonzero(np.diff(of_round.detections, prepend=-1))
        place = _numbers(of_round.detections)
        is_free = (of_round.iou >= least) & ~is_taken[:, of_round.objects]
        is_counted = ~is_object_ignored[:, of_round.objects][of_area]
        key = np.where(is_free, place + 1 + COUNTED * is_counted, 0)
        best = np.maximum.reduceat(key, starts, axis=1)
        chosen = of_round.objects[starts + np.maximum(best % COUNTED - 1, 0)]
        objects[:, of_round.detections[starts]] = np.where(best > 0, chosen, -1)
        rows, columns = np.nonzero((best > 0) & ~truth.is_crowd[chosen])
        is_taken[rows, chosen[rows, columns]] = True
    shape = (len(areas), len(thresholds), len(order))
    objects = objects[:, order].reshape(shape)
    return Matches(
        order, rank, objects, _ignored(detections.areas[order], objects, is_object_ignored, areas), is_object_ignored
    )


def _ranked(detections: Detections) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The order of class, image and descending score, and the rank of each of these in its image and class; equal
    scores keep their order."""
    images = detections.images
    order = np.lexsort((-detections.scores, images, detections.classes))
    return order, _numbers(detections.classes[order], images[order])


def _numbers(*keys: Array) -> npt.NDArray[np.int64]:
    """The number of each row among the consecutive rows of equal keys, from 0."""
    is_first = np.ones(len(keys[0]), bool)
    is_first[1:] = (np.diff(np.stack(keys)) != 0).any(axis=0)
    starts = np.flatnonzero(is_first)
    return np.arange(len(is_first)) - np.repeat(starts, np.diff(starts, append=len(is_first)))


def _rounds(detections: Detections, truth: GroundTruth, pairs: Overlaps, order: Array) -> Iterator[Overlaps]:
    """The pairs in the order in which they are decided.

    A round has at most one detection of each image and class, so that no two of its detections can take the same
    object. Detections without any pair are in none. The pairs of a detection are in ascending order of IoU, and equal
    ones in that of the objects, because pycocotools takes the last of these.
    """
    position = np.full(len(detections), -1, np.int64)
    position[order] = np.arange(len(order))
    is_same_class = detections.classes[pairs.detections] == truth.classes[pairs.objects]
    pairs = pairs.where(is_same_class & (position[pairs.detections] >= 0))
    with_pairs = order[np.unique(position[pairs.detections])]
    round_of = np.full(len(detections), -1, np.int64)
    round_of[with_pairs] = _numbers(detections.images[with_pairs], detections.classes[with_pairs])
    rounds = round_of[pairs.detections]
    by_round = np.lexsort((pairs.objects, pairs.iou, position[pairs.detections], rounds))
    start = 0
    for size in np.bincount(rounds).tolist():
        yield pairs.where(by_round[start : start + size])
        start += size


def _ignored(
    own_areas: Array, objects: npt.NDArray[np.int32], is_object_ignored: Array, areas: Sequence[Range]
) -> npt.NDArray[np.bool_]:
    result = np.empty(objects.shape, bool)
    for number, (low, high) in enumerate(areas):
        is_outside = (own_areas < low) | (own_areas > high)
        if is_object_ignored.shape[1] == 0:
            result[number] = is_outside
            continue
        taken = objects[number]
        result[number] = np.where(taken >= 0, is_object_ignored[number][taken], is_outside)
    return result
