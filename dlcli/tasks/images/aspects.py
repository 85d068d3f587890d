"""What is explained of an image: a class, a side of a box, a number, a class over its mask, an object.

Each is one number of an image, and a head says which ones its task has: nothing else of an explanation depends on the
task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError
from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.method import Targets
from dlcli.explanation.network import Network, NotExplainable
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.tasks.explanation import MOST_NAMED, check_target, class_index
from dlcli.tasks.task import ExplanationRequest

PREDICTED, LABEL = "predicted", "label"


@dataclass(frozen=True)
class Chosen:
    """What is explained of each of some images.

    Attributes:
        targets: as the network takes them, ``[b, ...]``.
        columns: of explanations.csv, plain values for each image under the same names.
        captions: a few words for each image, for plots.
        exists: whether an image has what is explained, such as an object, bool ``[b]``; None if all have it.
        outlines: what is marked in plots, bool ``[b, height, width]``; None for nothing.
        amounts: how much an image has of it ``[b]``, by which one of its tiles is chosen; None where none are cut.
    """

    targets: Targets
    columns: Sequence[Mapping[str, Any]]
    captions: Sequence[str]
    exists: NDArray[np.bool_] | None = None
    outlines: NDArray[np.bool_] | None = None
    amounts: NDArray[Any] | None = None


Choose = Callable[[NDArray[np.float32], Samples, NDArray[np.int64]], Chosen]
"""(pixels ``[b, height, width, channels]`` in [0, 255], the samples, their positions ``[b]``) -> what is explained."""


@dataclass(frozen=True)
class Aspect:
    """One thing that is explained of every image.

    Attributes:
        network: whose score it is.
        choose: says what it is in each image, as it is, before a method changes the image.
        name: beside that of a method, where a task has several aspects, such as ``left``; empty for one.
        layer: whose maps Grad-CAM weights unless another is named; None for the last layer before the score that has
            feature maps.
    """

    network: Network
    choose: Choose
    name: str = ""
    layer: str | None = None

    def label(self, method: str) -> str:
        """The name of a method for this aspect."""
        return f"{method} {self.name}".strip()


@dataclass(frozen=True)
class Explainable:
    """What a run's network has to explain.

    Attributes:
        aspects: at least one; their networks share their layers.
        shown: the columns of explanations.csv that are printed, before those of the methods.
        meaning: of the colors of a map, in a sentence.
        missing: why an image without any of the aspects is skipped.
    """

    aspects: Sequence[Aspect]
    shown: Sequence[str] = ("class", "probability")
    meaning: str = "Red speaks for the class, blue against it"
    missing: str = ""


def of_classifier(model: keras.Model, request: ExplanationRequest, classes: Sequence[str]) -> Explainable:
    """The logit of a class, by which a classifier decides.

    Raises:
        InputError: there is no such class, or the labels are asked for and not known.
    """
    network = open_network(model)
    return Explainable([Aspect(network, class_choice(network, request, classes))])


def class_choice(network: Classifier, request: ExplanationRequest, classes: Sequence[str]) -> Choose:
    """The class that is asked for: by name, the most probable one, or the label.

    Raises:
        InputError: there is no such class, or the labels are asked for and not known.
    """
    asked = request.target
    check_target(asked, classes, has_labels=not request.paths)
    index = None if asked in (PREDICTED, LABEL) else class_index(asked, classes)

    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        logits, labels = finite(np.asarray(network(pixels))), samples.labels[rows]
        probabilities, predicted = np.asarray(network.probabilities(logits)), logits.argmax(axis=1)
        if asked == LABEL and (labels == NO_LABEL).any():
            raise InputError("--class label: the images have no label, or several. Name a class.")
        targets = labels if asked == LABEL else predicted if index is None else np.full(len(rows), index)
        columns = [
            {
                "label": None if label == NO_LABEL else classes[label],
                "predicted": classes[predicted[row]],
                "class": classes[targets[row]],
                "probability": float(probabilities[row, targets[row]]),
                "logit": float(logits[row, targets[row]]),
            }
            for row, label in enumerate(labels)
        ]
        return Chosen(targets.astype(np.int32), columns, list(map(class_caption, columns)))

    return choose


def class_caption(row: Mapping[str, Any]) -> str:
    """The class that is explained, and the others if they differ."""
    return (
        f"{row['class']} {row['probability']:.2f}"
        + ("" if row["class"] == row["predicted"] else f"\npredicted {row['predicted']}")
        + ("" if row["label"] in (None, row["predicted"]) else f"\nlabel {row['label']}")
    )


def refuse_label(request: ExplanationRequest, reason: str) -> None:
    """Refuse ``--class label`` for a task whose images have no single label.

    Raises:
        InputError: it is asked for.
    """
    if request.target == LABEL:
        raise InputError(f"--class label: {reason}. Name a class.")


def asked_for(request: ExplanationRequest, names: Sequence[str]) -> list[str]:
    """The aspects that ``--target`` names, each once and in their order; all of them if it names none.

    Raises:
        InputError: there is no such aspect.
    """
    for name in request.outputs:
        if name not in names:
            hint = did_you_mean(name, names) or f"; it has {', '.join(names[:MOST_NAMED])}."
            raise InputError(f"--target {name}: not an output of the network{hint}")
    return [name for name in names if name in request.outputs or not request.outputs]


def finite(values: NDArray[Any]) -> NDArray[Any]:
    """The outputs of a network, as they are.

    Raises:
        NotExplainable: they are not all finite.
    """
    if not np.isfinite(values).all():
        raise NotExplainable("its outputs must be finite to be explained. Received NaN or infinity.")
    return values


def boxes_outlined(boxes: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The pixels in boxes rel_xyxy ``[b, 4]``, bool ``[b, height, width]``; at least one of each box."""
    height, width, _ = shape
    outlines = np.zeros((len(boxes), height, width), bool)
    for outline, (left, top, right, bottom) in zip(outlines, np.clip(boxes, 0, 1), strict=True):
        first_row, first_column = min(round(top * height), height - 1), min(round(left * width), width - 1)
        last_row, last_column = max(round(bottom * height), first_row + 1), max(round(right * width), first_column + 1)
        outline[first_row:last_row, first_column:last_column] = True
    return outlines
