"""Metrics of classifiers for ``evaluation/<split>/``, from the predictions of all samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from dlcli.errors import CheckFailed
from dlcli.evaluation.class_predictions import MANY_CLASSES, ScoredClasses
from dlcli.evaluation.intervals import intervals
from dlcli.evaluation.one_against_rest import Curve

CALIBRATION_BINS = 15  # Guo et al. 2017, section 5
NUM_NAMED = 5  # classes in a message

Array = npt.NDArray[Any]


def metrics(scored: ScoredClasses, classes: Sequence[str], loss: float, *, top_k: Sequence[int] = ()) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        scored: the predictions of n samples, at least one; means are computed in float64.
        classes: k class names in the order of the model's outputs.
        loss: the mean loss of these samples, as computed in training.
        top_k: further numbers of most probable classes whose accuracy is reported.

    Returns:
        Plain ints, floats and lists, ready for JSON:

        - ``samples``, ``loss`` (as given) and ``accuracy``; ties go to the first class;
        - ``top_5_accuracy``, if there are more than five classes, and ``top_<k>_accuracy`` for each ``top_k``;
        - ``macro_precision``, ``macro_recall``, ``macro_f1``: unweighted means over the classes that have samples here
          (an absent class has no recall, and counting it as 0 would lower the mean); a class that is never predicted
          has precision 0;
        - ``weighted_precision``, ``weighted_recall``, ``weighted_f1``: means weighted by the number of samples;
        - ``log_loss``: mean of -log p(label) in nats, with p clipped to at least 2.2e-16;
        - ``calibration_error``: see :func:`calibration_error`;
        - ``brier_score``: mean squared distance between probabilities and label (Brier 1950), in [0, 2]; of two classes
          half of that, which is the squared error of one class's probability;
        - ``balanced_accuracy``: the macro recall, by its other name;
        - ``matthews_correlation``: between labels and predictions (Gorodkin 2004), in [-1, 1]; 0 if all labels or all
          predictions are the same;
        - ``roc_auc``, ``average_precision``: see :mod:`dlcli.evaluation.one_against_rest`; unweighted means over the
          classes that have samples here, or of the second class if there are two; only up to `MANY_CLASSES` classes;
        - ``sensitivity``, ``specificity``, if there are two classes: the recall of the second one, ``positive_class``,
          and of the first one;
        - ``intervals``: see :func:`dlcli.evaluation.intervals.intervals`;
        - ``confusion_matrix``: counts, with a row for each true class and a column for each predicted class; only up to
          `MANY_CLASSES` classes, see :attr:`ScoredClasses.confusions`;
        - ``classes``.

        With one class, which is never missed, only ``samples``, ``loss``, ``accuracy``, ``confusion_matrix`` and
        ``classes``.

    Raises:
        CheckFailed: a probability is not a finite number.
        ValueError: there are no samples.
    """
    _check(scored)
    result: dict[str, Any] = {
        "samples": len(scored),
        "loss": float(loss),
        "accuracy": float(np.mean(scored.is_correct)),
    }
    if len(classes) == 1:
        return result | {"confusion_matrix": confusion_matrix(scored, 1).tolist(), "classes": list(classes)}
    if len(classes) > 5:
        # not scikit-learn's, which resolves ties in favor of the last classes, whereas argmax favors the first
        result["top_5_accuracy"] = float(np.mean(scored.label_rank < 5))
    result |= {f"top_{k}_accuracy": float(np.mean(scored.label_rank < k)) for k in top_k}
    scores = _scores(scored, len(classes))
    support = scores[-1]
    for average, weights in (("macro", (support > 0).astype(float)), ("weighted", support.astype(float))):
        for name, values in zip(("precision", "recall", "f1"), scores, strict=False):
            result[f"{average}_{name}"] = float(np.average(values, weights=weights))
    of_labels = scored.label_probability.astype(np.float64)
    result["log_loss"] = float(np.mean(-np.log(np.clip(of_labels, np.finfo(np.float64).eps, 1.0)))) + 0.0  # no -0.0
    result["calibration_error"] = calibration_error(scored)
    squared = scored.sum_of_squares - 2 * of_labels + 1
    result["brier_score"] = float(np.mean(squared)) / (2 if len(classes) == 2 else 1)
    result["balanced_accuracy"] = result["macro_recall"]
    found = scored.confusions
    result["matthews_correlation"] = _matthews_correlation(found, len(classes))
    result |= _areas(scored.curves, len(classes))
    if len(classes) == 2:
        recall = scores[1]
        result |= {name: float(recall[i]) for i, name in ((1, "sensitivity"), (0, "specificity")) if support[i] > 0}
        result["positive_class"] = classes[1]
    result["intervals"] = intervals(found)
    if len(classes) <= MANY_CLASSES:
        result["confusion_matrix"] = confusion_matrix(scored, len(classes)).tolist()
    result["classes"] = list(classes)
    return result


def _matthews_correlation(found: Array, num_classes: int) -> float:
    label, predicted, count = found.T
    of_label, of_predicted = (
        np.bincount(values, weights=count, minlength=num_classes) for values in (label, predicted)
    )
    total, correct = float(count.sum()), float(count[label == predicted].sum())
    covariance = correct * total - of_label @ of_predicted
    scale = np.sqrt((total**2 - of_label @ of_label) * (total**2 - of_predicted @ of_predicted))
    return float(covariance / scale) if scale > 0 else 0.0


def _areas(curves: Sequence[Curve | None], num_classes: int) -> dict[str, float]:
    """Areas under the curves: of the second class of two, else the mean over the classes."""
    known = [curve for curve in (curves[1:] if num_classes == 2 else curves) if curve is not None]
    if not known:
        return {}
    return {
        "roc_auc": float(np.mean([curve.roc_auc for curve in known])),
        "average_precision": float(np.mean([curve.average_precision for curve in known])),
    }


def neglect(metrics: Mapping[str, Any], scored: ScoredClasses, classes: Sequence[str]) -> str:
    """What a high accuracy hides: classes that are never predicted, or a low recall of rare classes; else empty.

    Args:
        metrics: the result of :func:`metrics`.
    """
    never = [classes[i] for i in np.setdiff1d(scored.labels, scored.predicted)]
    if never:
        shown = ", ".join(f"'{name}'" for name in never[:NUM_NAMED])
        more = f" and {len(never) - NUM_NAMED:,} more" if len(never) > NUM_NAMED else ""
        noun = "class is" if len(never) == 1 else "classes are"
        return f"{len(never):,} {noun} never predicted: {shown}{more}"
    if len(classes) > 1 and metrics["macro_recall"] < metrics["accuracy"] / 2:
        return (
            f"macro recall, {metrics['macro_recall']:.2f}, is below half of accuracy, {metrics['accuracy']:.2f}: rare "
            "classes are missed"
        )
    return ""


def calibration_error(scored: ScoredClasses) -> float:
    """The expected calibration error, the mean gap between confidence and accuracy, in [0, 1].

    Samples are sorted into 15 bins of equal width, ``((m - 1) / 15, m / 15]``, by the probability of the predicted
    class; the gap between mean confidence and accuracy is averaged over the bins, weighted by their numbers of samples
    (Guo et al. 2017, "On calibration of modern neural networks", eq. 3).
    """
    confidence = scored.confidence.astype(np.float64)
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    # samples * |mean confidence - accuracy| = |sum of confidence - sum of correct|
    gaps = np.bincount(bins, weights=confidence - scored.is_correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(scored))


def confusion_matrix(scored: ScoredClasses, num_classes: int) -> Array:
    """Counts, int64 ``[k, k]``, with a row for each true class and a column for each predicted class."""
    label, predicted, counts = scored.confusions.T
    matrix = np.zeros((num_classes, num_classes), np.int64)
    matrix[label, predicted] = counts
    return matrix


def most_confused(found: Array, num_classes: int) -> list[int]:
    """The classes of the most frequent mistakes, at most ``num_classes`` of them, in ascending order.

    Args:
        found: the result of :attr:`ScoredClasses.confusions`.
    """
    mistakes = found[found[:, 0] != found[:, 1]]
    chosen: dict[int, None] = {}
    for label, predicted, _ in mistakes[np.argsort(-mistakes[:, 2], kind="stable")].tolist():
        if len(chosen | {label: None, predicted: None}) > num_classes:
            break
        chosen |= {label: None, predicted: None}
    return sorted(chosen)


def per_class(scored: ScoredClasses, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of ``per_class.csv``, one for each class.

    The columns are class, support, precision, recall, f1, mean_confidence, roc_auc and average_precision.

    ``support`` is the number of samples of the class, ``mean_confidence`` the mean of their highest probabilities: if
    it exceeds ``recall``, the model is overconfident on this class. ``roc_auc`` and ``average_precision`` are of the
    class against all others, and None with more than `MANY_CLASSES` classes. A class without samples has None for all
    other values. Arguments and errors are those of :func:`metrics`.
    """
    _check(scored)
    confidence = scored.confidence.astype(np.float64)
    precision, recall, f1, support = _scores(scored, len(classes))
    of_class = np.split(np.argsort(scored.labels, kind="stable"), np.cumsum(support.astype(np.int64))[:-1])
    curves = scored.curves or [None] * len(classes)
    rows = []
    for i, (name, curve) in enumerate(zip(classes, curves, strict=True)):
        present = support[i] > 0
        rows.append(
            {
                "class": name,
                "support": int(support[i]),
                "precision": float(precision[i]) if present else None,
                "recall": float(recall[i]) if present else None,
                "f1": float(f1[i]) if present else None,
                "mean_confidence": float(confidence[of_class[i]].mean()) if present else None,
                "roc_auc": None if curve is None else curve.roc_auc,
                "average_precision": None if curve is None else curve.average_precision,
            }
        )
    return rows


def predictions(names: Sequence[str | int], scored: ScoredClasses, classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of ``predictions.csv``, one per sample.

    The columns are file (or index), label, predicted, confidence, correct, and p_<class> for every class; for more than
    `MANY_CLASSES` classes, label_probability, label_rank (1 if the label is predicted), and top_1, p_1, top_2 …, the
    most probable classes and their probabilities. Probabilities are rounded to six significant digits.

    Args:
        names: the samples' paths, for a column ``file``; or their positions, for a column ``index``.
        scored, classes: as in :func:`metrics`.
    """
    column = "file" if isinstance(names[0], str) else "index"
    for i, name in enumerate(names):
        yield {
            column: name if isinstance(name, str) else int(name),
            "label": classes[scored.labels[i]],
            "predicted": classes[scored.predicted[i]],
            "confidence": _rounded(scored.confidence[i]),
            "correct": bool(scored.is_correct[i]),
            **_probabilities(scored, i, classes),
        }


def _probabilities(scored: ScoredClasses, i: int, classes: Sequence[str]) -> dict[str, Any]:
    if len(classes) <= MANY_CLASSES:
        return {f"p_{name}": _rounded(p) for name, p in zip(classes, scored.probabilities[i], strict=True)}
    row: dict[str, Any] = {
        "label_probability": _rounded(scored.label_probability[i]),
        "label_rank": int(scored.label_rank[i]) + 1,
    }
    for place, (label, p) in enumerate(zip(scored.top[i], scored.top_probabilities[i], strict=True), start=1):
        row |= {f"top_{place}": classes[label], f"p_{place}": _rounded(p)}
    return row


def _rounded(value: Any) -> float:
    return float(f"{value:.6g}")


def _scores(scored: ScoredClasses, num_classes: int) -> tuple[Array, ...]:
    """Precision, recall, F1 and support of each class; 0 in place of 0/0."""
    result: tuple[Array, ...] = precision_recall_fscore_support(
        scored.labels, scored.predicted, labels=np.arange(num_classes), average=None, zero_division=0.0
    )
    return result


def _check(scored: ScoredClasses) -> None:
    if len(scored) == 0:
        raise ValueError("an evaluation needs at least one sample. Received none.")
    num_bad = int((~scored.is_finite).sum())
    if num_bad:
        raise CheckFailed(f"the model's outputs must be finite, and are not for {num_bad} of {len(scored)} samples")
