"""The baselines beside the evaluation of texts and of sequences of numbers, fitted on the training split."""

from typing import Any

import numpy as np

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.splits import evenly_spaced
from dlcli.evaluation import series_baseline
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.text_baseline import tf_idf_predictions
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.runtime.console import Console

MAX_STEPS = 2**20  # of evaluated sequences; more would take minutes
MAX_TRAINED_STEPS = 2**19  # of training sequences; of more, some are taken


def class_baseline(
    recipe: TextClassification | SequenceClassification,
    train: Sequences,
    samples: Sequences,
    accuracy: float,
    *,
    num_classes: int,
    console: Console,
) -> dict[str, float]:
    """``baseline_accuracy``: of logistic regression on TF-IDF features of texts, or of ridge regression on random
    convolutions of sequences of numbers; empty if it would take too long. Says so if the ``accuracy`` is no better."""
    if num_classes > MANY_CLASSES:
        console.say(f"the baseline is not computed for more than {MANY_CLASSES} classes")
        return {}
    if isinstance(recipe, TextClassification):
        assert train.texts is not None
        assert samples.texts is not None
        name = "logistic regression on TF-IDF features"
        predicted = tf_idf_predictions(train.texts, train.labels, samples.texts, unit=recipe.text.unit)
    else:
        name = "ridge regression on random convolutions"
        chosen = _chosen(train, samples, console)
        if chosen is None:
            return {}
        predicted = series_baseline.predict_classes(_steps(train, chosen), train.labels[chosen], _steps(samples))
    found = float(np.mean(predicted == samples.labels))
    if accuracy <= found:
        console.say(f"no better than the baseline, {name} (baseline_accuracy)")
    return {"baseline_accuracy": found}


def number_baseline(train: Sequences, samples: Sequences, mae: float, *, console: Console) -> dict[str, float]:
    """``ridge_mae`` and ``ridge_rmse``, the errors of ridge regression on random convolutions of sequences of numbers;
    empty if it would take too long. Says so if the ``mae`` is no better."""
    chosen = _chosen(train, samples, console)
    if chosen is None:
        return {}
    assert train.targets is not None
    assert samples.targets is not None
    predicted = series_baseline.predict_numbers(_steps(train, chosen), train.targets[chosen], _steps(samples))
    errors = predicted - samples.targets
    found = {"ridge_mae": float(np.mean(np.abs(errors))), "ridge_rmse": float(np.mean(errors**2)) ** 0.5}
    if mae >= found["ridge_mae"]:
        console.say("no better than ridge regression on random convolutions (ridge_mae)")
    return found


def _chosen(train: Sequences, samples: Sequences, console: Console) -> np.ndarray | None:
    """The positions of the training sequences that the regression is fitted on; None if it would take too long."""
    assert train.values is not None
    assert samples.values is not None
    if samples.values.lengths.sum() > MAX_STEPS:
        console.say(f"ridge regression as a baseline is not computed for more than {MAX_STEPS:,} steps")
        return None
    number = int(len(train) * min(1.0, MAX_TRAINED_STEPS / train.values.lengths.sum()))
    return evenly_spaced(len(train), max(2, number))


def _steps(samples: Sequences, chosen: np.ndarray | None = None) -> list[Any]:
    """The steps of each sequence ``[steps, channels]``."""
    values = samples.values
    assert values is not None
    part = values if chosen is None else values.take(chosen)
    return np.split(part.flat, np.cumsum(part.lengths)[:-1])
