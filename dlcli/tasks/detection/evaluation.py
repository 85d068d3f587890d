"""Evaluates a detector in the pixels of the original images, next to the baseline of fixed boxes."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.detection.boxes import Detections
from dlcli.evaluation.detection.fixed_boxes import DESCRIPTION, FixedBoxes
from dlcli.evaluation.detection.metrics import assess_from, metrics, metrics_from, neglect, per_class, score
from dlcli.evaluation.detection.tables import ERROR_COLUMNS, coco_results, confusion_rows, error_rows, per_image
from dlcli.recipe.sections.detect import Detect
from dlcli.rundir.tables import write_csv
from dlcli.runtime.console import Console
from dlcli.tasks.detection.baseline import frame_sizes
from dlcli.tasks.detection.detecting import detector, ground_truth
from dlcli.tasks.detection.plots import evaluation_plots
from dlcli.tasks.evaluation_files import Destination, report_missing_glyphs, write_evaluation
from dlcli.training.loop import Measure

MEASURED = ("ap", "ap50")
"""What is measured of the validation split after each epoch."""
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
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on samples; write metrics.json, tables, predictions.json and plots.

    Args:
        to: where they are written.
        baseline: what was computed from the training split; None if the run has none yet.
        threshold: the score from which detections count; None to choose it on these samples. Average precision and
            recall do not depend on it.
        chosen_on: the split for whose mean F1 the threshold is best; empty for one that was not chosen.
        detect: how the saved model chooses its detections.

    Raises:
        InputError: the samples have no objects to be evaluated on.
    """
    objects = _objects_of(samples)
    found = detector(model, samples, batch_size=batch_size, console=console, detect=detect)()
    detections, truth = found.detections, ground_truth(objects)
    scores = score(detections, truth, num_classes=len(classes))
    if threshold is None:
        threshold, chosen_on = scores.curves.best[0], THIS_SPLIT
        console.say(f"detections count from a score of {threshold:.3f} on, which is best for the F1 of these images")
    kept, assessment = assess_from(detections, truth, threshold, num_classes=len(classes))
    result: dict[str, Any] = {
        "samples": len(samples),
        **_counts(objects, samples),
        "detections": len(detections),
        **metrics(scores),
        "threshold": threshold,
        **({"threshold_chosen_on": chosen_on} if chosen_on else {}),
        **metrics_from(assessment, classes),
    }
    if found.nms_differs is not None:
        result["nms_differs"] = found.nms_differs
    of_baseline = None
    if baseline is not None:
        of_baseline = score(baseline.detections(frame_sizes(objects.frames)), truth, num_classes=len(classes))
        values = metrics(of_baseline)
        result |= {f"baseline_fixed_boxes_{name}": values[name] for name in MEASURED if name in values}
    rows = per_class(scores, assessment, classes, baseline=of_baseline)
    confusions = {}
    if len(classes) > MANY_CLASSES:
        del result["confusion_matrix"]
        header, counts = ("true", "predicted", "count"), confusion_rows(assessment.confusion, classes)
        confusions["confusion_matrix.csv"] = functools.partial(
            write_csv, header=header, rows=counts, safe=to.request.safe_csv
        )
    _report(result, rows, console)
    report_missing_glyphs(console, classes, what="plots")
    images = per_image(kept, truth, assessment)
    errors = error_rows(kept, truth, assessment, names=samples.names, classes=classes)
    write_evaluation(
        to,
        result,
        tables={
            "per_class.csv": rows,
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
            "predictions.json": functools.partial(_write_results, detections=detections),
            **evaluation_plots(samples, kept, assessment, scores, result, rows, images),
        },
    )
    return result


def choose_threshold(
    model: keras.Model, samples: Samples, *, num_classes: int, batch_size: int, console: Console
) -> float:
    """The score from which detections count for the highest mean F1 of a split.

    Raises:
        InputError: the samples have no objects.
    """
    truth = ground_truth(_objects_of(samples))
    detections = detector(model, samples, batch_size=batch_size, console=console)().detections
    return score(detections, truth, num_classes=num_classes).curves.best[0]


def measure(model: keras.Model, samples: Samples, *, num_classes: int, batch_size: int, console: Console) -> Measure:
    """What is measured of a split with the model's current weights; 0 for a split without objects.

    Raises:
        InputError: the samples have no objects.
    """
    truth = ground_truth(_objects_of(samples))
    detect = detector(model, samples, batch_size=batch_size, console=console)

    def values() -> dict[str, float]:
        found = metrics(score(detect().detections, truth, num_classes=num_classes))
        return {name: found.get(name, 0.0) for name in MEASURED}

    return Measure(MEASURED, values)


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


def _report(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Warn of a baseline that is not beaten, of classes that are never found, and of what differs from the field's
    rules."""
    if "ap" not in result:
        console.warn("no object is annotated: nothing is measured")
        return
    if "objects_outside" in result:
        console.warn(
            f"{result['objects_outside']:,} objects are outside of what data.resize: crop leaves of the images, and "
            "count as missed"
        )
    of_baseline = result.get("baseline_fixed_boxes_ap50", -1.0)
    if of_baseline >= result["ap50"]:
        console.warn(f"AP50 {result['ap50']:.4f} is no better than the baseline's {of_baseline:.4f}: {DESCRIPTION}")
    if text := neglect(rows):
        console.warn(text)
    if result.get("nms_differs"):
        console.say(
            f"in {result['nms_differs']:,} of {result['samples']:,} images the model's non-maximum suppression leaves "
            "other boxes than exact greedy suppression"
        )


def _write_results(path: Path, detections: Detections) -> None:
    """Write a JSON array with a line for each detection, so that memory does not grow with their number."""
    with open(path, "w", encoding="utf-8") as file:
        start = "[\n"
        for row in coco_results(detections):
            file.write(start + json.dumps(row))
            start = ",\n"
        file.write("[]\n" if len(detections) == 0 else "\n]\n")
