"""The plots of a detector's evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcli.data.boxes.boxes import Frame, maps_to_input, move
from dlcli.data.boxes.instance_targets import resize_instance
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Samples
from dlcli.evaluation.detection.average_precision import AREAS, RECALLS
from dlcli.evaluation.detection.boxes import Detections
from dlcli.evaluation.detection.confidence import SCORES
from dlcli.evaluation.detection.errors import Assessment
from dlcli.evaluation.detection.metrics import Scores
from dlcli.evaluation.detection.tables import image_quality
from dlcli.evaluation.localization import best_median_worst
from dlcli.report.plots import class_scores
from dlcli.report.plots import classification as classification_plots
from dlcli.report.plots import detections as detection_plots
from dlcli.report.plots.classification import ClassCurve
from dlcli.report.plots.detections import MarkedBox
from dlcli.tasks.detection.masks import ImageMasks

NUM_SHOWN = 3  # images shown of each: the best, the median and the worst


def evaluation_plots(
    samples: Samples,
    kept: Detections,
    assessment: Assessment,
    scores: Scores,
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    masks: Sequence[ImageMasks] = (),
) -> dict[str, bytes]:
    """The plots by the names of their files.

    Args:
        kept: the detections that count.
        assessment: of these.
        scores: of all detections.
        result: the metrics.
        rows: of per_class.csv.
        images: the rows of predictions.csv.
        masks: of all detections; none if they are boxes.
    """
    classes = result["classes"]
    files = {"detections.png": _comparison(samples, kept, assessment, result, images, masks)}
    if scores.is_empty:
        return files
    if "confusion_matrix" in result:
        files["confusion_matrix.png"] = detection_plots.confusion_matrix(
            result["confusion_matrix"],
            classes,
            threshold=result["threshold"],
            chosen_on=result.get("threshold_chosen_on", ""),
        )
    curves = scores.curves
    files["f1.png"] = detection_plots.f1_curves(
        SCORES, curves.f1, curves.mean_f1, classes, threshold=result["threshold"]
    )
    of_all_areas = scores.coco.precision[0, :, :, list(AREAS).index("all"), -1]
    files["precision_recall.png"] = classification_plots.precision_recall(
        [
            ClassCurve(name, RECALLS, of_all_areas[:, label], float(of_all_areas[:, label].mean()))
            for label, name in enumerate(classes)
            if not np.isnan(of_all_areas[0, label])
        ],
        title=f"precision and recall at {'a mask' if masks else 'an'} IoU of 0.5",
    )
    files["ap50.png"] = class_scores.class_scores(
        classes,
        [row["ap50"] for row in rows],
        measure="AP50 of masks" if masks else "AP50",
        baseline=[row["baseline_ap50"] for row in rows] if "baseline_ap50" in rows[0] else (),
        baseline_name="fixed masks" if masks else "fixed boxes",
        mean=scores.coco.ap(iou=0.5),
    )
    return files


def _comparison(
    samples: Samples,
    kept: Detections,
    assessment: Assessment,
    result: Mapping[str, Any],
    images: Sequence[Mapping[str, Any]],
    masks: Sequence[ImageMasks],
) -> bytes:
    """The best, median and worst images, as the network sees them, with their true and predicted boxes or masks."""
    objects, policy = objects_of(samples), samples.policy
    assert objects is not None
    assert policy is not None
    quality = image_quality(images)
    chosen = [(part, i) for part, index in best_median_worst(quality, NUM_SHOWN).items() for i in index]
    index = np.array([i for _, i in chosen], np.int64)
    is_found = np.zeros(len(objects.labels), bool)
    is_found[assessment.objects[assessment.objects >= 0]] = True
    classes = result["classes"]
    return detection_plots.comparison(
        samples.load(index) if len(index) else np.zeros((0, *samples.shape), np.uint8),
        [_true(objects, i, is_found, samples, classes) for i in index.tolist()],
        [_predicted(objects, i, kept, assessment, samples, classes, masks) for i in index.tolist()],
        titles=[f"{part}: F1 {images[i]['f1']:.2f}, IoU {images[i]['mean_iou'] or 0.0:.2f}" for part, i in chosen],
        names=[samples.names[i] for i in index],
        threshold=result["threshold"],
    )


def _true(
    objects: ObjectBoxes, image: int, is_found: np.ndarray, samples: Samples, classes: Sequence[str]
) -> list[MarkedBox]:
    assert samples.policy is not None
    own = np.arange(objects.offsets[image], objects.offsets[image + 1])
    boxes = objects.take(np.array([image])).relative(samples.policy)
    masks = None if objects.instances is None else objects.instances[image].read()
    return [
        MarkedBox(
            box,
            classes[objects.labels[i]],
            bool(is_found[i]) if objects.is_trained[i] else None,
            None if masks is None else resize_instance(masks[number], samples.policy),
        )
        for number, (i, box) in enumerate(zip(own, boxes, strict=True))
    ]


def _predicted(
    objects: ObjectBoxes,
    image: int,
    kept: Detections,
    assessment: Assessment,
    samples: Samples,
    classes: Sequence[str],
    masks: Sequence[ImageMasks],
) -> list[MarkedBox]:
    """The detections of an image that count, which are the first ones of all: those of the highest scores."""
    assert samples.policy is not None
    own = np.arange(kept.offsets[image], kept.offsets[image + 1])
    frame = objects.frames[image]
    maps = maps_to_input((Frame(*frame.upright_size) if masks else frame,), samples.policy)
    boxes = move(kept.boxes[own], np.repeat(maps, len(own), axis=0))
    return [
        MarkedBox(
            box,
            f"{classes[kept.classes[i]]} {kept.scores[i]:.2f}",
            None if assessment.is_ignored[i] else bool(assessment.objects[i] >= 0),
            resize_instance(masks[image].mask(number), samples.policy) if masks else None,
        )
        for number, (i, box) in enumerate(zip(own, boxes, strict=True))
    ]
