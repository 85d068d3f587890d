"""A saved detector's layers with outputs from a table: the detections of the image whose pixels have the value i are
those of row i."""

from dataclasses import dataclass

import keras
import numpy as np

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.objects import NAME, ObjectBoxes
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import NO_LABEL, Samples
from dlcli.evaluation.detection.suppression import greedy_nms
from dlcli.recipe.sections.detect import Detect

SIDE = 16  # of the network's input
CLASSES = ("cat", "dog", "bird")
DETECT = Detect(score=0.1, iou=0.5, max_boxes=4, candidates=6)


def detector_of(
    candidates: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    final: np.ndarray | None = None,
    masks: np.ndarray | None = None,
) -> keras.Model:
    """A model with these candidates, in descending order of scores, and what greedy suppression leaves of them.

    Args:
        candidates: rel_xyxy ``[n, k, 4]``.
        scores, classes: ``[n, k]``.
        final: positions of the candidates that are kept ``[n, max_boxes]``, -1 where there is none; None for those that
            exact suppression keeps.
        masks: of the candidates ``[n, k, side, side]``; None for a model of boxes alone.
    """
    if final is None:
        final = np.full((len(scores), DETECT.max_boxes), -1)
        keys = {"score": DETECT.score, "iou": DETECT.iou, "max_boxes": DETECT.max_boxes}
        for row, of_image in zip(final, zip(candidates, scores, classes, strict=True), strict=True):
            kept = greedy_nms(*of_image, **keys)
            row[: len(kept)] = kept
    rows = np.arange(len(scores))[:, None]
    is_box = final >= 0
    table = {
        "boxes": np.where(is_box[..., None], candidates[rows, final], 0).astype("float32"),
        "scores": np.where(is_box, scores[rows, final], 0).astype("float32"),
        "classes": np.where(is_box, classes[rows, final], -1).astype("int32"),
        "count": is_box.sum(axis=1).astype("int32"),
        "candidate_boxes": candidates.astype("float32"),
        "candidate_scores": scores.astype("float32"),
        "candidate_classes": classes.astype("int32"),
    }
    if masks is not None:
        table["masks"] = np.where(is_box[..., None, None], masks[rows, final], 0.5).astype("float32")
    inputs = keras.Input((SIDE, SIDE, 3))
    index = keras.ops.cast(keras.ops.round(keras.ops.mean(inputs, axis=(1, 2, 3))), "int32")
    outputs = {}
    for name, values in table.items():
        row = keras.ops.take(keras.ops.array(values), index, axis=0)
        outputs[name] = keras.layers.Identity(name=name, dtype=str(values.dtype))(row)
    return keras.Model(inputs, outputs)


@dataclass(frozen=True)
class GivenMasks:
    """Masks ``[m, height, width]`` of the objects of an image."""

    masks: np.ndarray
    digest: str = ""

    def read(self) -> np.ndarray:
        return self.masks


def samples_of(
    objects: list[list[tuple[float, ...]]],
    sizes: list[tuple[int, int]],
    masks: list[np.ndarray] | None = None,
    **marks: np.ndarray,
) -> Samples:
    """Images whose pixels have the value of their position.

    Args:
        objects: of each image: xmin, ymin, xmax, ymax in pixels, and class.
        sizes: width and height of each image.
        masks: of the objects of each image ``[m, height, width]``.
    """
    flat = np.array([row for of_image in objects for row in of_image], np.float64).reshape(-1, 5)
    corners = flat[:, :4]
    annotation = ObjectBoxes(
        corners=corners,
        labels=flat[:, 4].astype(np.int32),
        is_crowd=marks.get("is_crowd", np.zeros(len(flat), bool)),
        is_difficult=marks.get("is_difficult", np.zeros(len(flat), bool)),
        areas=(corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        if masks is None
        else np.concatenate([of_image.sum(axis=(1, 2)) for of_image in masks]).astype(np.float64),
        offsets=np.cumsum([0, *map(len, objects)]),
        frames=tuple(Frame(*size) for size in sizes),
        instances=None if masks is None else tuple(map(GivenMasks, masks)),
    )
    num = len(objects)
    return Samples(
        names=tuple(f"{i}.png" for i in range(num)),
        labels=np.full(num, NO_LABEL, np.int32),
        digests=tuple(f"{i:016x}" for i in range(num)),
        groups=None,
        policy=ImagePolicy((SIDE, SIDE), "rgb", "stretch", "bilinear", antialias=True),
        pixels=np.broadcast_to(np.arange(num, dtype=np.uint8)[:, None, None, None], (num, SIDE, SIDE, 3)),
        annotations={NAME: annotation},
    )
