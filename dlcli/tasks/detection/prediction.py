"""Predicts the objects in images: their classes, scores and boxes, masks, drawings and crops."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.recipe.sections.detect import Detect
from dlcli.report.plots.box_overlay import LabeledBox, crop, with_boxes
from dlcli.report.plots.figure import LINE_COLORS
from dlcli.report.plots.mask_overlay import instances_png
from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import Detected, detected
from dlcli.tasks.detection.masks import ImageMasks, mask_reader
from dlcli.tasks.evaluation_files import report_missing_glyphs
from dlcli.tasks.images.frames import upright_frames
from dlcli.tasks.images.head import Outputs, Predicted
from dlcli.tasks.predictions import write_table
from dlcli.tasks.task import PredictionRequest

MANY_CROPS = 20  # of an image, on average
HEADER = ("file", "class", "score", "xmin", "ymin", "xmax", "ymax")
FURTHER = ("pixels", "area", "segmentation")  # of objects with masks


def predict(
    outputs: Outputs,
    samples: Samples,
    *,
    classes: Sequence[str],
    threshold: float,
    has_masks: bool = False,
    detect: Detect | None = None,
    request: PredictionRequest,
    console: Console,
) -> Predicted:
    """Predict the objects of each image in its own pixels, and write the table of ``--output``, if one is requested.

    Each row has ``objects``, in descending order of their scores, with ``class``, ``score`` and ``box`` (xmin, ymin,
    xmax, ymax), and ``counts``: the number of objects of each class that was found. With masks, an object also has the
    number of its ``pixels``, with ``--pixel-size`` its ``area``, and its ``segmentation`` in COCO's encoding.

    Args:
        threshold: the lowest score of an object that is shown, unless ``--score`` names another.
        has_masks: whether the model predicts masks.
        detect: how the boxes of several tiles are merged, where images are cut into these.
    """
    lowest = threshold if request.score is None else request.score
    frames = upright_frames(samples)
    assert samples.policy is not None
    read = mask_reader(None, frames, samples.policy, encodes=True) if has_masks else None
    found = detected(outputs(samples), samples, frames=frames, read_masks=read, merging=detect)
    rows = [_row(found, position, classes, lowest, request.pixel_size) for position in range(len(samples))]
    console.say(f"objects with a score of at least {lowest:.3g}")
    if request.crops is not None:
        _warn_of_crops(rows, lowest, threshold, console)
    if request.output is not None:
        is_csv = request.output.suffix.lower() == ".csv"
        further = [key for key in FURTHER if has_masks and not (is_csv and key == "segmentation")]
        further = [key for key in further if key != "area" or request.pixel_size is not None]
        cells = (
            [name, item["class"], item["score"], *item["box"], *(item[key] for key in further)]
            for name, row in zip(samples.names, rows, strict=True)
            for item in row["objects"]
        )
        write_table(request.output, [*HEADER, *further], cells, safe_csv=request.safe_csv)
    if request.draw is not None:
        report_missing_glyphs(console, list(classes), what=str(request.draw))

    def masks(position: int) -> list[NDArray[np.uint8]]:
        """Of the objects that are shown, which are the first ones of all: those of the highest scores."""
        return [found.masks[position].mask(number) for number in range(len(rows[position]["objects"]))]

    def draw(position: int, image: Image.Image) -> bytes:
        own = masks(position) if has_masks else itertools.repeat(None)
        items = zip(rows[position]["objects"], own, strict=False)
        return with_boxes(image, [_labeled(item, classes, mask) for item, mask in items])

    def mask(position: int) -> bytes:
        return instances_png(masks(position), found.masks[position].size)

    crops = [
        (position, functools.partial(crop, corners=item["box"]))
        for position, row in enumerate(rows)
        for item in row["objects"]
    ]
    return Predicted(rows, draw, mask if has_masks else None, crops)


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


def _row(
    found: Detected, position: int, classes: Sequence[str], lowest: float, pixel_size: float | None
) -> dict[str, Any]:
    detections = found.detections
    own = range(int(detections.offsets[position]), int(detections.offsets[position + 1]))
    objects = [
        {
            "class": classes[detections.classes[i]],
            "score": float(detections.scores[i]),
            "box": detections.boxes[i].round(2).tolist(),
            **(_measured(found.masks[position], number, pixel_size) if found.has_masks else {}),
        }
        for number, i in enumerate(own)
        if detections.scores[i] >= lowest
    ]
    numbers = np.bincount([classes.index(item["class"]) for item in objects], minlength=len(classes))
    counts = {name: int(number) for name, number in zip(classes, numbers, strict=True) if number}
    return {"objects": objects, "counts": counts}


def _measured(masks: ImageMasks, number: int, pixel_size: float | None) -> dict[str, Any]:
    """What is reported of a mask."""
    pixels = int(masks.areas[number])
    area = {} if pixel_size is None else {"area": pixels * pixel_size**2}
    return {"pixels": pixels, **area, "segmentation": masks.encoded(number)}


def _labeled(item: Mapping[str, Any], classes: Sequence[str], mask: NDArray[np.uint8] | None) -> LabeledBox:
    color = LINE_COLORS[(classes.index(item["class"]) + 1) % len(LINE_COLORS)]  # the first is the usual one of boxes
    return LabeledBox(item["box"], f"{item['class']} {item['score']:.2f}", color, mask)
