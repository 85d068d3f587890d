"""Robustness of classifiers to attacks: the rows of ``robustness.csv`` and ``samples.csv``.

A sample that is misclassified without an attack counts as an error under attack too, so that robust accuracy never
exceeds clean accuracy. The success rate is over the samples that are classified correctly without an attack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Outcome:
    """The result of an attack with one budget.

    Attributes:
        predicted: the predicted class of each adversarial image ``[n]``.
        confidence: its probability ``[n]``.
        predicted_rounded: the predicted class of the adversarial images rounded to integer pixel values ``[n]``.
        l0, l2, linf: norms of each perturbation ``[n]``: the proportion of values changed, the Euclidean norm, and the
            largest absolute change; the last two as fractions of the pixel range.
    """

    predicted: Array
    confidence: Array
    predicted_rounded: Array
    l0: Array
    l2: Array
    linf: Array


def outcome(x: Array, adversarial: Array, probabilities: Array, rounded: Array, *, pixel_range: float) -> Outcome:
    """The outcome of an attack that changed the images ``x`` to ``adversarial``, both ``[n, ...]``.

    Args:
        probabilities, rounded: of all classes ``[n, k]``, for the adversarial images and for their rounded pixels.
    """
    change = (adversarial.astype(np.float64) - x).reshape(len(x), -1)
    return Outcome(
        probabilities.argmax(axis=1),
        probabilities.max(axis=1),
        rounded.argmax(axis=1),
        l0=(change != 0).mean(axis=1),
        l2=np.linalg.norm(change, axis=1) / pixel_range,
        linf=np.abs(change).max(axis=1, initial=0.0) / pixel_range,
    )


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Concatenates the outcomes of several batches."""
    names = [field.name for field in fields(Outcome)]
    return Outcome(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Clean:
    """The predictions for n images that are not attacked.

    Attributes:
        predicted: the predicted class ``[n]``.
        confidence: its probability ``[n]``.
    """

    predicted: Array
    confidence: Array


def summary(
    labels: Array, clean: Clean, found: Outcome, *, eps: float, num_zero_gradients: int, target: int | None = None
) -> dict[str, Any]:
    """A row of ``robustness.csv``.

    Args:
        labels: int ``[n]``.
        clean: the predictions for the original images.
        eps: the budget, as a fraction of the pixel range.
        num_zero_gradients: number of samples whose loss has a zero gradient.
        target: the target class of a targeted attack, which succeeds if that class is predicted; the success rate is
            then over the samples of other classes.
    """
    right = clean.predicted == labels
    predicted, rounded = found.predicted, found.predicted_rounded
    row: dict[str, Any] = {
        "eps": eps,
        "samples": len(labels),
        "clean_accuracy": float(right.mean()),
        "robust_accuracy": float((right & (predicted == labels)).mean()),
        "success_rate": _success(labels, right, predicted, target),
    }
    for name, values in (("l0", found.l0), ("l2", found.l2), ("linf", found.linf)):
        row |= {f"mean_{name}": float(values.mean()), f"median_{name}": float(np.median(values))}
    row |= {
        "confidence_before": float(clean.confidence.mean()),
        "confidence_after": float(found.confidence.mean()),
        "zero_gradients": num_zero_gradients,
        "robust_accuracy_8bit": float((right & (rounded == labels)).mean()),
        "success_rate_8bit": _success(labels, right, rounded, target),
    }
    return row


def _success(labels: Array, right: Array, predicted: Array, target: int | None) -> float:
    attacked = right if target is None else right & (labels != target)
    if not attacked.any():
        return 0.0
    succeeded = predicted != labels if target is None else predicted == target
    return float(succeeded[attacked].mean())


def per_sample(
    names: Sequence[str], labels: Array, clean: Clean, found: Outcome, classes: Sequence[str], *, eps: float
) -> list[dict[str, Any]]:
    """The rows of ``samples.csv`` for one epsilon."""
    return [
        {
            "eps": eps,
            "file": names[i],
            "label": classes[labels[i]],
            "predicted_clean": classes[clean.predicted[i]],
            "confidence_clean": float(clean.confidence[i]),
            "predicted": classes[found.predicted[i]],
            "confidence": float(found.confidence[i]),
            "predicted_8bit": classes[found.predicted_rounded[i]],
            "l0": float(found.l0[i]),
            "l2": float(found.l2[i]),
            "linf": float(found.linf[i]),
        }
        for i in range(len(labels))
    ]
