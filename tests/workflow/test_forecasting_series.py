"""Forecasting of several series with what is known ahead, from end to end."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import keras
import numpy as np
import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: forecasting
data: {kind: csv, path: shops.csv, time: [time], target: sales, series: shop, static: [area, shop],
  future_features: [promotion], calendar: [hour], backtest: {origins: 3}}
window: {history: 24, horizon: 6, season: 24, normalize: window, evaluation_stride: 2, quantiles: [0.1, 0.5, 0.9]}
model: {kind: linear}
train: {epochs: 3, batch_size: 32, optimizer: {kind: adam, learning_rate: 0.01}}
"""
SIZES = {"small": 1.0, "large": 1000.0}
START = datetime(2024, 1, 1)


def rows_of(shop: str, first: int, number: int, *, known: int | None = None) -> list[str]:
    """Rows of a shop whose sales follow the hour and its promotions; without sales from ``known`` on."""
    rows = []
    for i in range(first, first + number):
        promotion = i * 7 % 5 == 0
        sales = SIZES.get(shop, 5.0) * (10 + 4 * np.sin(i / 24 * 2 * np.pi) + 5 * promotion + np.sin(i * i) / 4)
        cell = f"{sales:.3f}" if known is None or i < known else ""
        rows.append(f"{(START + timedelta(hours=i)).isoformat()},{shop},north,{int(promotion)},{cell}")
    return rows


def write(path: Path, rows: list[str]) -> None:
    path.write_text("\n".join(["time,shop,area,promotion,sales", *rows]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run shops."""
    folder: Path = tmp_path_factory.mktemp("shops")
    write(folder / "shops.csv", [*rows_of("small", 0, 200), *rows_of("large", 0, 150)])
    (folder / "shops.yaml").write_text(RECIPE)
    run("train", "shops.yaml", folder=folder)
    return folder


def test_each_series_is_measured(made: Path) -> None:
    path = made / "runs" / "shops"
    final, folder = read_json(path / "run.json")["final"], path / "evaluation" / "test"
    rows, predictions = read_csv(folder / "by_series.csv"), read_csv(folder / "predictions.csv")
    assert [row["series"] for row in rows] == ["large", "small"]
    for row in rows:
        errors = [abs(float(r["true"]) - float(r["predicted"])) for r in predictions if r["series"] == row["series"]]
        assert float(row["mae"]) == pytest.approx(np.mean(errors), rel=1e-4)
        assert len(errors) == 6 * int(row["forecasts"])
        assert float(row["mase"]) < 5
    total = sum(int(row["forecasts"]) for row in rows)
    assert final["test_mase"] == pytest.approx(sum(float(row["mase"]) * int(row["forecasts"]) for row in rows) / total)
    assert final["test_ridge_mae"] < final["test_seasonal_naive_mae"]
    origins = read_csv(folder / "backtest.csv")
    assert len(origins) == 3
    assert final["test_backtest_mae"] == pytest.approx(np.mean([float(row["mae"]) for row in origins]))
    saved = keras.saving.load_model(path / "model.keras", safe_mode=True)
    assert saved.input.shape == (None, 24 + 6, 2 + 1 + 2 + 2)
    assert saved.output.shape == (None, 6, 3)
    again = json.loads(run("evaluate", "shops", "--split", "validation", "--json", folder=made).stdout)
    assert again["loss"] == pytest.approx(final["val_loss"], rel=1e-4)


def test_the_size_of_a_series_does_not_matter(made: Path) -> None:
    """Window by window, raw values in and out: a series a thousand times as large has forecasts as large."""
    saved = keras.saving.load_model(made / "runs" / "shops" / "model.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(10, 3, size=(4, 30, 7)).astype(np.float32)
    larger = x * np.array([1000, 1, 1, 1, 1, 1, 1], np.float32)
    np.testing.assert_allclose(saved(larger), 1000 * np.asarray(saved(x)), rtol=1e-3)


def test_predictions_use_what_is_known_ahead(made: Path) -> None:
    rows = [*rows_of("small", 200, 40, known=230), *rows_of("new", 200, 36, known=230), *rows_of("large", 200, 30)]
    write(made / "next.csv", rows)
    done = run("predict", "shops", "next.csv", "--json", folder=made)
    found = json.loads(done.stdout)
    assert [(row["series"], row["time"]) for row in found["predictions"]] == [
        (shop, (START + timedelta(hours=230 + i)).isoformat()) for shop in ("new", "small") for i in range(6)
    ]
    assert found["left_out"][0]["reason"] == (
        "a forecast needs 6 rows with promotion after the last value of sales. Received 0: add them."
    )
    changed = [row.replace(",north,0,", ",north,1,") for row in rows]
    write(made / "changed.csv", changed)
    other = json.loads(run("predict", "shops", "changed.csv", "--json", folder=made).stdout)["predictions"]
    assert other[0]["predicted"] != found["predictions"][0]["predicted"]
    write(made / "short.csv", rows_of("small", 0, 5))
    refused = run("predict", "shops", "short.csv", folder=made, status=2)
    assert "short.csv, series small: a forecast needs 24 rows. Received 5: add earlier rows." in refused.stderr


def test_the_times_ahead_are_computed_for_the_calendar(made: Path) -> None:
    options = ("-s", "data.future_features=[]", "-s", "data.split_by=series", "-s", "data.test=0.5")
    run(
        "train",
        "shops.yaml",
        *options,
        "-s",
        "data.validation=0",
        "-s",
        "train.epochs=1",
        "--name",
        "whole",
        folder=made,
    )
    rows = read_csv(made / "runs" / "whole" / "evaluation" / "test" / "by_series.csv")
    assert len(rows) == 1
    write(made / "plain.csv", rows_of("small", 0, 40))
    found = json.loads(run("predict", "whole", "plain.csv", "--json", folder=made).stdout)["predictions"]
    assert [row["time"] for row in found] == [
        (START + timedelta(hours=40 + i)).strftime("%Y-%m-%dT%H:%M") for i in range(6)
    ]
    uneven = [row for i, row in enumerate(rows_of("small", 0, 90)) if i % 3 and i % 7]
    write(made / "uneven.csv", uneven)
    refused = run("predict", "whole", "uneven.csv", folder=made, status=2)
    assert "the rows are not evenly spaced, so that the times ahead are unknown" in refused.stderr
