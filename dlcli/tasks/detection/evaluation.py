"""Evaluates a detector in the pixels of the original images, next to a baseline of fixed boxes or masks."""

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.detection.boxes import GroundTruth, IouOfImage
from dlcli.evaluation.detection.fixed_boxes import DESCRIPTION, FixedBoxes
from dlcli.evaluation.detection.metrics import Scores, assess_from, metrics, metrics_from, neglect, per_class, score
from dlcli.evaluation.detection.tables import ERROR_COLUMNS, coco_results, confusion_rows, error_rows, per_image
from dlcli.recipe.sections.detect import Detect
from dlcli.rundir.tables import write_csv
from dlcli.runtime.console import Console
from dlcli.tasks.detection.baseline import frame_sizes
from dlcli.tasks.detection.detecting import Detected, detector, ground_truth
from dlcli.tasks.detection.mask_baseline import DESCRIPTION as MASKS_DESCRIPTION
from dlcli.tasks.detection.mask_baseline import baseline_masks
from dlcli.tasks.detection.masks import mask_reader, objects_with_masks, overlaps_of
from dlcli.tasks.detection.plots import evaluation_plots
from dlcli.tasks.evaluation_files import Destination, report_missing_glyphs, write_evaluation
from dlcli.training.loop import Measure

MEASURED = ("ap", "ap50")
"""What is measured of the validation split after each epoch, of boxes."""
MASKS_MEASURED = ("mask_ap", "mask_ap50", "box_ap")
"""The same of masks and their boxes."""
THIS_SPLIT = "these images"  # where a threshold is chosen that no other split gives


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: tuple[str, ...],
    baseline: FixedBoxes | None,
    threshold: float | None,
    chosen_on: str = "validation",
    detect: Detect,
    has_masks: bool = False,
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on samples; write metrics.json, tables, predictions.json and plots.

    Of masks, all measures but those that begin with ``box_`` are of their overlaps.

    Args:
        to: where they are written.
        baseline: what was computed from the training split; None if the run has none yet.
        threshold: the score from which detections count; None to choose it on these samples. Average precision and
            recall do not depend on it.
        chosen_on: the split for whose mean F1 the threshold is best; empty for one that was not chosen.
        detect: how the saved model chooses its detections.
        has_masks: whether the model predicts masks.

    Raises:
        InputError: the samples have no objects to be evaluated on.
    """
    objects = objects_with_masks(samples) if has_masks else _objects_of(samples)
    keys: dict[str, Any] = {"batch_size": batch_size, "console": console, "detect": detect, "merging": detect}
    found = _detector(model, samples, objects, has_masks=has_masks, encodes=True, **keys)()
    detections, truth = found.detections, ground_truth(objects)
    scores, of_boxes = _scored(found, truth, num_classes=len(classes))
    if threshold is None:
        threshold, chosen_on = scores.curves.best[0], THIS_SPLIT
        console.say(f"detections count from a score of {threshold:.3f} on, which is best for the F1 of these images")
    kept, assessment = assess_from(
        *(detections, truth, threshold),
        num_classes=len(classes),
        iou_of_image=_overlaps(found, truth, detections.scores >= threshold),
    )
    result: dict[str, Any] = {
        "samples": len(samples),
        **_counts(objects, samples),
        "detections": len(detections),
        **_measures(scores, of_boxes),
        "threshold": threshold,
        **({"threshold_chosen_on": chosen_on} if chosen_on else {}),
        **metrics_from(assessment, classes),
    }
    if found.nms_differs is not None:
        result["nms_differs"] = found.nms_differs
    of_baseline = None
    if baseline is not None:
        fixed = _fixed(baseline, objects, has_masks=has_masks)
        of_baseline, its_boxes = _scored(fixed, truth, num_classes=len(classes))
        result |= _of_baseline(of_baseline, its_boxes)
    rows = per_class(scores, assessment, classes, baseline=of_baseline)
    confusions = {}
    if len(classes) > MANY_CLASSES:
        del result["confusion_matrix"]
        header, counts = ("true", "predicted", "count"), confusion_rows(assessment.confusion, classes)
        confusions["confusion_matrix.csv"] = functools.partial(
            write_csv, header=header, rows=counts, safe=to.request.safe_csv
        )
    _report(result, rows, scores, of_baseline, console)
    report_missing_glyphs(console, classes, what="plots")
    images = per_image(kept, truth, assessment)
    errors = error_rows(kept, truth, assessment, names=samples.names, classes=classes)
    write_evaluation(
        to,
        result,
        tables={
            "per_class.csv": rows if of_boxes is None else _of_masks(rows, of_boxes),
            "predictions.csv": (
                {"file": name, "image_id": i, **row}
                for i, (name, row) in enumerate(zip(samples.names, images, strict=True), start=1)
            ),
        },
        others={
            "errors.csv": functools.partial(
                write_csv,
                header=ERROR_COLUMNS,
                rows=[list(row.values()) for row in errors],
                safe=to.request.safe_csv,
            ),
            **confusions,
            "predictions.json": functools.partial(_write_results, found=found),
            **evaluation_plots(samples.of_one_size(), kept, assessment, scores, result, rows, images, found.masks),
        },
    )
    return result


def choose_threshold(
    model: keras.Model,
    samples: Samples,
    *,
    num_classes: int,
    has_masks: bool = False,
    detect: Detect | None = None,
    batch_size: int,
    console: Console,
) -> float:
    """The score from which detections count for the highest mean F1 of a split.

    Args:
        detect: how the boxes of several tiles are merged, where images are cut into these.

    Raises:
        InputError: the samples have no objects.
    """
    objects = objects_with_masks(samples) if has_masks else _objects_of(samples)
    keys: dict[str, Any] = {"batch_size": batch_size, "console": console, "merging": detect}
    found = _detector(model, samples, objects, has_masks=has_masks, **keys)()
    return _scored(found, ground_truth(objects), num_classes=num_classes)[0].curves.best[0]


def measure(
    model: keras.Model,
    samples: Samples,
    *,
    num_classes: int,
    has_masks: bool = False,
    detect: Detect | None = None,
    batch_size: int,
    console: Console,
) -> Measure:
    """What is measured of a split with the model's current weights; 0 for a split without objects.

    Args:
        detect: how the boxes of several tiles are merged, where images are cut into these.

    Raises:
        InputError: the samples have no objects.
    """
    objects = objects_with_masks(samples) if has_masks else _objects_of(samples)
    keys: dict[str, Any] = {"batch_size": batch_size, "console": console, "merging": detect}
    detecting = _detector(model, samples, objects, has_masks=has_masks, **keys)
    truth, names = ground_truth(objects), MASKS_MEASURED if has_masks else MEASURED

    def values() -> dict[str, float]:
        measures = _measures(*_scored(detecting(), truth, num_classes=num_classes))
        return {name: measures.get(name, 0.0) for name in names}

    return Measure(names, values)


# Detections and their scores ------------------------------------------------------------------------------------------


def _detector(
    model: keras.Model,
    samples: Samples,
    objects: ObjectBoxes,
    *,
    has_masks: bool,
    encodes: bool = False,
    **keys: Any,
) -> Callable[[], Detected]:
    """A detector in the frames of the objects, with which it compares masks.

    Args:
        encodes: keep the encodings of masks.
        keys: further arguments of :func:`dlcli.tasks.detection.detecting.detector`.
    """
    if not has_masks:
        return detector(model, samples, **keys)
    assert samples.policy is not None
    read = mask_reader(objects, objects.frames, samples.policy, encodes=encodes)
    return detector(model, samples, frames=objects.frames, read_masks=read, **keys)


def _fixed(baseline: FixedBoxes, objects: ObjectBoxes, *, has_masks: bool) -> Detected:
    """The baseline's detections."""
    if not has_masks:
        return Detected(baseline.detections(frame_sizes(objects.frames)))
    detections, masks = baseline_masks(baseline, objects)
    return Detected(detections, masks=masks)


def _overlaps(found: Detected, truth: GroundTruth, is_kept: NDArray[np.bool_] | None = None) -> IouOfImage | None:
    """How overlaps with objects are measured; None for those of boxes."""
    return overlaps_of(found.masks, found.detections, truth, is_kept) if found.has_masks else None


def _scored(found: Detected, truth: GroundTruth, *, num_classes: int) -> tuple[Scores, Scores | None]:
    """The scores of boxes, and None; of detections with masks, the scores of masks, and those of boxes."""
    scores = score(found.detections, truth, num_classes=num_classes, iou_of_image=_overlaps(found, truth))
    return scores, score(found.boxes, truth, num_classes=num_classes) if found.has_masks else None


def _measures(scores: Scores, of_boxes: Scores | None) -> dict[str, float]:
    """The measures by name, of both results of :func:`_scored`."""
    if of_boxes is None:
        return metrics(scores)
    of_masks = {f"mask_{name}": value for name, value in metrics(scores).items()}
    return of_masks | {f"box_{name}": value for name, value in metrics(of_boxes).items()}


def _of_baseline(scores: Scores, of_boxes: Scores | None) -> dict[str, float]:
    """The measures of the baseline by name."""
    kinds = {"boxes": scores} if of_boxes is None else {"masks": scores, "boxes": of_boxes}
    return {
        f"baseline_fixed_{kind}_{name}": values[name]
        for kind, of_kind in kinds.items()
        for values in (metrics(of_kind),)
        for name in MEASURED
        if name in values
    }


def _of_masks(rows: Sequence[Mapping[str, Any]], of_boxes: Scores) -> list[dict[str, Any]]:
    """The rows of per_class.csv with the AP of boxes beside that of masks."""
    names = {name: f"mask_{name}" for name in ("ap", "ap50", "ap75", "ar100", "voc_ap50")}
    names["baseline_ap50"] = "baseline_mask_ap50"
    result = []
    for label, row in enumerate(rows):
        coco = of_boxes.coco
        boxes = {"box_ap": coco.ap(label=label), "box_ap50": coco.ap(iou=0.5, label=label)}
        own = {names.get(key, key): value for key, value in row.items()}
        result.append(own | {key: None if math.isnan(value) else value for key, value in boxes.items()})
    return result


def _objects_of(samples: Samples) -> ObjectBoxes:
    objects = objects_of(samples)
    if objects is None:
        raise InputError("the samples have no objects to be evaluated on.")
    return objects


def _counts(objects: ObjectBoxes, samples: Samples) -> dict[str, int]:
    """The numbers of objects that count, of those that are ignored, and of those that the network cannot see."""
    assert samples.policy is not None
    relative = objects.relative(samples.policy).clip(0, 1)
    is_outside = (relative[:, 2:] <= relative[:, :2]).any(axis=1)
    ignored = {
        "crowds": int(objects.is_crowd.sum()),
        "difficult_objects": int(objects.is_difficult.sum()),
        "objects_outside": int((is_outside & objects.is_trained).sum()),
    }
    return {"objects": int(objects.is_trained.sum()), **{name: number for name, number in ignored.items() if number}}


def _report(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    scores: Scores,
    baseline: Scores | None,
    console: Console,
) -> None:
    """Warn of a baseline that is not beaten, of classes that are never found, and of what differs from the field's
    rules."""
    if scores.is_empty:
        console.warn("no object is annotated: nothing is measured")
        return
    if "objects_outside" in result:
        console.warn(
            f"{result['objects_outside']:,} objects are outside of what data.resize: crop leaves of the images, and "
            "count as missed"
        )
    ap50, of_baseline = scores.coco.ap(iou=0.5), -1.0 if baseline is None else baseline.coco.ap(iou=0.5)
    if of_baseline >= ap50:
        description = MASKS_DESCRIPTION if "mask_ap" in result else DESCRIPTION
        console.warn(f"AP50 {ap50:.4f} is no better than the baseline's {of_baseline:.4f}: {description}")
    if text := neglect(rows):
        console.warn(text)
    if result.get("nms_differs"):
        console.say(
            f"in {result['nms_differs']:,} of {result['samples']:,} images the model's non-maximum suppression leaves "
            "other boxes than exact greedy suppression"
        )


def _write_results(path: Path, found: Detected) -> None:
    """Write a JSON array with a line for each detection, so that memory does not grow with their number."""
    with open(path, "w", encoding="utf-8") as file:
        start = "[\n"
        for row in coco_results(found.detections, _segmentations(found)):
            file.write(start + json.dumps(row))
            start = ",\n"
        file.write("[]\n" if len(found.detections) == 0 else "\n]\n")


def _segmentations(found: Detected) -> Iterator[Mapping[str, Any]] | None:
    """The encoding of each mask; None for boxes."""
    return (
        (of_image.encoded(i) for of_image in found.masks for i in range(len(of_image.runs)))
        if found.has_masks
        else None
    )
