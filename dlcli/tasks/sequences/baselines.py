"""The baselines beside the evaluation of texts and of sequences of numbers, fitted on the training split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.splits import evenly_spaced
from dlcli.evaluation import multilabel, series_baseline
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.paired import compare_samples
from dlcli.evaluation.text_baseline import Unit, better_unit, tf_idf_labels, tf_idf_numbers, tf_idf_predictions
from dlcli.recipe.load import NumberRecipe, TextRecipe
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.runtime.console import Console

MAX_STEPS = 2**20  # of evaluated sequences; more would take minutes
MAX_TRAINED_STEPS = 2**19  # of training sequences; of more, some are taken


def class_baseline(
    recipe: TextClassification | SequenceClassification,
    train: Sequences,
    samples: Sequences,
    is_correct: np.ndarray,
    *,
    num_classes: int,
    console: Console,
) -> dict[str, float]:
    """``baseline_accuracy``: of logistic regression on TF-IDF features of texts, or of ridge regression on random
    convolutions of sequences of numbers, and what :func:`against_baseline` adds; empty if it would take too long.

    Args:
        is_correct: whether the network's prediction is right for each of ``samples``, bool ``[n]``.
    """
    if num_classes > MANY_CLASSES:
        console.say(f"the baseline is not computed for more than {MANY_CLASSES} classes")
        return {}
    if isinstance(recipe, TextClassification):
        assert train.texts is not None
        assert samples.texts is not None
        unit, predicted = _tf_idf(recipe, train, samples.texts, num_classes=num_classes)
        name = f"logistic regression on TF-IDF features of {unit}"
    else:
        name = "ridge regression on random convolutions"
        chosen = _chosen(train, samples, console)
        if chosen is None:
            return {}
        predicted = series_baseline.predict_classes(_steps(train, chosen), train.labels[chosen], _steps(samples))
    return against_baseline(is_correct, predicted == samples.labels, name=name, console=console)


def against_baseline(
    is_correct: np.ndarray,
    of_baseline: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    name: str,
    console: Console,
) -> dict[str, float]:
    """The accuracy of a baseline and, paired by samples, how far that of the network is above it, which is printed too.

    Args:
        is_correct, of_baseline: whether the predictions of both are right, bool ``[n]``.
        groups: as for :func:`dlcli.evaluation.paired.compare_samples`.
        name: what the baseline is.

    Returns:
        ``baseline_accuracy``, ``over_baseline``, and its 95% interval, ``over_baseline_low`` and
        ``over_baseline_high``.
    """
    found = compare_samples(of_baseline, is_correct, groups)
    assert found.interval is not None
    low, high = found.interval
    if found.value <= 0:
        verdict = f"no better than the baseline, {name} (baseline_accuracy)"
    elif found.is_evidence:
        verdict = f"better than the baseline, {name} (baseline_accuracy)"
    else:
        verdict = f"no evidence of being better than the baseline, {name} (baseline_accuracy)"
    console.say(f"accuracy: {verdict}: {found.value:+.4f}, 95% interval {low:+.4f} to {high:+.4f}")
    return {
        "baseline_accuracy": found.means[0],
        "over_baseline": found.value,
        "over_baseline_low": low,
        "over_baseline_high": high,
    }


def number_baseline(
    recipe: NumberRecipe, train: Sequences, samples: Sequences, mae: float, *, console: Console
) -> dict[str, float]:
    """``ridge_mae`` and ``ridge_rmse``, the errors of ridge regression on TF-IDF features of texts, or on random
    convolutions of sequences of numbers; empty if it would take too long. Says so if the ``mae`` is no better."""
    assert train.targets is not None
    assert samples.targets is not None
    if isinstance(recipe, TextRegression):
        unit, predicted = _tf_idf_numbers(recipe, train, samples.texts or ())
        name = f"TF-IDF features of {unit}"
    else:
        name = "random convolutions"
        chosen = _chosen(train, samples, console)
        if chosen is None:
            return {}
        predicted = series_baseline.predict_numbers(_steps(train, chosen), train.targets[chosen], _steps(samples))
    errors = predicted - samples.targets
    found = {"ridge_mae": float(np.mean(np.abs(errors))), "ridge_rmse": float(np.mean(errors**2)) ** 0.5}
    if mae >= found["ridge_mae"]:
        console.say(f"no better than ridge regression on {name} (ridge_mae)")
    return found


def label_baseline(
    recipe: TextMultilabel,
    train: Sequences,
    validation: Sequences | None,
    samples: Sequences,
    found: Mapping[str, Any],
    *,
    console: Console,
) -> dict[str, float]:
    """What simple models reach with the labels of texts: ``frequent_`` predicts the most frequent labels of training
    for every text, ``tf_idf_`` is a logistic regression for each label; says where the network is no better.

    Args:
        validation: for the thresholds of the regressions, as those of the network are chosen; None for 0.5.
        found: the metrics of the network.
    """
    assert train.applies is not None
    assert samples.applies is not None
    usual = np.broadcast_to(multilabel.frequent_labels(train.applies), samples.applies.shape)
    counts = multilabel.counted(samples.applies, usual)
    result = {f"frequent_{name}": counts[name] for name in ("micro_f1", "macro_f1")}
    if train.applies.shape[1] > MANY_CLASSES:
        console.say(f"the TF-IDF baseline is not computed for more than {MANY_CLASSES} labels")
        return result
    groups = [part.texts or () for part in (samples, validation) if part is not None]
    unit = _better_unit_of_labels(recipe, train)
    scores, *of_validation = tf_idf_labels(train.texts or (), train.applies, groups, unit=unit)
    thresholds = np.full(scores.shape[1], multilabel.DEFAULT_THRESHOLD)
    if validation is not None and validation.applies is not None:
        thresholds = multilabel.choose_thresholds(validation.applies, of_validation[0])
    counts = multilabel.counted(samples.applies, multilabel.predicted_labels(scores, thresholds))
    result |= {f"tf_idf_{name}": counts[name] for name in ("micro_f1", "macro_f1")}
    precisions = [multilabel.average_precision(*columns) for columns in zip(samples.applies.T, scores.T, strict=True)]
    known = [precision for precision in precisions if precision is not None]
    if known:
        result["tf_idf_mean_average_precision"] = float(np.mean(known))
    for metric in ("mean_average_precision", "micro_f1"):
        if found.get(metric, np.inf) <= result.get(f"tf_idf_{metric}", -np.inf):
            console.say(f"{metric}: no better than logistic regression on TF-IDF features of {unit} (tf_idf_{metric})")
    return result


def _unit(recipe: TextRecipe) -> Unit:
    """What is counted unless the other unit is better."""
    return "characters" if recipe.text.unit == "characters" else "words"


def _tf_idf(recipe: TextRecipe, train: Sequences, texts: Sequence[str], *, num_classes: int) -> tuple[Unit, np.ndarray]:
    """The better features of the training texts, and the classes that a regression on them predicts."""
    known, labels = train.texts or (), train.labels

    def error(fitted: np.ndarray, held: np.ndarray, unit: Unit) -> float:
        if len(np.unique(labels[fitted])) < 2:
            return 0.0
        some = [known[i] for i in fitted], labels[fitted], [known[i] for i in held]
        return float(np.mean(tf_idf_predictions(*some, unit=unit) != labels[held]))

    unit = better_unit(known, num_classes, error, usual=_unit(recipe))
    return unit, tf_idf_predictions(known, labels, texts, unit=unit)


def _tf_idf_numbers(recipe: TextRecipe, train: Sequences, texts: Sequence[str]) -> tuple[Unit, np.ndarray]:
    """The same for numbers."""
    known, targets = train.texts or (), train.targets
    assert targets is not None

    def error(fitted: np.ndarray, held: np.ndarray, unit: Unit) -> float:
        some = [known[i] for i in fitted], targets[fitted], [known[i] for i in held]
        return float(np.mean((tf_idf_numbers(*some, unit=unit) - targets[held]) ** 2))

    unit = better_unit(known, 1, error, usual=_unit(recipe))
    return unit, tf_idf_numbers(known, targets, texts, unit=unit)


def _better_unit_of_labels(recipe: TextRecipe, train: Sequences) -> Unit:
    """The better features for the labels of texts, by the squared error of the probabilities (Brier 1950)."""
    known, applies = train.texts or (), train.applies
    assert applies is not None

    def error(fitted: np.ndarray, held: np.ndarray, unit: Unit) -> float:
        (scores,) = tf_idf_labels([known[i] for i in fitted], applies[fitted], [[known[i] for i in held]], unit=unit)
        return float(np.nansum((scores - applies[held]) ** 2))

    return better_unit(known, applies.shape[1], error, usual=_unit(recipe))


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
