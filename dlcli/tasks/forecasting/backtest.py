"""Backtest: the errors of a forecaster at several origins, each by itself, and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.series.windows import Series
from dlcli.data.splits import evenly_spaced
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.scored import IN_SUMMARY, Scored

COMPARED = ("mae", "naive_mae", "seasonal_naive_mae", "ridge_mae")


@dataclass(frozen=True)
class Backtest:
    """The results.

    Attributes:
        metrics: for metrics.json: number of origins, and mean and standard deviation over them of each error.
        rows: of backtest.csv: the errors at each origin.
    """

    metrics: dict[str, Any]
    rows: list[dict[str, Any]]


def backtest(series: Series, scored: Scored, *, num_origins: int, variance: float, console: Console) -> Backtest:
    """Choose origins that are evenly spaced over the windows, from the first to the last. Of several series, an origin
    is a time, and its errors are means over the series that have a window there.

    Args:
        variance: of the values that the network learns.
    """
    positions = series.positions(scored.origins)
    distinct = np.unique(positions)
    chosen = distinct[evenly_spaced(len(distinct), num_origins)]
    if len(chosen) < num_origins:
        console.say(f"data.backtest.origins: {num_origins}, but there are only {len(chosen)} origins")
    rows = []
    for position in chosen:
        at = scored.take(positions == position)
        metrics = at.metrics(variance)[0]
        measures = {key: metrics.get(key) for key in IN_SUMMARY}
        rows.append({"after": series.table.times[at.origins[0] - 1], "forecasts": len(at.true)} | measures)
    rows = [{key: value for key, value in row.items() if rows[0][key] is not None} for row in rows]
    found: dict[str, Any] = {"backtest_origins": len(rows)}
    for name in COMPARED:
        errors = np.array([row[name] for row in rows if row.get(name) is not None])
        if len(errors):
            found[f"backtest_{name}"] = float(errors.mean())
            found[f"backtest_{name}_deviation"] = float(errors.std(ddof=1)) if len(errors) > 1 else 0.0
    _report(rows, found, console)
    return Backtest(found, rows)


def _report(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any], console: Console) -> None:
    mean, deviation = metrics["backtest_mae"], metrics["backtest_mae_deviation"]
    text = f"backtest at {len(rows)} origins: mae {mean:.4g} (standard deviation {deviation:.3g})"
    others = [name for name in COMPARED[1:] if f"backtest_{name}" in metrics]
    for name in others:
        better = sum(row["mae"] < row[name] for row in rows if row.get(name) is not None)
        text += f"; better than {name} at {better}"
    console.say(text)
