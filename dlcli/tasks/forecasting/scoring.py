"""Scores a forecaster on windows beside the baselines, and writes the files of its evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.data.series.windows import Series, Windows, targets_of
from dlcli.data.splits import Index, evenly_spaced
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.tasks.forecasting import Forecasting, Window
from dlcli.replicas import divided
from dlcli.report.plots import sequences as sequence_plots
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.forecasting.backtest import backtest
from dlcli.tasks.forecasting.baselines import Baselines, report_baselines
from dlcli.tasks.forecasting.scored import IN_SUMMARY, Scored
from dlcli.tasks.forecasting.sources import FORECAST_BATCH, window_scales

Array = npt.NDArray[Any]
NUM_SHOWN = 4  # forecasts in forecasts.png


def evaluate_windows(
    to: Destination,
    model: keras.Model,
    series: Series,
    windows: Windows,
    *,
    recipe: Forecasting,
    info: dict[str, Any],
    baselines: Baselines,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on windows of series; write metrics.json, by_horizon.csv, predictions.csv and two plots, with
    quantiles also by_level.csv, of several series also by_series.csv, and with a backtest backtest.csv and its plot."""
    variance = info["target"]["variance"]
    scored = _scored(model, series, windows, recipe.window, info["mase_scale"], baselines, console)
    metrics, rows, by_level = scored.metrics(variance)
    report_baselines(metrics, rows, console)
    tables: dict[str, Any] = {"by_horizon.csv": rows, "predictions.csv": _predictions(series, scored)}
    if by_level:
        tables["by_level.csv"] = by_level
    if series.table.parts:
        tables["by_series.csv"] = _by_series(series, scored, variance)
        _report_series(tables["by_series.csv"], console)
    plots = {}
    if recipe.data.backtest is not None:
        found = backtest(series, scored, num_origins=recipe.data.backtest.origins, variance=variance, console=console)
        metrics |= found.metrics
        tables["backtest.csv"] = found.rows
        plots["backtest.png"] = sequence_plots.errors_by_origin(found.rows)
    shown = scored.take(evenly_spaced(len(windows), NUM_SHOWN))
    histories = series.raw_windows(shown.origins)
    names = names_of(series, shown.origins)
    write_evaluation(
        to,
        metrics,
        tables=tables,
        others={
            "forecasts.png": sequence_plots.forecasts(
                histories[:, : series.history, 0],
                shown.true,
                shown.predicted,
                names,
                bands=None if recipe.window.quantiles is None else shown.outputs,
            ),
            "by_horizon.png": sequence_plots.errors_ahead(rows),
            **plots,
        },
    )
    return metrics


def named_quantiles(quantiles: Array, levels: Sequence[float] | None) -> dict[str, float]:
    """The quantiles ``[levels]`` of one step by the names of their columns, without the median, which is the
    forecast."""
    if levels is None:
        return {}
    return {f"q{level:g}": float(q) for level, q in zip(levels, quantiles, strict=True) if level != 0.5}


def _scored(
    model: keras.Model,
    series: Series,
    windows: Windows,
    window: Window,
    mase_scale: float | Mapping[str, float],
    baselines: Baselines,
    console: Console,
) -> Scored:
    parts, true_parts, others = [], [], []
    compiled = tf.function(divided(lambda x: model(x, training=False)), reduce_retracing=True, autograph=False)
    for start in range(0, len(windows), FORECAST_BATCH):
        origins = windows.origins[start : start + FORECAST_BATCH]
        parts.append(compiled(tf.constant(series.raw_windows(origins))).numpy())
        true_parts.append(targets_of(series, origins)[1])  # float32 would round large values
        others.append(baselines.forecasts(series, origins))
        console.evaluating(min(start + FORECAST_BATCH, len(windows)), len(windows))
    forecasts = {name: np.concatenate([found[name] for found in others]) for name in others[0]}
    scales = window_scales(series, window, windows.origins)
    of_mase: Array = np.full(len(windows), mase_scale if isinstance(mase_scale, float | int) else np.nan)
    if isinstance(mase_scale, Mapping):
        of_mase = np.array([mase_scale.get(name, np.nan) for name in series.series_of(windows.origins)])
    return Scored(
        window,
        windows.origins,
        np.concatenate(true_parts),
        np.concatenate(parts),
        forecasts,
        baselines.quantiles(forecasts, scales),
        baselines.distributions(forecasts, scales),
        scales,
        of_mase,
    )


def names_of(series: Series, origins: Index) -> list[str]:
    """What each window is called in plots."""
    times = [series.table.times[origin - 1] for origin in origins]
    if not series.table.parts:
        return times
    return [f"{time}, {name}" for time, name in zip(times, series.series_of(origins), strict=True)]


def _predictions(series: Series, scored: Scored) -> Iterator[dict[str, Any]]:
    """The rows of predictions.csv."""
    times, levels = series.table.times, scored.window.quantiles
    digits = 15 if series.table.offset else 9
    names = series.series_of(scored.origins)
    for origin, name, true, predicted, outputs in zip(
        scored.origins, names, scored.true, scored.predicted, scored.outputs, strict=True
    ):
        of_series = {"series": name} if series.table.parts else {}
        for step in range(len(true)):
            yield of_series | {
                "after": times[origin - 1],
                "step": step + 1,
                "time": times[origin + step],
                "true": "" if np.isnan(true[step]) else f"{true[step]:.15g}",
                "predicted": f"{predicted[step]:.{digits}g}",
                **{column: f"{q:.{digits}g}" for column, q in named_quantiles(outputs[step], levels).items()},
            }


def _by_series(series: Series, scored: Scored, variance: float) -> list[dict[str, Any]]:
    """The metrics of each series."""
    names = np.array(series.series_of(scored.origins))
    rows = []
    for name in dict.fromkeys(names.tolist()):
        of_series = scored.take(names == name)
        metrics = of_series.metrics(variance)[0]
        rows.append({"series": name, "forecasts": len(of_series.true)} | {key: metrics.get(key) for key in IN_SUMMARY})
    return [{key: value for key, value in row.items() if rows[0][key] is not None} for row in rows]


def _report_series(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    for name, noun in (("ridge_mae", "ridge regression"), ("seasonal_naive_mae", "the seasonal naive forecast")):
        worse = [str(row["series"]) for row in rows if row.get(name) is not None and row["mae"] >= row[name]]
        if worse:
            some = ", ".join(map(shortened, worse[:3])) + (", …" if len(worse) > 3 else "")
            console.say(f"no better than {noun} on {len(worse):,} of {len(rows):,} series: {some}")
