"""Tables of detections for ``evaluation/<split>/``: a row for each image, for each error, and for each detection."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, GroundTruth
from dlcli.evaluation.detection.errors import Assessment

CORNERS = ("xmin", "ymin", "xmax", "ymax")
BACKGROUND = "background"  # the name of what is no object
ERROR_COLUMNS = ("file", "kind", "class", "score", *CORNERS, "true_class", "iou")


def per_image(detections: Detections, truth: GroundTruth, assessment: Assessment) -> list[dict[str, Any]]:
    """The columns of an image in ``predictions.csv``.

    - ``objects`` and ``detections`` that count, ``matched`` pairs of the two, ``false`` detections, ``missed`` objects;
    - ``f1``: 2 matched / (objects + detections); None for an image with neither;
    - ``mean_iou`` of the matched pairs; None without any.

    Args:
        detections: those that were assessed.
    """
    num = truth.num_images
    is_matched = assessment.objects >= 0
    objects = np.bincount(truth.images[~truth.is_ignored], minlength=num)
    found = np.bincount(detections.images[~assessment.is_ignored], minlength=num)
    matched = np.bincount(detections.images[is_matched], minlength=num)
    iou = np.bincount(detections.images[is_matched], weights=assessment.iou[is_matched], minlength=num)
    return [
        {
            "objects": int(objects[i]),
            "detections": int(found[i]),
            "matched": int(matched[i]),
            "false": int(found[i] - matched[i]),
            "missed": int(objects[i] - matched[i]),
            "f1": float(2 * matched[i] / (objects[i] + found[i])) if objects[i] + found[i] else None,
            "mean_iou": float(iou[i] / matched[i]) if matched[i] else None,
        }
        for i in range(num)
    ]


def image_quality(rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
    """By which images are ranked, ``[n]`` in [0, 1]: F1 times the mean IoU of what is matched, which is the panoptic
    quality of boxes (Kirillov et al. 2019, equation 1); NaN for an image without objects and detections."""
    return np.array([math.nan if row["f1"] is None else row["f1"] * (row["mean_iou"] or 0.0) for row in rows])


def error_rows(
    detections: Detections, truth: GroundTruth, assessment: Assessment, *, names: Sequence[str], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The rows of ``errors.csv``, image by image: false detections, and missed objects with their own class and box.

    The columns are ERROR_COLUMNS; ``true_class`` is that of the object that a detection is compared with, ``iou`` the
    overlap with it.

    Args:
        detections: those that were assessed.
        names: of the images.
    """
    rows = []
    for error in assessment.errors:
        true = None if error.object is None else int(truth.classes[error.object])
        if error.detection is None:
            assert error.object is not None
            image, label, of_detection = truth.images[error.object], true, None
            box = truth.boxes[error.object]
        else:
            image, label = detections.images[error.detection], int(detections.classes[error.detection])
            of_detection, box = float(detections.scores[error.detection]), detections.boxes[error.detection]
        assert label is not None
        rows.append(
            (
                int(image),
                {
                    "file": names[image],
                    "kind": error.kind,
                    "class": classes[label],
                    "score": _short(of_detection),
                    **{corner: _short(value) for corner, value in zip(CORNERS, box, strict=True)},
                    "true_class": None if true is None else classes[true],
                    "iou": _short(error.iou),
                },
            )
        )
    for _, row in sorted(rows, key=lambda pair: pair[0]):
        yield row


def confusion_rows(confusion: npt.NDArray[np.int64], classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """A confusion matrix with the background without its zeros: true class, predicted class and count."""
    names = [*classes, BACKGROUND]
    return [(names[i], names[j], int(confusion[i, j])) for i, j in np.argwhere(confusion).tolist()]


def coco_results(
    detections: Detections, segmentations: Iterable[Mapping[str, Any]] | None = None
) -> Iterator[dict[str, Any]]:
    """COCO's results format: ``image_id`` and ``category_id`` count images and classes from 1 on, ``bbox`` is xmin,
    ymin, width and height in pixels, ``segmentation`` the encoding of the mask.

    Args:
        segmentations: of the detections; None for boxes alone.
    """
    corners = np.concatenate([detections.boxes[:, :2], detections.boxes[:, 2:] - detections.boxes[:, :2]], axis=1)
    columns = zip(detections.images, detections.classes, corners.round(3).tolist(), detections.scores, strict=True)
    masks = itertools.repeat(None) if segmentations is None else segmentations
    for (image, label, box, of_detection), mask in zip(columns, masks, strict=False):
        score = float(str(np.float32(of_detection)))
        further = {} if mask is None else {"segmentation": mask}
        yield {"image_id": int(image) + 1, "category_id": int(label) + 1, "bbox": box, "score": score, **further}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
