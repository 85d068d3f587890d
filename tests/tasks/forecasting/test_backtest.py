"""Backtest: which origins are chosen, and the mean and spread of their errors."""

import numpy as np
import pytest

from dlcli.data.series.row_order import Part
from dlcli.data.series.time_table import Table
from dlcli.data.series.windows import Series
from dlcli.recipe.tasks.forecasting import Window
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.backtest import backtest
from dlcli.tasks.forecasting.scored import Scored

RNG = np.random.default_rng(0)


def scored(origins: list[int]) -> Scored:
    true, number = RNG.normal(size=(len(origins), 3)), len(origins)
    baselines = {name: RNG.normal(size=(number, 3)) for name in ("naive_", "seasonal_naive_")}
    outputs = RNG.normal(size=(number, 3)).astype(np.float32)
    ones = np.ones(number)
    return Scored(Window(horizon=3), np.array(origins), true, outputs, baselines, {}, {}, ones, ones)


def series(*parts: Part) -> Series:
    times = tuple(f"t{i}" for i in range(60))
    moments = np.concatenate([np.arange(30.0), np.arange(10.0, 40.0)])
    return Series(Table(times, np.zeros((60, 1), np.float32), ("y",), moments=moments, parts=parts), 4, 3, (), {})


def test_origins_are_evenly_spaced_and_their_errors_averaged(capsys: pytest.CaptureFixture[str]) -> None:
    found = scored(list(range(10, 31)))
    errors = np.abs(found.predicted.astype(np.float64) - found.true).mean(axis=1)[[0, 5, 10, 15, 20]]
    naive = np.abs(found.baselines["naive_"] - found.true).mean(axis=1)[[0, 5, 10, 15, 20]]
    result = backtest(series(), found, num_origins=5, variance=1.0, console=Console(quiet=False))
    assert [row["after"] for row in result.rows] == ["t9", "t14", "t19", "t24", "t29"]
    np.testing.assert_allclose([row["mae"] for row in result.rows], errors)
    assert "ridge_mae" not in result.rows[0]
    assert result.metrics["backtest_mae"] == pytest.approx(errors.mean())
    assert result.metrics["backtest_mae_deviation"] == pytest.approx(errors.std(ddof=1))
    assert result.metrics["backtest_naive_mae"] == pytest.approx(naive.mean())
    assert f"better than naive_mae at {(errors < naive).sum()};" in capsys.readouterr().err


def test_origins_of_several_series_are_times(capsys: pytest.CaptureFixture[str]) -> None:
    """Series b starts ten steps later, so that its row 35 has the time of row 15 of series a."""
    found = scored([15, 20, 35, 40])
    made = series(Part("a", 0, 30), Part("b", 30, 60))
    result = backtest(made, found, num_origins=4, variance=1.0, console=Console(quiet=False))
    assert [row["forecasts"] for row in result.rows] == [2, 2]
    errors = np.abs(found.predicted.astype(np.float64) - found.true)
    np.testing.assert_allclose([row["mae"] for row in result.rows], [errors[[0, 2]].mean(), errors[[1, 3]].mean()])
    assert "data.backtest.origins: 4, but there are only 2 origins" in capsys.readouterr().err
