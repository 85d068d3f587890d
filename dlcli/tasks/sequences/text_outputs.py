"""Which output of a network of texts is explained for each text, and what the files and the screen show of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.label_lists import BETWEEN
from dlcli.data.sequences.dataset import Sequences
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError
from dlcli.evaluation.multilabel import named_labels
from dlcli.recipe.load import TextRecipe
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.tasks.explanation import check_target, class_index

FOR_A_CLASS = "Red tokens speak for the class, blue ones against it; the values are log-odds."
FOR_A_LABEL = "Red tokens speak for the label, blue ones against it; the values are log-odds."
FOR_A_NUMBER = "Red tokens raise the number, blue ones lower it; the values are in its own unit."


@dataclass(frozen=True)
class TextOutputs:
    """What is explained of some texts.

    Attributes:
        choices: the position of an output for each text, int32 ``[n]``.
        columns: what explanations.csv has of each text.
        titles: what each text is called on the screen, after its name.
        meaning: of colors, for readers of the page.
    """

    choices: NDArray[np.int32]
    columns: Sequence[Mapping[str, Any]]
    titles: Sequence[str]
    meaning: str


def check_text_target(recipe: TextRecipe, target: str, classes: Sequence[str], *, has_labels: bool) -> None:
    """Refuse a target that ``--class`` names and that the task does not have.

    Raises:
        InputError: there is no such class, or texts have no label, or any number of labels.
    """
    if isinstance(recipe, TextRegression):
        return
    if isinstance(recipe, TextMultilabel) and target == "label":
        raise InputError("--class label: any number of labels may apply to a text. Name one, or leave the option out.")
    check_target(target, classes, has_labels=has_labels)


def text_outputs(
    recipe: TextRecipe,
    target: str,
    outputs: NDArray[np.float32],
    samples: Sequences,
    index: NDArray[np.int64],
    classes: Sequence[str],
) -> TextOutputs:
    """The output that is explained of each text: of a class or label, or the number.

    Args:
        target: a class or label, ``predicted`` for the most probable one, or ``label`` for the true one.
        outputs: logits or numbers of the texts that are explained ``[n, outputs]``.
        samples: of which they are some, with what is known of them.
        index: the position of each among these ``[n]``.
    """
    match recipe:
        case TextRegression():
            return _number(outputs, samples, index)
        case TextMultilabel():
            return _label(target, outputs, samples, index, classes)
        case _:
            return _class(target, outputs, samples.labels[index], classes)


def _class(target: str, logits: NDArray[np.float32], labels: NDArray[np.int32], classes: Sequence[str]) -> TextOutputs:
    chosen = labels if target == "label" else _chosen(target, logits, classes)
    probabilities = tf.nn.softmax(logits.astype(np.float64)).numpy()
    columns = [
        {
            "label": None if label == NO_LABEL else classes[label],
            "predicted": classes[row.argmax()],
            "class": classes[choice],
            "probability": float(row[choice]),
        }
        for label, choice, row in zip(labels, chosen, probabilities, strict=True)
    ]
    titles = []
    for row in columns:
        others = [f"{name} {row[name]}" for name in ("predicted", "label") if row[name] not in (None, row["class"])]
        titles.append(", ".join([f"{row['class']} {row['probability']:.2f}", *others]))
    return TextOutputs(chosen, columns, titles, FOR_A_CLASS)


def _label(
    target: str, logits: NDArray[np.float32], samples: Sequences, index: NDArray[np.int64], classes: Sequence[str]
) -> TextOutputs:
    chosen = _chosen(target, logits, classes)
    probabilities = tf.nn.sigmoid(logits.astype(np.float64)).numpy()
    known = [None] * len(index) if samples.applies is None else [samples.applies[i] == 1 for i in index]
    columns: list[dict[str, Any]] = [
        {
            "labels": None if own is None else BETWEEN.join(named_labels(own, classes)),
            "class": classes[choice],
            "probability": float(row[choice]),
        }
        for own, choice, row in zip(known, chosen, probabilities, strict=True)
    ]
    titles = [
        f"{row['class']} {row['probability']:.2f}" + (f", labels {row['labels'] or 'none'}" if own is not None else "")
        for row, own in zip(columns, known, strict=True)
    ]
    return TextOutputs(chosen, columns, titles, FOR_A_LABEL)


def _number(values: NDArray[np.float32], samples: Sequences, index: NDArray[np.int64]) -> TextOutputs:
    known = [None] * len(index) if samples.targets is None else [float(samples.targets[i]) for i in index]
    columns = [{"target": own, "predicted": float(row[0])} for own, row in zip(known, values, strict=True)]
    titles = [
        f"{row['predicted']:.5g}" + ("" if row["target"] is None else f", target {row['target']:.5g}")
        for row in columns
    ]
    return TextOutputs(np.zeros(len(index), np.int32), columns, titles, FOR_A_NUMBER)


def _chosen(target: str, logits: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.int32]:
    """The most probable output of each text, or the one that is named."""
    predicted: NDArray[np.int32] = logits.argmax(axis=1).astype(np.int32)
    return predicted if target == "predicted" else np.full(len(logits), class_index(target, classes), np.int32)
