"""The baseline of detection: fixed boxes, computed from the training split once, and recorded in run.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.objects import ObjectBoxes
from dlcli.errors import InputError
from dlcli.evaluation.detection.fixed_boxes import FixedBoxes, fixed_boxes

DIGITS = 6  # after the decimal point, of recorded boxes and scores


def baseline_of(objects: ObjectBoxes, num_classes: int) -> FixedBoxes:
    """The best fixed boxes for the objects of a training split, relative to the images' frames."""
    is_counted = objects.is_trained
    owners = objects.owners[is_counted]
    relative = objects.corners[is_counted] / np.tile(frame_sizes(objects.frames), (1, 2))[owners]
    found = fixed_boxes(relative, objects.labels[is_counted], owners, num_images=len(objects), num_classes=num_classes)
    return FixedBoxes(found.boxes.round(DIGITS), found.scores.round(DIGITS), found.classes)


def frame_sizes(frames: tuple[Frame, ...]) -> np.ndarray:
    """Widths and heights ``[n, 2]``."""
    return np.array([[frame.width, frame.height] for frame in frames], np.float64).reshape(-1, 2)


def to_dict(baseline: FixedBoxes) -> dict[str, Any]:
    """Plain values, for run.json."""
    return {
        "boxes": baseline.boxes.tolist(),
        "scores": baseline.scores.tolist(),
        "classes": baseline.classes.tolist(),
        **({} if baseline.shapes is None else {"shapes": [_to_text(shape) for shape in baseline.shapes]}),
    }


def from_dict(values: Mapping[str, Any], *, num_classes: int, place: Path, has_masks: bool = False) -> FixedBoxes:
    """The baseline that a run has recorded.

    Args:
        has_masks: whether it must have shapes.
        place: the file that records it, for messages.

    Raises:
        InputError: it is corrupt.
    """
    try:
        boxes = np.asarray(values["boxes"], np.float64).reshape(-1, 4)
        scores = np.asarray(values["scores"], np.float64)
        classes = np.asarray(values["classes"], np.int32)
        shapes = np.stack([_from_text(text) for text in values["shapes"]]) if has_masks else None
        is_sound = (
            scores.shape == classes.shape == (len(boxes),)
            and bool(((classes >= 0) & (classes < num_classes)).all())
            and bool(np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all())
            and bool(((scores >= 0) & (scores <= 1)).all())
            and (shapes is None or len(shapes) == num_classes)
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        is_sound = False
    if not is_sound:
        raise InputError(f"{place}: is corrupt: the baseline is not fixed boxes of {num_classes} classes. Restore it.")
    return FixedBoxes(boxes, scores, classes, shapes)


def _to_text(shape: NDArray[np.bool_]) -> list[str]:
    """A line for each row, which a reader of run.json can see: # inside, . outside."""
    return ["".join("#" if inside else "." for inside in row) for row in shape]


def _from_text(rows: list[str]) -> NDArray[np.bool_]:
    return np.array([[character == "#" for character in row] for row in rows]).reshape(len(rows), len(rows))
