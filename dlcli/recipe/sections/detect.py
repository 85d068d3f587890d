"""The ``evaluate.detect`` section: which of a network's many boxes are detections."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.language.fields import Count, PositiveProportion, Section


class Detect(Section):
    """How detections are chosen. It is a part of the saved model."""

    score: PositiveProportion = 0.05
    """Smallest score of a detection."""
    iou: PositiveProportion = 0.5
    """Intersection over union with a box of a higher score from which on greedy non-maximum suppression removes a
    box."""
    nms: Literal["greedy", "soft", "none"] = "greedy"
    """Non-maximum suppression: greedy removes boxes that overlap with one of a higher score, soft lowers their scores
    by a Gaussian of the overlap, none keeps all."""
    max_boxes: Count = 100
    """Largest number of detections in an image."""
    candidates: Count = 300
    """Number of boxes with the highest scores that enter non-maximum suppression; its time grows with their square."""
    class_agnostic: bool = False
    """Boxes remove or lower those of other classes too."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.candidates < self.max_boxes:
            yield (
                "candidates",
                f"must be at least max_boxes: {self.max_boxes}. Received {self.candidates}",
            )


class InstanceDetect(Detect):
    """How objects with masks are chosen. It is a part of the saved model, which predicts a mask for each of `max_boxes`
    boxes, whether or not an image has as many."""

    max_boxes: Count = 50
    """Largest number of objects in an image. Time and memory of prediction grow with it."""
