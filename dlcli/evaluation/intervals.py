"""Confidence intervals by the bootstrap."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEVEL = 0.95
NUM_RESAMPLES = 1000
SEED = 0
MAX_CELLS = 20_000  # nonzero entries of the confusion matrix up to which all intervals are computed
DRAWN = 2**21  # counts in memory at a time


def intervals(confusions: Array) -> dict[str, Any]:
    """95% intervals of accuracy, balanced accuracy and macro F1 by the percentile bootstrap (Efron and Tibshirani 1993,
    chapter 13), with 1,000 resamples of the samples.

    All three depend on the confusion matrix alone, whose entries are drawn from a multinomial distribution: the same as
    drawing samples with replacement, without the cost.

    Args:
        confusions: rows of true class, predicted class and count, ``[m, 3]``. With more than 20,000 rows, only the
            interval of the accuracy is computed.

    Returns:
        ``level``, ``method``, ``resamples``, ``seed``, and lower and upper bound of each metric.
    """
    label, predicted, count = confusions.T
    random, total = np.random.default_rng(SEED), int(count.sum())
    found: dict[str, list[Array]] = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    if len(count) > MAX_CELLS:
        correct = int(count[label == predicted].sum())
        found = {"accuracy": [random.binomial(total, correct / total, NUM_RESAMPLES) / total]}
    else:
        num_at_once = max(1, DRAWN // len(count))
        for start in range(0, NUM_RESAMPLES, num_at_once):
            drawn = random.multinomial(total, count / total, min(num_at_once, NUM_RESAMPLES - start))
            for name, values in _of_resamples(label, predicted, drawn).items():
                found[name].append(values)
    tail = (1 - LEVEL) / 2
    return {
        "level": LEVEL,
        "method": "percentile bootstrap",
        "resamples": NUM_RESAMPLES,
        "seed": SEED,
        **{
            name: [float(bound) for bound in np.quantile(np.concatenate(parts), [tail, 1 - tail])]
            for name, parts in found.items()
        },
    }


def _of_resamples(label: Array, predicted: Array, drawn: Array) -> dict[str, Array]:
    """The metrics of resampled confusion matrices, whose entries are ``drawn`` ``[r, m]``."""
    classes = np.unique(label)  # in the order of the entries, which are sorted by label
    support = np.add.reduceat(drawn, np.searchsorted(label, classes), axis=1).astype(np.float64)
    is_right = np.flatnonzero(label == predicted)
    correct = np.zeros(support.shape)
    correct[:, np.searchsorted(classes, label[is_right])] = drawn[:, is_right]
    order = np.argsort(predicted, kind="stable")
    all_predicted, starts = np.unique(predicted[order], return_index=True)
    num_predicted = np.zeros(support.shape)
    sums = np.add.reduceat(drawn[:, order], starts, axis=1)
    is_true_class = np.isin(all_predicted, classes)
    num_predicted[:, np.searchsorted(classes, all_predicted[is_true_class])] = sums[:, is_true_class]
    is_present = support > 0  # a class without samples in a resample is left out of its mean, as in the metrics
    num_present = is_present.sum(axis=1)
    recall = np.divide(correct, support, out=np.zeros(support.shape), where=is_present)
    f1 = np.divide(2 * correct, support + num_predicted, out=np.zeros(support.shape), where=is_present)
    return {
        "accuracy": correct.sum(axis=1) / drawn.sum(axis=1),
        "balanced_accuracy": recall.sum(axis=1) / num_present,
        "macro_f1": f1.sum(axis=1) / num_present,
    }
