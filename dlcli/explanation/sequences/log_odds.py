"""Naive explanations of texts: how frequent each token is in a class, or which numbers its texts have."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 1.0  # added to every count (Laplace)


def log_odds_of_tokens(
    texts: Sequence[NDArray[np.int32]], labels: NDArray[np.int32], *, num_tokens: int, num_classes: int
) -> NDArray[np.float64]:
    """``log p(token | class) / p(token | other classes)`` of naive Bayes, ``[num_tokens, num_classes]``.

    Args:
        texts: the token ids of the training texts.
        labels: their classes ``[n]``.
    """
    counts = np.zeros((num_classes, num_tokens))
    for ids, label in zip(texts, labels, strict=True):
        np.add.at(counts[label], ids, 1)
    others = counts.sum(axis=0) - counts
    return np.asarray((_logarithms(counts) - _logarithms(others)).T)


def _logarithms(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of each token's smoothed share ``[classes, tokens]``."""
    smooth = counts + SMOOTHING
    return np.asarray(np.log(smooth / smooth.sum(axis=1, keepdims=True)))


def numbers_of_tokens(
    texts: Sequence[NDArray[np.int32]], numbers: NDArray[np.floating], *, num_tokens: int
) -> NDArray[np.float64]:
    """How far the mean number of the texts with a token is above that of all texts, ``[num_tokens]``.

    It is pulled to 0 as by one more text of the mean number.

    Args:
        texts: the token ids of the training texts.
        numbers: of each text ``[n]``.
    """
    sums, counts = np.zeros(num_tokens), np.zeros(num_tokens)
    for ids, difference in zip(texts, numbers - numbers.mean(), strict=True):
        present = np.unique(ids)
        sums[present] += difference
        counts[present] += 1
    return np.asarray(sums / (counts + SMOOTHING))
