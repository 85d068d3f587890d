"""Baselines of forecasts."""

import numpy as np

from dlcli.data.series.division import divide
from dlcli.data.series.row_order import Part
from dlcli.data.series.time_table import Table
from dlcli.tasks.forecasting.baselines import mase_scales


def test_a_series_without_two_values_one_season_apart_has_no_scale() -> None:
    values = np.concatenate([np.arange(20.0), np.full(20, 3.0), np.arange(2.0)])[:, None].astype(np.float32)
    parts = (Part("long", 0, 20), Part("constant", 20, 40), Part("short", 40, 42))
    table = Table(tuple(map(str, range(42))), values, ("y",), parts=parts)
    series = divide(table, source="s.csv", history=2, horizon=1, validation=0.0, test=0.0, stride=1)
    assert mase_scales(series, 4) == {"long": 4.0}
