"""Insertion and deletion on series: whether the values that an explanation ranks first decide the output.

As for the pixels of images (:mod:`dlcli.explanation.checks.pixel_order`): a value is a step of a column, and is
replaced by the mean of its column.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dlcli.explanation.checks.pixel_order import areas_of_sample
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.series import SeriesNetwork


def areas(
    network: SeriesNetwork, series: Series, choice: int, scores: NDArray[Any], *, distance: float, seed: int = 0
) -> tuple[float, float]:
    """The areas below the curves of insertion (high is good) and of deletion (low is good) of one series.

    The curve of a class is its probability. That of a number is the share of the prediction that is recovered:
    ``1 - |prediction - that from all values| / distance``.

    Args:
        series: ``[steps, columns]``, NaN where missing.
        choice: the number of the class or of the output.
        scores: of the values ``[steps, columns]``: high ones come first.
        distance: above 0, of the prediction from one of means alone, typically; not used for classes.
    """
    points = network.points(series)
    whole = network.scores.values(points[None])[0, 0, choice].astype(np.float64)

    def curve(versions: NDArray[Any]) -> NDArray[Any]:
        values = network.scores.values(versions)[:, 0].astype(np.float64)
        if network.scores.is_class:
            return np.asarray(softmax(values, axis=1)[:, choice])
        return np.asarray(1 - np.abs(values[:, choice] - whole) / distance)

    return areas_of_sample(curve, points, network.starts(points), scores, seed=seed)


def naive_orders(
    series: Series, means: NDArray[np.floating], deviations: NDArray[np.floating], *, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """What ranks the values of a series without the network, ``[steps, columns]`` by name.

    ``random`` numbers, the ``deviation`` of a value from the mean of its column in standard deviations, and ``recent``,
    which has the last steps first.
    """
    safe = np.where(deviations > 0, deviations, 1.0)
    return {
        "random": np.random.default_rng(seed).random(series.shape),
        "deviation": np.nan_to_num(np.abs(series.astype(np.float64) - means) / safe),
        "recent": np.repeat(np.arange(len(series), dtype=np.float64)[:, None], series.shape[1], axis=1),
    }
