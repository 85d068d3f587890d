"""The Pareto front of trials with several objectives."""

from collections.abc import Sequence

import numpy as np


def front(values: Sequence[Sequence[float]]) -> list[int]:
    """The indices of the points that no other dominates: is at least as good in all objectives and better in one.

    Args:
        values: for each point its objectives, ``[points, objectives]``; higher is better. Of equal points all are in
            the front.
    """
    points = np.asarray(values, float)
    return [
        index
        for index, point in enumerate(points)
        if not ((points >= point).all(axis=1) & (points > point).any(axis=1)).any()
    ]
