"""Metrics of detection for ``evaluation/<split>/``, from detections and ground truth in pixels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.average_precision import AREAS, LIMITS, CocoScores, coco_scores
from dlcli.evaluation.detection.boxes import Detections, GroundTruth, IouOfImage, overlaps
from dlcli.evaluation.detection.confidence import ConfidenceCurves, confidence_curves
from dlcli.evaluation.detection.errors import BACKGROUND_IOU, LEAST_IOU, Assessment, assess
from dlcli.evaluation.detection.voc import voc_ap50

Array = npt.NDArray[Any]

NUM_NAMED = 5  # classes in a message


@dataclass(frozen=True)
class Scores:
    """The detections of a split, scored in every way that does not depend on one score from which they count.

    Attributes:
        coco: precision and recall in COCO's settings.
        voc: VOC's average precision at an IoU of 0.5 of each class ``[classes]``.
        curves: precision, recall and F1 by score.
    """

    coco: CocoScores
    voc: npt.NDArray[np.float64]
    curves: ConfidenceCurves

    @property
    def is_empty(self) -> bool:
        """Whether no object counts, so that nothing is measured."""
        return math.isnan(self.coco.ap())


def score(
    detections: Detections, truth: GroundTruth, *, num_classes: int, iou_of_image: IouOfImage | None = None
) -> Scores:
    """Score the detections of a split.

    Args:
        iou_of_image: how overlaps are measured; None for those of the boxes.
    """
    pairs = overlaps(detections, truth, least=LEAST_IOU, iou_of_image=iou_of_image)
    return Scores(
        coco_scores(detections, truth, pairs, num_classes=num_classes),
        voc_ap50(detections, truth, pairs, num_classes=num_classes),
        confidence_curves(detections, truth, pairs, num_classes=num_classes),
    )


def assess_from(
    detections: Detections,
    truth: GroundTruth,
    threshold: float,
    *,
    num_classes: int,
    iou_of_image: IouOfImage | None = None,
) -> tuple[Detections, Assessment]:
    """The detections with at least a score, and their errors.

    Args:
        iou_of_image: as in :func:`score`; its positions are those of the detections that are returned.
    """
    kept = detections.where(detections.scores >= threshold)
    pairs = overlaps(kept, truth, least=BACKGROUND_IOU, iou_of_image=iou_of_image)
    return kept, assess(kept, truth, pairs, num_classes=num_classes)


def metrics(scores: Scores) -> dict[str, float]:
    """The measures of a split, each left out if it has no object: no object of the area range, or none at all.

    - ``ap``: COCO's average precision, over IoU thresholds from 0.5 to 0.95; ``ap50``, ``ap75``: at one threshold;
    - ``ap_small``, ``ap_medium``, ``ap_large``: of objects below 32^2, up to 96^2, and above 96^2 square pixels;
    - ``ar1``, ``ar10``, ``ar100``: COCO's average recall with so many detections per image and class;
      ``ar_small``, ``ar_medium``, ``ar_large``: with 100, of these objects;
    - ``voc_ap50``: VOC's average precision.

    All are unweighted means over the classes that have objects.
    """
    coco = scores.coco
    found = {"ap": coco.ap(), "ap50": coco.ap(iou=0.5), "ap75": coco.ap(iou=0.75)}
    sizes = [area for area in AREAS if area != "all"]
    found |= {f"ap_{area}": coco.ap(area=area) for area in sizes}
    found |= {f"ar{limit}": coco.ar(limit=limit) for limit in LIMITS}
    found |= {f"ar_{area}": coco.ar(area=area) for area in sizes}
    known = scores.voc[~np.isnan(scores.voc)]
    found["voc_ap50"] = float(known.mean()) if len(known) else math.nan
    return {name: value for name, value in found.items() if not math.isnan(value)}


def metrics_from(assessment: Assessment, classes: Sequence[str]) -> dict[str, Any]:
    """The measures of the detections from some score on.

    - ``precision``, ``recall``, ``f1``: unweighted means over the classes that have objects, at an IoU of 0.5; a class
      without a detection has a precision of 0;
    - ``errors``: the number of each kind, see :mod:`dlcli.evaluation.detection.errors`;
    - ``absent_classes``: those without objects, which are left out of all means;
    - ``confusion_matrix``: true classes in rows and predicted ones in columns, the last of both for the background;
    - ``classes``.
    """
    rates = _rates(assessment.confusion)
    is_present = ~np.isnan(rates["recall"])
    result: dict[str, Any] = {}
    if is_present.any():
        result |= {name: float(values[is_present].mean()) for name, values in rates.items()}
    return result | {
        "errors": assessment.kinds,
        "absent_classes": [name for name, present in zip(classes, is_present, strict=True) if not present],
        "confusion_matrix": assessment.confusion.tolist(),
        "classes": list(classes),
    }


def per_class(
    scores: Scores, assessment: Assessment, classes: Sequence[str], *, baseline: Scores | None = None
) -> list[dict[str, Any]]:
    """The rows of ``per_class.csv``, one for each class; None for a class without objects.

    The columns are class, category_id (its number from 1 on), objects, detections (from the score on), ap, ap50, ap75,
    ar100, voc_ap50, precision, recall, f1 and baseline_ap50.

    Args:
        baseline: the scores of the baseline; without it there is no such column.
    """
    rates = _rates(assessment.confusion)
    rows = []
    for label, name in enumerate(classes):
        coco = scores.coco
        values = {
            "ap": coco.ap(label=label),
            "ap50": coco.ap(iou=0.5, label=label),
            "ap75": coco.ap(iou=0.75, label=label),
            "ar100": coco.ar(label=label),
            "voc_ap50": float(scores.voc[label]),
            **{rate: float(of_classes[label]) for rate, of_classes in rates.items()},
        }
        if baseline is not None:
            values["baseline_ap50"] = baseline.coco.ap(iou=0.5, label=label)
        rows.append(
            {
                "class": name,
                "category_id": label + 1,
                "objects": int(assessment.confusion[label].sum()),
                "detections": int(assessment.confusion[:, label].sum()),
                **{column: None if math.isnan(value) else value for column, value in values.items()},
            }
        )
    return rows


def neglect(rows: Sequence[Mapping[str, Any]]) -> str:
    """The classes with an average precision of 0, none of whose objects is found; empty without any.

    Args:
        rows: the result of :func:`per_class`.
    """
    missed = [str(row["class"]) for row in rows if row["ap"] == 0]
    if not missed:
        return ""
    shown = ", ".join(f"'{name}'" for name in missed[:NUM_NAMED])
    more = f" and {len(missed) - NUM_NAMED:,} more" if len(missed) > NUM_NAMED else ""
    noun = "class has" if len(missed) == 1 else "classes have"
    return f"{len(missed):,} {noun} an AP of 0: {shown}{more}"


def _rates(confusion: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    """Precision, recall and F1 of each class ``[classes]``; NaN for classes without objects."""
    true = np.diag(confusion)[:-1].astype(np.float64)
    objects, found = confusion.sum(axis=1)[:-1], confusion.sum(axis=0)[:-1]
    is_present = objects > 0
    parts = {"precision": (true, np.maximum(found, 1)), "recall": (true, objects), "f1": (2 * true, objects + found)}
    return {
        name: np.divide(above, below, out=np.full(len(true), np.nan), where=is_present)
        for name, (above, below) in parts.items()
    }
