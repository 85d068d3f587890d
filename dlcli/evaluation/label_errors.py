"""Confident learning: labels that are probably wrong (Northcutt, Jiang and Chuang 2021)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LikelyErrors:
    """Samples whose label is probably wrong, the most suspicious first.

    Attributes:
        index: their positions, int64 ``[k]``.
        suggested: the class that each is counted as instead, int64 ``[k]``.
        margins: how much less probable the label is than the most probable other class, in (0, 1], ``[k]``.
    """

    index: NDArray[np.int64]
    suggested: NDArray[np.int64]
    margins: NDArray[np.float64]


def likely_label_errors(probabilities: NDArray[Any], labels: NDArray[Any]) -> LikelyErrors:
    """The samples off the diagonal of the confident joint (equations 1 and 2), ranked by their margin (section 3.2).

    A sample is counted as the most probable of those classes whose probability is at least their own threshold: the
    mean probability of the class over the samples that are labeled with it. So a network that is too sure of one class,
    and too unsure of another, counts correctly. A sample without such a class, or whose label is the most probable
    class, is none.

    Args:
        probabilities: of each class ``[n, classes]``, by a model that was not trained on these samples.
        labels: the class of each, int ``[n]``.
    """
    chosen = np.arange(len(labels)), labels
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=probabilities[chosen], minlength=probabilities.shape[1])
    thresholds = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    counted = confident.argmax(axis=1)
    others = probabilities.astype(np.float64)
    others[chosen] = -np.inf
    margins = others.max(axis=1, initial=-np.inf) - probabilities[chosen]
    found = np.flatnonzero(np.isfinite(confident.max(axis=1, initial=-np.inf)) & (counted != labels) & (margins > 0))
    found = found[np.argsort(-margins[found], kind="stable")]
    return LikelyErrors(found, counted[found], margins[found])
