"""Metrics of classifiers for ``evaluation/<split>/``, from labels and probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from dlcli.errors import CheckFailed

Labels = npt.NDArray[np.int32]
Probabilities = npt.NDArray[np.floating[Any]]

CALIBRATION_BINS = 15  # Guo et al. 2017, section 5


def metrics(labels: Labels, probabilities: Probabilities, classes: Sequence[str], loss: float) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        labels: int32 ``[n]``, at least one, in [0, k).
        probabilities: ``[n, k]`` in [0, 1], rows summing to 1; means are computed in float64.
        classes: k class names in the order of the columns.
        loss: the mean loss of these samples, as computed in training.

    Returns:
        Plain ints, floats and lists, ready for JSON:

        - ``samples``, ``loss`` (as given) and ``accuracy``; ties go to the first class;
        - ``top_5_accuracy``, if there are more than five classes;
        - ``macro_precision``, ``macro_recall``, ``macro_f1``: unweighted means over the classes that have samples here
          (an absent class has no recall, and counting it as 0 would lower the mean); a class that is never predicted
          has precision 0;
        - ``weighted_precision``, ``weighted_recall``, ``weighted_f1``: means weighted by the number of samples;
        - ``log_loss``: mean of -log p(label) in nats, with p clipped to at least 2.2e-16;
        - ``calibration_error``: see :func:`calibration_error`;
        - ``confusion_matrix``: counts, with a row for each true class and a column for each predicted class;
        - ``classes``.

    Raises:
        CheckFailed: a probability is not a finite number.
        ValueError: the shapes do not match, or a label is out of range.
    """
    _check(labels, probabilities, classes)
    probabilities = probabilities.astype(np.float64)
    predicted = probabilities.argmax(axis=1)
    of_labels = probabilities[np.arange(len(labels)), labels]
    result: dict[str, Any] = {
        "samples": len(labels),
        "loss": float(loss),
        "accuracy": float(np.mean(predicted == labels)),
    }
    if len(classes) > 5:
        # not scikit-learn's, which resolves ties in favor of the last classes, whereas argmax favors the first
        top_5 = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
        result["top_5_accuracy"] = float(np.mean((top_5 == labels[:, None]).any(axis=1)))
    scores = _scores(labels, predicted, len(classes))
    support = scores[-1]
    for average, weights in (("macro", (support > 0).astype(float)), ("weighted", support.astype(float))):
        for name, values in zip(("precision", "recall", "f1"), scores, strict=False):
            result[f"{average}_{name}"] = float(np.average(values, weights=weights))
    result["log_loss"] = float(np.mean(-np.log(np.clip(of_labels, np.finfo(np.float64).eps, 1.0)))) + 0.0  # no -0.0
    result["calibration_error"] = calibration_error(labels, probabilities)
    pairs = labels.astype(np.int64) * len(classes) + predicted
    counts = np.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), len(classes))
    result["confusion_matrix"] = counts.tolist()
    result["classes"] = list(classes)
    return result


def calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """The expected calibration error, the mean gap between confidence and accuracy, in [0, 1].

    Samples are sorted into 15 bins of equal width, ``((m - 1) / 15, m / 15]``, by the probability of the predicted
    class; the gap between mean confidence and accuracy is averaged over the bins, weighted by their numbers of samples
    (Guo et al. 2017, "On calibration of modern neural networks", eq. 3).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    # samples * |mean confidence - accuracy| = |sum of confidence - sum of correct|
    gaps = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def per_class(labels: Labels, probabilities: Probabilities, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of ``per_class.csv``: class, support, precision, recall, f1, mean_confidence.

    ``support`` is the number of samples of the class, ``mean_confidence`` the mean of their highest probabilities: if
    it exceeds ``recall``, the model is overconfident on this class. A class without samples has None for all other
    values. Arguments and errors are those of :func:`metrics`.
    """
    _check(labels, probabilities, classes)
    confidence = probabilities.max(axis=1).astype(np.float64)
    precision, recall, f1, support = _scores(labels, probabilities.argmax(axis=1), len(classes))
    rows = []
    for i, name in enumerate(classes):
        present = support[i] > 0
        rows.append(
            {
                "class": name,
                "support": int(support[i]),
                "precision": float(precision[i]) if present else None,
                "recall": float(recall[i]) if present else None,
                "f1": float(f1[i]) if present else None,
                "mean_confidence": float(confidence[labels == i].mean()) if present else None,
            }
        )
    return rows


def predictions(
    names: Sequence[str | int], labels: Labels, probabilities: Probabilities, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of ``predictions.csv``: file (or index), label, predicted, confidence, correct, p_<class>….

    Args:
        names: the samples' paths, for a column ``file``; or their positions, for a column ``index``.
        labels, probabilities, classes: as in :func:`metrics`.

    Returns:
        One row per sample. Probabilities are rounded to six significant digits.
    """
    _check(labels, probabilities, classes)
    column = "file" if isinstance(names[0], str) else "index"
    columns = [f"p_{name}" for name in classes]
    rows = []
    for name, label, row in zip(names, labels, probabilities, strict=True):
        predicted = int(row.argmax())
        values = [float(f"{value:.6g}") for value in row]
        rows.append(
            {
                column: name if isinstance(name, str) else int(name),
                "label": classes[label],
                "predicted": classes[predicted],
                "confidence": values[predicted],
                "correct": predicted == int(label),
                **dict(zip(columns, values, strict=True)),
            }
        )
    return rows


def _scores(labels: Labels, predicted: npt.NDArray[np.int64], num_classes: int) -> tuple[npt.NDArray[Any], ...]:
    """Precision, recall, F1 and support of each class; 0 in place of 0/0."""
    result: tuple[npt.NDArray[Any], ...] = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(num_classes), average=None, zero_division=0.0
    )
    return result


def _check(labels: Labels, probabilities: Probabilities, classes: Sequence[str]) -> None:
    if len(labels) == 0:
        raise ValueError("an evaluation needs at least one sample. Received none.")
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(
            f"probabilities must have the shape [samples, classes], [{len(labels)}, {len(classes)}]. "
            f"Received {list(probabilities.shape)}."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels must be in [0, {len(classes)}). Received labels from {labels.min()} to {labels.max()}."
        )
    num_bad = int((~np.isfinite(probabilities).all(axis=1)).sum())
    if num_bad:
        raise CheckFailed(f"the model's outputs must be finite, and are not for {num_bad} of {len(labels)} samples")
