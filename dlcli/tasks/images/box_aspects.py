"""What is explained of localization: the logit of the class, and where each side of the box is."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.explanation.logits import chosen, open_network
from dlcli.explanation.network import Network, Tensor, open_model
from dlcli.tasks.images.aspects import (
    Aspect,
    Choose,
    Chosen,
    Explainable,
    asked_for,
    boxes_outlined,
    class_caption,
    class_choice,
    finite,
)
from dlcli.tasks.task import ExplanationRequest

SIDES = ("left", "top", "right", "bottom")
NAMES = ("class", *SIDES)
MARK = 40  # of the image's longer side: the thickness of a side that is marked


def explainable_boxes(model: keras.Model, request: ExplanationRequest, classes: Sequence[str]) -> Explainable:
    """The class and the four sides, or those of them that ``--target`` names.

    A side is explained before it is clipped to the image, in pixels of the network's input; where each class has its
    own box, the side of the class that is explained.

    Raises:
        InputError: there is no such target or class.
    """
    classifier = open_network(model, output="logits")
    opened = open_model(model)
    height, width = classifier.shape[:2]

    def score(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
        sides = ends[0] * tf.constant([width, height, width, height], tf.float32)
        return chosen(tf.reshape(sides, [tf.shape(sides)[0], -1]), targets)

    boxes = opened.network([opened.tensor("boxes")], score)
    of_class = class_choice(classifier, request, classes)
    aspects = [
        Aspect(classifier, _class(of_class, boxes), "class")
        if name == "class"
        else Aspect(boxes, _side(of_class, boxes, SIDES.index(name)), name)
        for name in asked_for(request, NAMES)
    ]
    return Explainable(
        aspects,
        shown=("target", "class", "probability", "value"),
        meaning="Red speaks for the class, or moves a side right or down; blue the opposite",
    )


def _class(of_class: Choose, boxes: Network) -> Choose:
    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        found = of_class(pixels, samples, rows)
        columns = [_columns(row, "class", row["logit"]) for row in found.columns]
        outlines = boxes_outlined(_predicted(boxes, pixels, found.targets), boxes.shape)
        return Chosen(found.targets, columns, [class_caption(row) for row in found.columns], outlines=outlines)

    return choose


def _side(of_class: Choose, boxes: Network, side: int) -> Choose:
    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        found = of_class(pixels, samples, rows)
        predicted = _predicted(boxes, pixels, found.targets)
        height, width, _ = boxes.shape
        values = predicted[:, side] * (width if side % 2 == 0 else height)
        has_one = len(boxes.ends[0].shape) == 2
        targets = side + (0 if has_one else 4 * found.targets)
        columns = [
            _columns(row, SIDES[side], float(value)) | {"probability": None}
            for row, value in zip(found.columns, values, strict=True)
        ]
        marks = predicted.clip(0, 1)
        thick = max(1.0, max(height, width) / MARK) / (width if side % 2 == 0 else height)
        marks[:, [side % 2, side % 2 + 2]] = (marks[:, side] - thick / 2)[:, None] + [0, thick]
        captions = [f"{SIDES[side]} at {value:.1f} px" for value in values]
        outlines = boxes_outlined(marks, boxes.shape)
        return Chosen(np.broadcast_to(targets, len(rows)).astype(np.int32), columns, captions, outlines=outlines)

    return choose


def _predicted(boxes: Network, pixels: NDArray[np.float32], classes: NDArray[np.int32]) -> NDArray[np.float32]:
    """The predicted box of each image rel_xyxy ``[b, 4]``, that of its class where each has its own."""
    values = finite(np.asarray(boxes.end_values(pixels)[0]))
    found: NDArray[np.float32] = values if values.ndim == 2 else values[np.arange(len(values)), classes]
    return found


def _columns(row: Any, target: str, value: float) -> dict[str, Any]:
    kept = {name: row[name] for name in ("label", "predicted")}
    return kept | {"target": target, "class": row["class"], "probability": row["probability"], "value": value}
