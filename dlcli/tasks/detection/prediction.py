"""Predicts the objects in images: their classes, scores and boxes, drawings and crops."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.evaluation.detection.boxes import Detections
from dlcli.report.plots.box_overlay import LabeledBox, crop, with_boxes
from dlcli.report.plots.figure import LINE_COLORS
from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import detect_samples
from dlcli.tasks.evaluation_files import report_missing_glyphs
from dlcli.tasks.images.head import Predicted
from dlcli.tasks.predictions import write_table
from dlcli.tasks.task import PredictionRequest

MANY_CROPS = 20  # of an image, on average
HEADER = ("file", "class", "score", "xmin", "ymin", "xmax", "ymax")


def predict(
    model: keras.Model,
    samples: Samples,
    *,
    classes: Sequence[str],
    threshold: float,
    request: PredictionRequest,
    batch_size: int,
    console: Console,
) -> Predicted:
    """Predict the objects of each image in its own pixels, and write the table of ``--output``, if one is requested.

    Each row has ``objects``, in descending order of their scores, with ``class``, ``score`` and ``box`` (xmin, ymin,
    xmax, ymax), and ``counts``: the number of objects of each class that was found.

    Args:
        threshold: the lowest score of an object that is shown, unless ``--score`` names another.
    """
    lowest = threshold if request.score is None else request.score
    found = detect_samples(model, samples, batch_size=batch_size, console=console)
    rows = [_row(found, position, classes, lowest) for position in range(len(samples))]
    console.say(f"objects with a score of at least {lowest:.3g}")
    if request.crops is not None:
        _warn_of_crops(rows, lowest, threshold, console)
    if request.output is not None:
        cells = (
            [name, item["class"], item["score"], *item["box"]]
            for name, row in zip(samples.names, rows, strict=True)
            for item in row["objects"]
        )
        write_table(request.output, HEADER, cells, safe_csv=request.safe_csv)
    if request.draw is not None:
        report_missing_glyphs(console, list(classes), what=str(request.draw))

    def draw(position: int, image: Image.Image) -> bytes:
        return with_boxes(image, [_labeled(item, classes) for item in rows[position]["objects"]])

    crops = [
        (position, functools.partial(crop, corners=item["box"]))
        for position, row in enumerate(rows)
        for item in row["objects"]
    ]
    return Predicted(rows, draw, crops=crops)


def _warn_of_crops(rows: Sequence[Mapping[str, Any]], lowest: float, threshold: float, console: Console) -> None:
    """Warn of many files of doubtful objects, which a low score lets through."""
    scores = [item["score"] for row in rows for item in row["objects"]]
    likely = sum(score >= threshold for score in scores)
    if likely < len(scores):
        console.warn(
            f"--crops: {len(scores):,} crops are written, because --score {lowest:g} is below this model's threshold "
            f"of {threshold:.3g}, from which on there are {likely:,}"
        )
    elif len(scores) > MANY_CROPS * len(rows):
        console.warn(
            f"--crops: {len(scores):,} crops are written, {len(scores) / len(rows):.0f} for each image: a higher "
            "--score gives fewer"
        )


def _row(found: Detections, position: int, classes: Sequence[str], lowest: float) -> dict[str, Any]:
    part = slice(int(found.offsets[position]), int(found.offsets[position + 1]))
    objects = [
        {"class": classes[label], "score": float(score), "box": box.round(2).tolist()}
        for box, score, label in zip(found.boxes[part], found.scores[part], found.classes[part], strict=True)
        if score >= lowest
    ]
    numbers = np.bincount([classes.index(item["class"]) for item in objects], minlength=len(classes))
    counts = {name: int(number) for name, number in zip(classes, numbers, strict=True) if number}
    return {"objects": objects, "counts": counts}


def _labeled(item: Mapping[str, Any], classes: Sequence[str]) -> LabeledBox:
    color = LINE_COLORS[(classes.index(item["class"]) + 1) % len(LINE_COLORS)]  # the first is the usual one of boxes
    return LabeledBox(item["box"], f"{item['class']} {item['score']:.2f}", color)
