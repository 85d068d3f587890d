"""Checks methods of attribution on series: randomized weights, and insertion and deletion of values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, PARTS, rank_correlation
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.series import SeriesNetwork
from dlcli.explanation.sequences.value_order import areas, naive_orders
from dlcli.tasks.explanation import SEEDS, means_of_samples, statistic, with_verdict

NUM_CHECKED = 16  # series by which methods are checked unless another number is given
FEWEST_VALUES = 3  # of a series whose order of values says something
NAIVE = ("random", "deviation", "recent")


@dataclass(frozen=True)
class ToCheck:
    """The series by which methods are checked.

    Attributes:
        values: ``[steps, columns]`` of each.
        choices: the numbers of the outputs that are explained of each: of a class one, of a forecast some steps.
        deviations: of each column in the training split, from its mean.
        noun: what the samples are called, in the plural, such as ``forecasts``.
        source: the split they are of.
        total: how many it has.
    """

    values: Sequence[Series]
    choices: Sequence[Sequence[int]]
    deviations: NDArray[np.floating]
    noun: str
    source: str
    total: int


Shares = Callable[[Sequence[Series], Sequence[int]], Sequence[NDArray[np.float64]]]
"""(series, the number of an output for each) -> the shares ``[steps, columns]`` of each."""


def check_methods(
    network: SeriesNetwork,
    methods: Mapping[str, tuple[Shares, Shares]],
    given: ToCheck,
    *,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Check methods on series.

    What is measured of a series is the mean over its outputs that are explained.

    Args:
        methods: each by its name: as it explains the network, and as it explains those with random weights.
        progress: called with the number of checks that are done, and of all.

    Returns:
        The content of check.json: for each method, and for orders that know nothing of the network, the mean of each
        check, its standard error and the number of series.
    """
    series = [values for values, chosen in zip(given.values, given.choices, strict=True) for _ in chosen]
    outputs = [choice for chosen in given.choices for choice in chosen]
    owners = np.repeat(np.arange(len(given.values)), [len(chosen) for chosen in given.choices])
    total, done = len(methods) * (1 + len(PARTS)) + len(NAIVE), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    distances = None if network.scores.is_class else _distances(network, series, outputs)
    insertion, deletion, randomization = {}, {}, {}

    def order(name: str, scores: Sequence[NDArray[np.float64]]) -> None:
        found = [
            areas(network, values, choice, of_series, distance=1.0 if distances is None else distances[choice])
            for values, choice, of_series in zip(series, outputs, scores, strict=True)
        ]
        inserted, deleted = np.array(found).T
        insertion[name] = statistic(means_of_samples(inserted, owners))
        deletion[name] = statistic(means_of_samples(deleted, owners))
        step()

    for name, (method, of_random) in methods.items():
        shares = method(series, outputs)
        # against a class counts last; what moves a number in either direction counts first
        order(name, shares if network.scores.is_class else [np.abs(values) for values in shares])
        parts: dict[str, Any] = {}
        for part in PARTS:
            of_seeds = []
            for seed in SEEDS:
                with network.randomized(part, seed):
                    of_seeds.append(_correlations(series, shares, of_random(series, outputs)))
            parts[part] = statistic(means_of_samples(np.mean(of_seeds, axis=0), owners))
            step()
        randomization[name] = with_verdict(parts, noun="sample")
    orders = [naive_orders(values, network.means, given.deviations, seed=i) for i, values in enumerate(series)]
    for name in NAIVE:
        order(name, [of_series[name] for of_series in orders])
    return {
        given.noun: len(given.values),
        "source": given.source,
        "baseline": "mean of each column",
        "randomization": {"seeds": len(SEEDS), "largest_correlation": LARGEST_CORRELATION, "methods": randomization},
        "insertion": insertion,
        "deletion": deletion,
        "measured": "probability of the class" if distances is None else "share of the prediction that is recovered",
    }


def _distances(network: SeriesNetwork, series: Sequence[Series], outputs: Sequence[int]) -> dict[int, float]:
    """How far the predictions of each output are from that of a series of means, in the mean; 1 for no distance."""
    empty = [network.starts(network.points(values)) for values in series]
    changes = np.abs(network.outputs(series).astype(np.float64) - network.outputs(empty))
    chosen = np.array(outputs)
    means = {output: float(changes[chosen == output, output].mean()) for output in dict.fromkeys(outputs)}
    return {output: mean or 1.0 for output, mean in means.items()}


def _correlations(
    series: Sequence[Series], one: Sequence[NDArray[np.float64]], two: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Spearman's correlation of the shares of each series over its known values; NaN for fewer than three."""
    found = np.full(len(series), np.nan)
    for row, (values, first, second) in enumerate(zip(series, one, two, strict=True)):
        is_known = ~np.isnan(values)
        if is_known.sum() >= FEWEST_VALUES:
            found[row] = rank_correlation(first[is_known][None], second[is_known][None])[0]
    return found
