"""``dlcli recipe verify``: whether the figures in a recipe's header are those that its command reaches."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from dlcli.evaluation.paired import LEVEL, deviation
from dlcli.recipe.header import Figure, Header


def compare_figures(header: Header, finals: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Compare the figures of a header with the final metrics of new runs, one for each of its seeds.

    Returns:
        For each figure ``metric``, ``claimed`` and ``received`` (mean and standard deviation), and ``verdict``: equal
        (to the last digit that is written), close (Welch's t test of the two means sees no difference at 5%) or
        different; also where the runs have no such metric.
    """
    return [_compared(figure, [final.get(figure.metric) for final in finals]) for figure in header.figures]


def _compared(figure: Figure, values: Sequence[float | None]) -> dict[str, Any]:
    claimed = [float(figure.mean), None if figure.deviation is None else float(figure.deviation)]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return {"metric": figure.metric, "claimed": claimed, "received": None, "verdict": "different"}
    mean, spread = float(np.mean(known)), deviation(known)
    is_equal = _is_written_as(figure.mean, mean) and (
        figure.deviation is None or (spread is not None and _is_written_as(figure.deviation, spread))
    )
    is_close = is_equal or _is_close(claimed[0] or 0.0, claimed[1], mean, spread, len(known))
    return {
        "metric": figure.metric,
        "claimed": claimed,
        "received": [mean, spread],
        "verdict": "equal" if is_equal else "close" if is_close else "different",
    }


def _is_written_as(text: str, value: float) -> bool:
    decimals = len(text.partition(".")[2])
    return abs(value - float(text)) <= 0.5 * 10.0**-decimals * (1 + 1e-9)


def _is_close(mean: float, spread: float | None, other: float, other_spread: float | None, number: int) -> bool:
    """Whether Welch's t test sees no difference of two means over as many runs."""
    spreads = [other_spread if spread is None else spread, spread if other_spread is None else other_spread]
    if number < 2 or None in spreads or not any(spreads):
        return False
    p = stats.ttest_ind_from_stats(mean, spreads[0], number, other, spreads[1], number, equal_var=False).pvalue
    return bool(math.isfinite(p) and p >= 1 - LEVEL)
