"""Evaluates the labels of texts: thresholds chosen on validation, metrics beside baselines, and the worst mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.label_lists import BETWEEN
from dlcli.data.sequences.dataset import Sequences
from dlcli.evaluation import multilabel
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.sequences.baselines import label_baseline
from dlcli.tasks.sequences.outputs import MAX_SHOWN, NUM_MISTAKES, label_scores, predict_samples
from dlcli.tasks.several_labels import (
    choose_thresholds,
    label_objective,
    label_plots,
    mean_loss,
    report_labels,
    usable_thresholds,
)


def fit_thresholds(
    run: RunDir,
    model: keras.Model,
    recipe: TextMultilabel,
    names: Sequence[str],
    validation: Sequences | None,
    *,
    console: Console,
) -> list[float]:
    """Choose the threshold of each label on the validation split, and write thresholds.json."""
    if validation is None:
        return choose_thresholds(run, names, None, None, console)
    _, scores = _scores(model, validation, recipe, console)
    return choose_thresholds(run, names, validation.applies, scores, console)


def _scores(
    model: keras.Model, samples: Sequences, recipe: TextMultilabel, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    return label_scores(predict_samples(model, samples, batch_size=recipe.train.batch_size, console=console))


def evaluate_labels(
    to: Destination,
    model: keras.Model,
    samples: Sequences,
    *,
    info: Mapping[str, Any],
    recipe: TextMultilabel,
    train: Sequences | None,
    validation: Sequences | None,
    console: Console,
) -> dict[str, Any]:
    """As :func:`dlcli.tasks.sequences.evaluation.evaluate_split`, for labels; also writes per_label.csv."""
    names, applies = info["classes"], samples.applies
    assert applies is not None
    logits, scores = _scores(model, samples, recipe, console)
    thresholds = usable_thresholds(info["thresholds"], len(names), console)
    metrics = multilabel.metrics(
        *(applies, scores, thresholds, names),
        loss=mean_loss(label_objective(recipe.train, names), logits, applies),
        frequencies=np.array(info["frequencies"]),
    )
    per_label = multilabel.per_label(applies, scores, thresholds, names)
    report_labels(metrics, per_label, console)
    if train is not None:
        metrics |= label_baseline(recipe, train, validation, samples, metrics, console=console)
    predictions = multilabel.predictions(samples.names, applies, scores, thresholds, names, between=BETWEEN)
    texts = samples.texts or ()
    write_evaluation(
        to,
        metrics,
        tables={
            "per_label.csv": per_label,
            "predictions.csv": (row | {"text": text} for row, text in zip(predictions, texts, strict=True)),
        },
        others={
            **label_plots(per_label, metrics, applies, scores, names),
            "mistakes.txt": _mistakes(samples, multilabel.predicted_labels(scores, thresholds), names),
        },
    )
    return metrics


def _mistakes(samples: Sequences, is_predicted: NDArray[np.bool_], names: Sequence[str]) -> str:
    """The texts with the most wrong labels, one per line."""
    applies, texts = samples.applies, samples.texts
    assert applies is not None
    assert texts is not None
    num_wrong = (~np.isnan(applies) & (is_predicted != (applies == 1))).sum(axis=1)
    worst = np.argsort(-num_wrong, kind="stable")[:NUM_MISTAKES]
    lines = []
    for i in worst[num_wrong[worst] > 0]:
        predicted, true = (
            ", ".join(multilabel.named_labels(row, names)) or "none" for row in (is_predicted[i], applies[i] == 1)
        )
        lines.append(f"{predicted}, is {true}: {samples.names[i]}: {printable(texts[i])[:MAX_SHOWN]}\n")
    return "".join(lines) or "none\n"
