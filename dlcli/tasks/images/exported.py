"""What the heads of the tasks on images say about an exported model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from dlcli.exporting.comparison import Arrays, Comparison, compare_objects, compare_outputs
from dlcli.tasks.exported_model import LABELS, SHOW_CLASSES, SHOW_LABELS, Tensor, named, with_logits

Compare = Callable[[Sequence[Arrays], Sequence[Arrays]], Comparison]
LEAST_SCORE = 0.05  # of objects that are compared


@dataclass(frozen=True)
class ExportedHead:
    """The outputs of an exported model on images.

    Attributes:
        outputs: what each output is, by name.
        compare: compares the outputs of all batches, those of the Keras model first.
        stand_in: the outputs that evaluation reads, from those of the exported model.
        show: the lines of an example client that print ``outputs``.
        name: of the output of a model that has only one.
        not_measured: metrics of an evaluation that need more than the exported outputs.
        info: further facts for export.json.
    """

    outputs: Mapping[str, str]
    compare: Compare
    stand_in: Callable[[keras.Model, dict[str, Tensor]], Any]
    show: Sequence[str]
    name: str = "probabilities"
    not_measured: Sequence[str] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


def exported_classes() -> ExportedHead:
    """One class for each image."""
    return ExportedHead(
        outputs={"probabilities": "of the classes, in the order of labels.json"},
        compare=lambda ours, theirs: compare_outputs(ours, theirs, decided="probabilities"),
        stand_in=lambda model, outputs: with_logits(outputs["probabilities"]),
        show=SHOW_CLASSES,
    )


def exported_labels(thresholds: Sequence[float] | None) -> ExportedHead:
    """Any number of labels for each image.

    Args:
        thresholds: the probability from which on each label is predicted; None for 0.5.
    """
    return ExportedHead(
        outputs={"probabilities": "of each label by itself, in the order of labels.json"},
        compare=lambda ours, theirs: compare_outputs(
            ours, theirs, decided="probabilities", decision="labels", noun="labels"
        ),
        stand_in=lambda model, outputs: with_logits(outputs["probabilities"], kind="sigmoid"),
        show=SHOW_LABELS,
        info={"thresholds": thresholds},
    )


def exported_numbers() -> ExportedHead:
    """One number or several for each image."""
    return ExportedHead(
        outputs={"value": "the numbers, in their own units and in the order of labels.json"},
        compare=compare_outputs,
        stand_in=lambda model, outputs: keras.layers.Identity(name="value")(outputs["value"]),
        show=[
            LABELS,
            'for label, value in zip(labels, outputs["value"].ravel()):',
            '    print(f"{label}: {value:.5g}")',
        ],
        name="value",
    )


def exported_box() -> ExportedHead:
    """A class and a box for each image."""
    return ExportedHead(
        outputs={
            "probabilities": "of the classes, in the order of labels.json",
            "box": "left, top, right, bottom as fractions of the resized image's width and height",
        },
        compare=lambda ours, theirs: compare_outputs(ours, theirs, decided="probabilities"),
        stand_in=_box_stand_in,
        show=[
            LABELS,
            'best = outputs["probabilities"][0].argmax()',
            """print(labels[best], f"{outputs['probabilities'][0][best]:.4f}", "box", outputs["box"][0].tolist())""",
        ],
        not_measured=("loss",),  # of a box head's raw outputs
    )


def _box_stand_in(model: keras.Model, outputs: dict[str, Tensor]) -> Any:
    box = keras.layers.Identity(name="box")(outputs["box"])
    return {
        "probabilities": with_logits(outputs["probabilities"]),
        "box": box,
        "boxes": model.get_layer("boxes").output,
    }


def exported_masks() -> ExportedHead:
    """A class for each pixel."""
    return ExportedHead(
        outputs={
            "probabilities": "of the classes of each pixel of the resized image, in the order of labels.json",
            "classes": "the most probable class of each pixel, as its position in labels.json",
        },
        compare=_compare_masks,
        stand_in=lambda model, outputs: named(outputs),
        show=[
            LABELS,
            'classes = outputs["classes"][0]',
            "for i, label in enumerate(labels):",
            '    print(f"{(classes == i).mean():.1%} of the pixels: {label}")',
        ],
    )


def _compare_masks(ours: Sequence[Arrays], theirs: Sequence[Arrays]) -> Comparison:
    parts = [[{"probabilities": batch["probabilities"]} for batch in batches] for batches in (ours, theirs)]
    return compare_outputs(*parts, decided="probabilities", noun="class of pixels")


def exported_objects(threshold: float, *, has_masks: bool) -> ExportedHead:
    """Any number of objects in each image; the exported model holds decoding and non-maximum suppression.

    Args:
        threshold: the score from which on objects count.
        has_masks: whether objects also have masks.
    """
    outputs = {
        "boxes": "left, top, right, bottom as fractions of the resized image, after non-maximum suppression",
        "scores": "in falling order, 0 where there is no object",
        "classes": "positions in labels.json, -1 where there is no object",
        "count": "number of objects",
    }
    if has_masks:
        outputs["masks"] = "the probability of the object at each cell of a grid over its box"
    return ExportedHead(
        outputs=outputs,
        compare=lambda ours, theirs: compare_objects(ours, theirs, score=min(threshold, LEAST_SCORE)),
        stand_in=lambda model, found: named(found),
        show=[
            LABELS,
            'threshold = json.loads((here / "export.json").read_text(encoding="utf-8"))["threshold"]',
            'for box, score, i in zip(outputs["boxes"][0], outputs["scores"][0], outputs["classes"][0]):',
            "    if score >= threshold:",
            '        print(f"{score:.4f}  {labels[i]}  {box.round(4).tolist()}")',
        ],
        info={"threshold": threshold},
    )
