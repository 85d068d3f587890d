"""Shared by tasks with any number of labels for each sample: thresholds, the loss, evaluation files, predictions.

Labels are float64 ``[n, l]``: 1 where one applies, 0 where it does not, NaN where that is unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.label_lists import BETWEEN
from dlcli.errors import InputError
from dlcli.evaluation import multilabel, one_against_rest
from dlcli.recipe.sections.target_train import LabelTrain
from dlcli.report.plots import classification as curve_plots
from dlcli.report.plots.class_scores import class_scores
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.checks import weights_of_positives
from dlcli.tasks.inspection import Finding, some
from dlcli.tasks.losses import label_loss_arguments
from dlcli.training.objectives import multilabel as objectives
from dlcli.training.objectives.objective import Objective

Labels = NDArray[np.float64]

MAX_REPORTED = 20  # labels whose numbers are printed before training
NO_CURVES = 100  # labels above which no curves are drawn
NOTHING_TO_LEARN = "no label applies to some {} of train and not to others: there is nothing to learn"


# Before training ------------------------------------------------------------------------------------------------------


def constant_labels(applies: Labels, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that apply to no sample as far as is known, and those that apply to all."""
    never, not_absent = ~(applies == 1).any(axis=0), ~(applies == 0).any(axis=0)
    found = np.array(names, object)
    return tuple(found[never]), tuple(found[not_absent & ~never])


def constant_lines(applies: Labels, names: Sequence[str], split: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """A line on the labels of a split that never apply, and one on those that always do, with the labels."""
    found = {}
    for named, when in zip(constant_labels(applies, names), ("never", "always"), strict=True):
        if named:
            apply = "label of {} {} applies" if len(named) == 1 else "labels of {} {} apply"
            found[when] = (f"{split}: {len(named)} {apply.format(len(names), when)}: {some(named)}", named)
    return found


def nothing_to_learn(applies: Labels, names: Sequence[str], *, samples: str) -> str | None:
    """The reason why labels of the training split cannot be learned, if each is constant; ``samples``: images."""
    never, always = constant_labels(applies, names)
    return NOTHING_TO_LEARN.format(samples) if len(never) + len(always) == len(names) else None


def label_findings(splits: Mapping[str, Labels], names: tuple[str, ...], *, samples: str) -> Iterator[Finding]:
    """Findings about labels that cannot be learned, or not be measured.

    Args:
        splits: the labels of each split.
        samples: what they are: images, texts.
    """
    for split, applies in splits.items():
        reason = nothing_to_learn(applies, names, samples=samples) if split == "train" else None
        if reason is not None:
            yield Finding("constant labels", True, f"{reason}. Training refuses it", names)
        for when, (text, named) in constant_lines(applies, names, split).items():
            yield Finding(f"label {when} applies", False, text, named)


def counts_line(applies: Labels, names: Sequence[str]) -> list[str]:
    """A line with the number of training samples to which each label applies; none for many labels."""
    if len(names) > MAX_REPORTED:
        return []
    numbers = (applies == 1).sum(axis=0).tolist()
    return ["train: " + ", ".join(f"{name} {number:,}" for name, number in zip(names, numbers, strict=True))]


def frequencies_of(applies: Labels) -> list[float]:
    """The proportion of the samples to which each label applies, of those of which it is known."""
    found: list[float] = ((applies == 1).sum(axis=0) / np.maximum((~np.isnan(applies)).sum(axis=0), 1)).tolist()
    return found


def label_objective(
    train: LabelTrain, names: Sequence[str], *, applies: Labels | None = None, exact: bool = False
) -> Objective:
    """The objective of training, or of evaluation.

    Args:
        train: the recipe's ``train`` section.
        applies: of the training split, for the weights of positives in training; None for evaluation.
        exact: as in :func:`dlcli.tasks.losses.label_loss_arguments`.
    """
    weights = None
    if applies is not None:
        positives, known = (applies == 1).sum(axis=0), (~np.isnan(applies)).sum(axis=0)
        weights = weights_of_positives(train, positives, known, names)
    arguments = label_loss_arguments(train, exact=exact)
    return objectives.multilabel(num_labels=len(names), positive_weights=weights, **arguments)


# Thresholds -----------------------------------------------------------------------------------------------------------


def choose_thresholds(
    run: RunDir, names: Sequence[str], applies: Labels | None, scores: NDArray[np.float32] | None, console: Console
) -> list[float]:
    """Choose the threshold of each label on the validation split, and write thresholds.json.

    Args:
        applies, scores: of the validation split; None without one.
    """
    if applies is None or scores is None:
        thresholds = [multilabel.DEFAULT_THRESHOLD] * len(names)
        console.say("without a validation split, each label is predicted from a probability of 0.5 on")
    else:
        thresholds = multilabel.choose_thresholds(applies, scores).tolist()
    replace_json(run.thresholds, {"thresholds": dict(zip(names, thresholds, strict=True))})
    return thresholds


def read_thresholds(run: RunDir, names: Sequence[str]) -> list[float] | None:
    """The thresholds that were chosen at the end of training, in the order of the outputs; None before that.

    Raises:
        InputError: thresholds.json is missing or corrupt.
    """
    if run.status() != "completed":
        return None
    found = read_json(run.thresholds).get("thresholds")
    values: Any = [found.get(name) for name in names] if isinstance(found, dict) else None
    if values is None or not are_proportions(values, len(names)):
        raise InputError(
            f"{run.thresholds}: is corrupt: it must have a threshold in [0, 1] for each label. Restore it from a copy."
        )
    return list(values)


def are_proportions(values: Any, number: int) -> bool:
    """Whether it is a list of so many numbers in [0, 1]."""
    is_list = isinstance(values, list) and len(values) == number
    return is_list and all(isinstance(value, float) and 0 <= value <= 1 for value in values)


def check_frequencies(run: RunDir, frequencies: Any, number: int) -> None:
    """Refuse what run.json records of the labels' frequencies if it is corrupt.

    Raises:
        InputError: it is.
    """
    if not are_proportions(frequencies, number):
        raise InputError(
            f"{run.info}: is corrupt: data.frequencies must be a number in [0, 1] for each of {number} labels. "
            "Restore it from a copy."
        )


def usable_thresholds(chosen: Sequence[float] | None, number: int, console: Console) -> NDArray[np.float64]:
    """The thresholds of the labels; 0.5, which is reported, before they are chosen."""
    if chosen is None:
        console.say("the thresholds of the labels are chosen at the end of training; until then they are 0.5")
        return np.full(number, multilabel.DEFAULT_THRESHOLD)
    return np.array(chosen, np.float64)


# Evaluation and prediction --------------------------------------------------------------------------------------------


def mean_loss(objective: Objective, logits: NDArray[np.float32], applies: Labels) -> float:
    """The mean loss over all known labels of all samples."""
    batch = {"y": {"labels": tf.constant(applies, tf.float32)}, "weight": tf.ones(len(applies))}
    losses = objective.loss(tf.constant(logits), batch).numpy().astype(np.float64)
    weights = objectives.label_weight(batch).numpy()
    return float((losses * weights).sum() / max(1.0, weights.sum()))


def report_labels(metrics: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Say which labels are never predicted, and whether they are predicted better than always."""
    missed = [row["label"] for row in per_label if row["support"] and not row["predicted"]]
    if missed:
        console.say(
            f"{'label' if len(missed) == 1 else 'labels'} never predicted: {some(missed)}; see train.positive_weights"
        )
    if metrics["macro_f1"] <= metrics["baseline_macro_f1"]:
        console.say("no better than always predicting every label (baseline_macro_f1)")


def label_plots(
    per_label: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    applies: Labels,
    scores: NDArray[np.float32],
    names: Sequence[str],
) -> dict[str, bytes]:
    """per_label.png, and precision_recall.png of the labels that apply to some samples and not to others."""
    bars = class_scores(
        [row["label"] for row in per_label],
        [row["f1"] for row in per_label],
        measure="F1",
        baseline=[row["baseline_f1"] for row in per_label],
        baseline_name="always predicted",
        mean=metrics["macro_f1"],
    )
    curves = []
    for name, own, values in zip(names, applies.T, scores.T, strict=True):
        is_known = ~np.isnan(own)
        curve = one_against_rest.curve(own[is_known] == 1, values[is_known])
        if curve is not None:
            x, y = curve.true_positive_rate[1:], curve.precision
            curves.append(curve_plots.ClassCurve(name, x, y, curve.average_precision))
    if not curves or len(names) > NO_CURVES:
        return {"per_label.png": bars}
    return {"per_label.png": bars, "precision_recall.png": curve_plots.precision_recall(curves)}


def label_row(scores: NDArray[np.float32], is_predicted: NDArray[np.bool_], names: Sequence[str]) -> dict[str, Any]:
    """The prediction for one sample: all labels, the most probable ones first."""
    order = np.argsort(-scores, kind="stable")
    labels = [{"label": names[i], "probability": float(scores[i]), "predicted": bool(is_predicted[i])} for i in order]
    return {"predicted": [row["label"] for row in labels if row["predicted"]], "labels": labels}


def prediction_table(
    columns: Mapping[str, Sequence[str]],
    scores: NDArray[np.float32],
    is_predicted: NDArray[np.bool_],
    names: Sequence[str],
) -> tuple[list[str], Iterator[list[Any]]]:
    """The header and the rows of a file of predictions.

    Args:
        columns: those that identify a sample.
    """
    header = [*columns, "predicted", *(f"p_{name}" for name in names)]
    rows = (
        [
            *(values[i] for values in columns.values()),
            BETWEEN.join(multilabel.named_labels(found, names)),
            *map(float, row),
        ]
        for i, (found, row) in enumerate(zip(is_predicted, scores, strict=True))
    )
    return header, rows
