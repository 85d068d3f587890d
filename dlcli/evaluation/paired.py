"""Comparison of two models on the same samples, and of two settings over seeds."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[Any]

LEVEL = 0.95
POWER = 0.8
NUM_RESAMPLES = 10_000
SEED = 0
MAX_NEEDED = 10_000  # runs
DRAWN = 2**22  # numbers in memory at a time


@dataclass(frozen=True)
class Difference:
    """How much better or worse the second of two is, in a value such as the accuracy.

    Attributes:
        num_units: what the interval and the test take as independent: samples, sentences, or runs.
        means: of the first and of the second.
        interval: lower and upper bound of the difference of the means, the second minus the first; None if a single
            value says nothing about the spread.
        p: probability of a difference at least as large if there were none.
        test: the name of the test.
        detectable: the smallest difference that would be found in 80% of such comparisons.
        needed: runs of each setting with which a difference as large as this one would be found in 80% of comparisons;
            None for other units, without a difference, and above ``MAX_NEEDED``.
    """

    num_units: int
    means: tuple[float, float]
    interval: tuple[float, float] | None
    p: float | None
    test: str
    detectable: float | None
    needed: int | None = None

    @property
    def value(self) -> float:
        return self.means[1] - self.means[0]

    @property
    def is_evidence(self) -> bool:
        """Whether both the interval and the test speak for a difference."""
        return (
            self.p is not None
            and self.interval is not None
            and self.p < 1 - LEVEL
            and not self.interval[0] <= 0 <= self.interval[1]
        )


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact p-value of McNemar's test (McNemar 1947): of the samples that only one of two classifiers gets right,
    each is equally often the right one if they are equally good. 1 if there are none."""
    total = only_one + only_other
    return float(stats.binomtest(only_one, total).pvalue) if total else 1.0


def compare_samples(one: Array, other: Array, groups: Array | None = None) -> Difference:
    """The difference of the means of a value that each sample has under both models.

    The interval is a percentile bootstrap of the pairs, with 10,000 resamples (Efron and Tibshirani 1993, chapter 13).
    The test is McNemar's where the values are right and wrong, otherwise a permutation test that changes the sign of
    each pair's difference at random, 10,000 times (Good 2005, chapter 3).

    Args:
        one, other: the values of the samples, bool or float64 ``[n]``, with n > 0.
        groups: the number of the group of each sample, from 0 on without gaps, ``[n]``; samples of a group, such as the
            words of a sentence, are not independent, and are drawn together. None: each is a group.
    """
    differences = other.astype(np.float64) - one.astype(np.float64)
    sizes = np.ones(len(differences)) if groups is None else np.bincount(groups).astype(np.float64)
    sums = differences if groups is None else np.bincount(groups, weights=differences)
    means = float(np.mean(one)), float(np.mean(other))
    random = np.random.default_rng(SEED)
    drawn = _resampled_means(sums, sizes, random)
    tail = (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.quantile(drawn, [tail, 1 - tail]))
    if groups is None and one.dtype == bool:
        p, test = mcnemar(int((one & ~other).sum()), int((other & ~one).sum())), "McNemar's exact test"
    else:
        p, test = _sign_test(sums, random), "permutation test"
    return Difference(len(sums), means, (low, high), p, test, detectable(float(np.std(drawn)), math.inf))


def _resampled_means(sums: Array, sizes: Array, random: np.random.Generator) -> Array:
    """The mean over the samples of groups drawn with replacement, ``[10000]``."""
    pairs, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    if pairs.shape[1] * 4 <= len(sums):  # equal groups, such as samples that are right or wrong, are drawn by number
        drawn = random.multinomial(len(sums), counts / len(sums), NUM_RESAMPLES)
        return np.asarray((drawn @ pairs[0]) / (drawn @ pairs[1]))
    num_at_once = max(1, DRAWN // len(sums))
    found = []
    for start in range(0, NUM_RESAMPLES, num_at_once):
        chosen = random.integers(len(sums), size=(min(num_at_once, NUM_RESAMPLES - start), len(sums)))
        found.append(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))
    return np.concatenate(found)


def _sign_test(sums: Array, random: np.random.Generator) -> float:
    own, size = abs(float(sums.sum())), len(sums)
    num_at_once = max(1, DRAWN // size)
    number = 0
    for start in range(0, NUM_RESAMPLES, num_at_once):
        signs = random.integers(0, 2, size=(min(num_at_once, NUM_RESAMPLES - start), size)) * 2 - 1
        number += int((np.abs(signs @ sums) >= own * (1 - 1e-12)).sum())
    return (1 + number) / (1 + NUM_RESAMPLES)  # the observed signs are one of the permutations


def compare_seeds(one: Sequence[float], other: Sequence[float]) -> Difference:
    """The difference of two means over seeds, by Welch's method (Welch 1947).

    Args:
        one, other: values of runs; with a single one on a side, there are no interval and no test.
    """
    means = float(np.mean(one)), float(np.mean(other))
    number = min(len(one), len(other))
    if number < 2:
        return Difference(number, means, None, None, "Welch's t test", None)
    errors = [(deviation(values) or 0.0) ** 2 / len(values) for values in (one, other)]
    total, value = sum(errors), means[1] - means[0]
    if total == 0:
        return Difference(number, means, (value, value), float(value == 0), "Welch's t test", 0.0)
    freedom = total**2 / sum(error**2 / (len(values) - 1) for error, values in zip(errors, (one, other), strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(total)
    p = float(2 * stats.t.sf(abs(value) / math.sqrt(total), freedom))
    smallest = detectable(math.sqrt(total), freedom)
    needed = runs_needed(value, deviation(one) or 0.0, deviation(other) or 0.0)
    return Difference(number, means, (value - half, value + half), p, "Welch's t test", smallest, needed)


def deviation(values: Sequence[float]) -> float | None:
    """The standard deviation (n - 1), exactly 0 for equal values; None for one value."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1)) if min(values) != max(values) else 0.0


def detectable(error: float, freedom: float) -> float:
    """The difference that a two-sided t test at 5% finds with a probability of 80%, approximately.

    Args:
        error: standard error of the difference.
        freedom: degrees of freedom; infinity for the normal distribution.
    """
    quantiles = stats.t.ppf([(1 + LEVEL) / 2, POWER], freedom)
    return float(quantiles.sum()) * error


def runs_needed(value: float, one: float, other: float) -> int | None:
    """The smallest number of runs of each of two settings with which their difference would be detectable.

    Args:
        value: the difference of the means.
        one, other: the standard deviations of the runs, not both 0.

    Returns:
        None without a difference, or if more than ``MAX_NEEDED`` runs are needed.
    """
    variances = one**2, other**2
    share = sum(variances) ** 2 / sum(variance**2 for variance in variances)  # Welch's degrees of freedom over n - 1

    def is_enough(number: int) -> bool:
        return detectable(math.sqrt(sum(variances) / number), share * (number - 1)) <= abs(value)

    numbers = range(2, MAX_NEEDED + 1)
    place = bisect.bisect_left(numbers, True, key=is_enough)
    return numbers[place] if place < len(numbers) else None


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for the number of tests by Holm's step-down method (Holm 1979), in the order of ``p``."""
    order = np.argsort(np.asarray(p, np.float64), kind="stable")
    scaled = np.asarray(p, np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def compare_classes(labels: Array, one: Array, other: Array) -> list[dict[str, Any]]:
    """The recall of each class under both models, McNemar's test, and its p-value corrected by :func:`holm`.

    Args:
        labels: the true class of each sample, ``[n]``.
        one, other: whether each model is right, bool ``[n]``.
    """
    classes = np.unique(labels)
    rows = []
    for name in classes:
        first, second = one[labels == name], other[labels == name]
        p = mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
        rows.append({"class": name, "samples": len(first), "one": first.mean(), "other": second.mean(), "p": p})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_corrected"] = p
    return rows
