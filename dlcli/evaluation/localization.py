"""Metrics of localization for ``evaluation/<split>/``, in addition to those of classification.

Boxes are xmin, ymin, xmax, ymax in the pixels of each image, ``[n, 4]``; a sample without a box has NaN and is left
out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LOCALIZED = 0.5  # smallest intersection over union of a correct box (ILSVRC, Russakovsky et al. 2015)
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # COCO's, from 0.5 to 0.95
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def intersection_over_union(a: Array, b: Array) -> npt.NDArray[np.float64]:
    """Intersection over union of pairs of boxes, ``[n]`` in [0, 1]: 0 if neither has an area, NaN if one is missing."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
    common = sides.prod(axis=1)
    union = _areas(a) + _areas(b) - common
    return np.where(union == 0, 0.0, common / np.where(union == 0, 1.0, union))


def _areas(boxes: Array) -> Array:
    areas: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def metrics(label_rank: Array, num_classes: int, true: Array, predicted: Array, sizes: Array) -> dict[str, Any]:
    """The metrics of boxes in ``metrics.json``.

    Args:
        label_rank: number of classes that are more probable than the label ``[n]``.
        num_classes: number of classes.
        true, predicted: boxes ``[n, 4]``.
        sizes: width and height of each image ``[n, 2]``.

    Returns:
        - ``mean_iou``, ``median_iou``: intersection over union of the true and the predicted box;
        - ``localization_accuracy``: proportion with the correct class and an IoU of at least 0.5, and
          ``localization_error``, 1 minus that (ILSVRC);
        - ``top_5_localization_accuracy``: the same with the class among the top five, if there are more classes;
        - ``box_accuracy``: proportion with an IoU of at least 0.5, whatever the class;
        - ``localization_accuracy_50_95``: the mean localization accuracy over the IoU thresholds from 0.5 to 0.95, and
          ``localization_curve``, the pairs of threshold and accuracy;
        - ``center_error``: mean distance between the boxes' centers, relative to the image's diagonal;
        - ``boxes``: number of samples with a box; if there are none, it is the only key.
    """
    has_box = ~np.isnan(true).any(axis=1)
    result: dict[str, Any] = {"boxes": int(has_box.sum())}
    if not has_box.any():
        return result
    label_rank, true, predicted, sizes = (values[has_box] for values in (label_rank, true, predicted, sizes))
    iou = intersection_over_union(true, predicted)
    is_right = label_rank == 0
    curve = [[threshold, float(np.mean(is_right & (iou >= threshold)))] for threshold in THRESHOLDS]
    result |= {
        "mean_iou": float(iou.mean()),
        "median_iou": float(np.median(iou)),
        "localization_accuracy": curve[0][1],
        "localization_error": 1.0 - curve[0][1],
        "box_accuracy": float(np.mean(iou >= LOCALIZED)),
        "localization_accuracy_50_95": float(np.mean([accuracy for _, accuracy in curve])),
        "center_error": float(center_distances(true, predicted, sizes).mean()),
    }
    if num_classes > 5:
        result["top_5_localization_accuracy"] = float(np.mean((label_rank < 5) & (iou >= LOCALIZED)))
    result["localization_curve"] = curve
    return result


def center_distances(true: Array, predicted: Array, sizes: Array) -> npt.NDArray[np.float64]:
    """Distances between the boxes' centers, relative to the images' diagonals ``[n]``."""
    between = (true[:, :2] + true[:, 2:] - predicted[:, :2] - predicted[:, 2:]) / 2
    distances: npt.NDArray[np.float64] = np.linalg.norm(between, axis=1) / np.linalg.norm(sizes, axis=1)
    return distances


def per_class(labels: Array, is_right: Array, true: Array, predicted: Array, num_classes: int) -> list[dict[str, Any]]:
    """The columns of boxes in ``per_class.csv``, a row for each class; None for a class without boxes.

    Args:
        labels: int ``[n]``.
        is_right: whether the predicted class is the label ``[n]``.
        true, predicted: boxes ``[n, 4]``.
    """
    iou = intersection_over_union(true, predicted)
    rows: list[dict[str, Any]] = []
    for label in range(num_classes):
        own = (labels == label) & ~np.isnan(iou)
        rows.append(
            {
                "mean_iou": float(iou[own].mean()) if own.any() else None,
                "localization_accuracy": float((is_right & (iou >= LOCALIZED))[own].mean()) if own.any() else None,
            }
        )
    return rows


def predictions(true: Array, predicted: Array) -> list[dict[str, Any]]:
    """The columns of boxes in ``predictions.csv``, one row per sample: IoU, true and predicted box; None if missing."""
    iou = intersection_over_union(true, predicted)
    return [
        {
            "iou": None if np.isnan(overlap) else float(f"{overlap:.6g}"),
            **{
                f"true_{name}": None if np.isnan(value) else float(f"{value:.6g}")
                for name, value in zip(CORNERS, own, strict=True)
            },
            **{name: float(f"{value:.6g}") for name, value in zip(CORNERS, found, strict=True)},
        }
        for overlap, own, found in zip(iou, true, predicted, strict=True)
    ]


def best_median_worst(iou: Array, number: int) -> dict[str, Sequence[int]]:
    """Positions of the samples with the highest, median and lowest IoU, at most ``number`` of each; none twice."""
    order = [int(i) for i in np.argsort(-iou, kind="stable") if not np.isnan(iou[i])]
    number = min(number, len(order) // 3) or min(1, len(order))
    middle = max(0, (len(order) - number) // 2)
    parts = {"best": order[:number], "median": order[middle : middle + number], "worst": order[::-1][:number]}
    taken: set[int] = set()
    found: dict[str, Sequence[int]] = {}
    for name, positions in parts.items():
        found[name] = [position for position in positions if position not in taken]
        taken |= set(positions)
    return found
