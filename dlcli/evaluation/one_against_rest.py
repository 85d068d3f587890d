"""How well the probability of a class separates its samples from all others: ROC and precision-recall curves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Curve:
    """The samples of one class against all others, for every threshold of its probability, from the highest on.

    Attributes:
        true_positives, false_positives: the numbers of samples at or above each threshold, int64 ``[t]``.
    """

    true_positives: Array
    false_positives: Array

    @property
    def true_positive_rate(self) -> Array:
        """Of the class's samples, the proportion at or above each threshold ``[t + 1]``, from 0 to 1: its recall."""
        return np.concatenate([[0.0], self.true_positives / self.true_positives[-1]])

    @property
    def false_positive_rate(self) -> Array:
        """Of all other samples, the proportion at or above each threshold ``[t + 1]``, from 0 to 1."""
        return np.concatenate([[0.0], self.false_positives / self.false_positives[-1]])

    @property
    def precision(self) -> Array:
        """Of the samples at or above each threshold, the proportion of the class ``[t]``."""
        precision: Array = self.true_positives / (self.true_positives + self.false_positives)
        return precision

    @property
    def roc_auc(self) -> float:
        """The area under the ROC curve, by trapezoids: the probability that a sample of the class ranks above another
        sample, where ties count half."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))

    @property
    def average_precision(self) -> float:
        """The mean of the precisions, weighted by the increases of recall; without interpolation."""
        return float(np.sum(np.diff(self.true_positive_rate) * self.precision))


def curve(is_positive: Array, probability: Array) -> Curve | None:
    """The curve of a class; None if all samples ``[n]`` are of the class, or none is."""
    if is_positive.all() or not is_positive.any():
        return None
    order = np.argsort(-probability, kind="stable")
    probability = probability[order]
    last_of_ties = np.flatnonzero(np.append(probability[1:] != probability[:-1], True))
    true_positives = np.cumsum(is_positive[order])[last_of_ties]
    return Curve(true_positives, last_of_ties + 1 - true_positives)
