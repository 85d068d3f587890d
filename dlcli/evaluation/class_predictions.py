"""What is kept of a classifier's probabilities: batches are reduced as they come, so that memory does not grow with the
number of classes."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.one_against_rest import Curve, curve

Labels = npt.NDArray[np.int32]
Array = npt.NDArray[Any]

MANY_CLASSES = 200
"""Above this number of classes, only the most probable ones are kept for each sample."""
NUM_TOP = 10
"""The number of most probable classes that are kept for each sample."""


@dataclass(frozen=True)
class RankedClasses:
    """The most probable classes of n samples.

    Attributes:
        top: the k most probable classes of each sample, int64 ``[n, k]``, in order; ties go to the first classes.
        top_probabilities: their probabilities ``[n, k]``, in the precision of the probabilities.
        probabilities: those of all classes ``[n, classes]``; ``[n, 0]`` if there are more than `MANY_CLASSES`.
        is_finite: whether all probabilities of a sample are finite numbers ``[n]``.
    """

    top: Array
    top_probabilities: Array
    probabilities: Array
    is_finite: Array

    def __len__(self) -> int:
        return len(self.top)

    @property
    def predicted(self) -> Array:
        """The most probable class of each sample ``[n]``."""
        return self.top[:, 0]

    @property
    def confidence(self) -> Array:
        """The probability of the predicted class ``[n]``."""
        return self.top_probabilities[:, 0]

    def take(self, index: Array) -> Self:
        """The samples at ``index``."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Concatenates batches."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class ScoredClasses(RankedClasses):
    """The most probable classes of n samples, and what became of their labels.

    Attributes:
        labels: int ``[n]``.
        label_probability: the probability of each label ``[n]``.
        label_rank: the number of classes that come before the label ``[n]``: 0 if it is predicted.
        sum_of_squares: the sum of the squares of all probabilities ``[n]``, in float64.
    """

    labels: Labels
    label_probability: Array
    label_rank: Array
    sum_of_squares: Array

    @property
    def is_correct(self) -> Array:
        """Whether the label is predicted ``[n]``."""
        return np.equal(self.label_rank, 0)

    @functools.cached_property
    def curves(self) -> list[Curve | None]:
        """The curve of each class against all others, computed once; none if there are too many classes for their
        probabilities to be kept."""
        return [curve(self.labels == i, self.probabilities[:, i]) for i in range(self.probabilities.shape[1])]

    @functools.cached_property
    def confusions(self) -> Array:
        """The confusion matrix without its zeros, computed once: rows of true class, predicted class and count, int64
        ``[m, 3]``."""
        labels, predicted = self.labels.astype(np.int64), self.predicted.astype(np.int64)
        base = int(max(labels.max(initial=0), predicted.max(initial=0))) + 1
        pairs, counts = np.unique(labels * base + predicted, return_counts=True)
        return np.stack([pairs // base, pairs % base, counts], axis=1)


def rank(probabilities: Array, *, num_top: int = NUM_TOP, predicted: Array | None = None) -> RankedClasses:
    """The most probable classes by probabilities ``[n, classes]``, at most ``num_top`` of them.

    Args:
        predicted: the class of each sample ``[n]`` that comes first, whatever its probability, because classes of
            several samples were predicted together; None for the most probable one.
    """
    return RankedClasses(**_ranked(probabilities, _before_all(probabilities, predicted), num_top))


def score(
    labels: Labels, probabilities: Array, *, num_top: int = NUM_TOP, predicted: Array | None = None
) -> ScoredClasses:
    """The most probable classes by probabilities ``[n, classes]``, and what became of the labels ``[n]``.

    Args:
        predicted: as for :func:`rank`.

    Raises:
        ValueError: the shapes do not match, or a label is out of range.
    """
    num_classes = probabilities.shape[-1]
    if probabilities.shape != (len(labels), num_classes):
        raise ValueError(
            f"probabilities must have the shape [samples, classes] with {len(labels)} samples. "
            f"Received {list(probabilities.shape)}."
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"labels must be in [0, {num_classes}). Received labels from {labels.min()} to {labels.max()}."
        )
    of_label = (np.arange(len(labels)), labels)
    order = _before_all(probabilities, predicted)
    is_before = np.arange(num_classes) < labels[:, None]
    # ties are resolved in favor of the first classes, as argmax does
    place = order[of_label][:, None]
    ahead = (order > place) | ((order == place) & is_before)
    return ScoredClasses(
        **_ranked(probabilities, order, num_top),
        labels=labels,
        label_probability=probabilities[of_label],
        label_rank=ahead.sum(axis=1),
        sum_of_squares=np.square(probabilities, dtype=np.float64).sum(axis=1),
    )


def _before_all(probabilities: Array, predicted: Array | None) -> Array:
    """The probabilities by which classes are ranked: infinite for those that are predicted."""
    if predicted is None:
        return probabilities
    order = probabilities.copy()
    order[np.arange(len(order)), predicted] = np.inf
    return order


def _ranked(probabilities: Array, order: Array, num_top: int) -> dict[str, Array]:
    num_samples, num_classes = probabilities.shape
    rows = np.arange(num_samples)
    rest = order.copy()
    top = np.empty((num_samples, min(num_top, num_classes)), np.int64)
    for place in range(top.shape[1]):  # faster than sorting all classes, and ties go to the first
        top[:, place] = rest.argmax(axis=1)
        rest[rows, top[:, place]] = -np.inf
    return {
        "top": top,
        "top_probabilities": probabilities[rows[:, None], top],
        "probabilities": probabilities
        if num_classes <= MANY_CLASSES
        else np.empty((num_samples, 0), probabilities.dtype),
        "is_finite": np.asarray(np.isfinite(probabilities).all(axis=1)),
    }
