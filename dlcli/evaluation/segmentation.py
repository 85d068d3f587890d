"""Metrics of semantic segmentation for ``evaluation/<split>/``, from one confusion matrix of all pixels.

The matrix holds the number of pixels of each true class (row) and predicted class (column), int64 ``[k, k]``, at the
size of the annotation. Matrices of images are added up, so that the metrics of a split are exact and do not depend on
batches. Ignored pixels are in no matrix.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

IGNORED = 255
"""The label of pixels that do not count."""
NUM_NAMED = 5  # classes in a message


def confusion_matrix(true: Array, predicted: Array, num_classes: int, *, ignored: int = IGNORED) -> Array:
    """The confusion matrix of an image or a batch, int64 ``[k, k]``.

    Args:
        true: integer labels ``[...]``: classes, or ``ignored`` for pixels that do not count.
        predicted: classes, of the same shape.

    Raises:
        ValueError: the shapes differ, or a label is neither a class nor ``ignored``.
    """
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted masks must have the same shape. Received {true.shape} and {predicted.shape}."
        )
    counts = true != ignored
    of_true, of_predicted = (values[counts].astype(np.int64) for values in (true, predicted))
    for name, values in (("true", of_true), ("predicted", of_predicted)):
        if values.size and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(
                f"{name} labels must be classes from 0 to {num_classes - 1}. "
                f"Received values from {values.min()} to {values.max()}."
            )
    flat = np.bincount(of_true * num_classes + of_predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes).astype(np.int64)


def class_iou(matrix: Array) -> npt.NDArray[np.float64]:
    """Intersection over union of each class ``[k]``: TP / (TP + FP + FN); NaN for classes without true pixels."""
    correct, true, predicted = _counts(matrix)
    return _ratio(correct, true + predicted - correct, where=true > 0)


def class_dice(matrix: Array) -> npt.NDArray[np.float64]:
    """The Dice coefficient of each class ``[k]``, which equals its F1: 2 TP / (2 TP + FP + FN); NaN as for the IoU."""
    correct, true, predicted = _counts(matrix)
    return _ratio(2 * correct, true + predicted, where=true > 0)


def metrics(matrix: Array, classes: Sequence[str], *, boundary: Array | None = None) -> dict[str, Any]:
    """The metrics of a split.

    Args:
        matrix: the confusion matrix of all images.
        classes: k names.
        boundary: the boundary F1 of each image and class, ``[n, k]``, see :mod:`dlcli.evaluation.boundaries`.

    Returns:
        Plain ints, floats and lists, ready for JSON:

        - ``pixels``: number of pixels that count; without any, it is the only key besides ``classes``;
        - ``mean_iou``, ``mean_dice``: unweighted means over the classes that have true pixels;
        - ``mean_boundary_f1``, if ``boundary`` is given and a class has true pixels;
        - ``pixel_accuracy``: proportion of the pixels with the correct class;
        - ``mean_class_accuracy``: the mean recall of the classes that have true pixels;
        - ``frequency_weighted_iou``: the mean IoU weighted by the number of true pixels (Long et al. 2015, section 5);
        - ``absent_classes``: names of the classes without true pixels, which are left out of the means;
        - ``confusion_matrix`` and ``classes``.
    """
    correct, true, _ = _counts(matrix)
    total = int(true.sum())
    result: dict[str, Any] = {"pixels": total}
    if total == 0:
        return result | {"classes": list(classes)}
    is_present = true > 0
    iou = class_iou(matrix)
    result |= {
        "mean_iou": float(iou[is_present].mean()),
        "mean_dice": float(class_dice(matrix)[is_present].mean()),
        "pixel_accuracy": float(correct.sum()) / total,
        "mean_class_accuracy": float((correct[is_present] / true[is_present]).mean()),
        "frequency_weighted_iou": float((true[is_present] * iou[is_present]).sum()) / total,
    }
    if boundary is not None:
        of_classes = class_means(boundary)
        if not np.isnan(of_classes).all():
            result["mean_boundary_f1"] = float(np.nanmean(of_classes))
    absent = [name for name, present in zip(classes, is_present, strict=True) if not present]
    return result | {"absent_classes": absent, "confusion_matrix": matrix.tolist(), "classes": list(classes)}


def per_class(
    matrix: Array, classes: Sequence[str], *, boundary: Array | None = None, baseline: Array | None = None
) -> list[dict[str, Any]]:
    """The rows of ``per_class.csv``, one for each class.

    The columns are class, pixels, predicted_pixels, iou, dice, precision, recall, boundary_f1 and baseline_iou; a value
    is None for a class without true pixels, as is the precision of a class that is never predicted.

    Args:
        matrix, classes, boundary: as in :func:`metrics`; without ``boundary`` there is no such column.
        baseline: the confusion matrix of the baseline's predictions; without it there is no such column.
    """
    correct, true, predicted = _counts(matrix)
    columns: dict[str, Array] = {
        "iou": class_iou(matrix),
        "dice": class_dice(matrix),
        "precision": _ratio(correct, predicted, where=(true > 0) & (predicted > 0)),
        "recall": _ratio(correct, true, where=true > 0),
    }
    if boundary is not None:
        columns["boundary_f1"] = class_means(boundary)
    if baseline is not None:
        columns["baseline_iou"] = class_iou(baseline)
    return [
        {
            "class": name,
            "pixels": int(true[i]),
            "predicted_pixels": int(predicted[i]),
            **{column: None if np.isnan(values[i]) else float(values[i]) for column, values in columns.items()},
        }
        for i, name in enumerate(classes)
    ]


def image_scores(matrix: Array) -> dict[str, float | None]:
    """The columns of an image in ``predictions.csv``: ``pixel_accuracy`` and ``mean_iou``, the mean over the classes
    that have true pixels in the image; None for an image whose pixels are all ignored."""
    correct, true, _ = _counts(matrix)
    if true.sum() == 0:
        return {"pixel_accuracy": None, "mean_iou": None}
    return {"pixel_accuracy": float(correct.sum() / true.sum()), "mean_iou": float(np.nanmean(class_iou(matrix)))}


def class_means(values: Array) -> npt.NDArray[np.float64]:
    """The mean of each column of ``[n, k]`` over the rows that are not NaN ``[k]``; NaN if all are."""
    is_known: Array = ~np.isnan(values)
    return _ratio(np.where(is_known, values, 0.0).sum(axis=0), is_known.sum(axis=0), where=np.any(is_known, axis=0))


def neglect(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """What a high pixel accuracy hides: the classes with an IoU of 0; else empty.

    Args:
        found: the result of :func:`metrics`.
        rows: the result of :func:`per_class`.
    """
    missed = [str(row["class"]) for row in rows if row["iou"] == 0]
    if not missed:
        return ""
    shown = ", ".join(f"'{name}'" for name in missed[:NUM_NAMED])
    more = f" and {len(missed) - NUM_NAMED:,} more" if len(missed) > NUM_NAMED else ""
    noun = "class has" if len(missed) == 1 else "classes have"
    return f"{len(missed):,} {noun} an IoU of 0, whereas pixel accuracy is {found['pixel_accuracy']:.2f}: {shown}{more}"


def _counts(matrix: Array) -> tuple[Array, Array, Array]:
    """The numbers of correct, true and predicted pixels of each class ``[k]``."""
    return np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)


def _ratio(numerator: Array, denominator: Array, *, where: Array) -> npt.NDArray[np.float64]:
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=where)
    return result
