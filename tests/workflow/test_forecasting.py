"""Forecasting from end to end."""

import gzip
import json
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from predictors import close_to  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

import dlcli
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.forecasting.baselines import report_baselines
from dlcli.tasks.predictor import ReadsTables, Shows

RECIPE = """\
task: forecasting
data: {kind: csv, path: waves.csv, time: [day], target: load, features: [wind], on_missing: keep}
window: {history: 14, horizon: 7, season: 7, difference: season}
model: {kind: recurrent, cell: gru, units: 8, dropout: 0.1}
train: {epochs: 4, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.02}, best_metric: val_mae}
"""


def write_waves(path: Path, num: int = 300, start: int = 0) -> None:
    """Writes a weekly wave with a trend, noise, missing values and a second column."""
    rng = np.random.default_rng(start)
    days = np.arange(start, start + num)
    load = 50 + 0.2 * days + 10 * np.sin(2 * np.pi * days / 7) + rng.normal(size=num)
    rows = [
        f"{day},{'NA' if rng.random() < 0.03 else round(float(value), 3)},{rng.normal():.3f}"
        for day, value in zip(days, load, strict=True)
    ]
    path.write_text("\n".join(["day,load,wind", *rows]))


class Frame:
    """What is used of a data frame."""

    columns = ("day", "load", "wind")

    def __init__(self, content: bytes) -> None:
        self._content = content

    def to_numpy(self) -> None:
        raise AssertionError("a table to forecast is not an array")

    def to_csv(self, *, index: bool) -> str:
        assert not index
        return self._content.decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run waves."""
    folder: Path = tmp_path_factory.mktemp("forecasts")
    write_waves(folder / "waves.csv")
    (folder / "waves.yaml").write_text(RECIPE)
    processes.run("train", "waves.yaml", folder=folder).expect(0)
    return folder


def test_it_beats_and_reports_the_naive_forecasts(made: Path) -> None:
    path = made / "runs" / "waves"
    final = read_json(path / "run.json")["final"]
    assert final["test_mae"] < final["test_seasonal_naive_mae"] < final["test_naive_mae"]
    assert 0 < final["test_ridge_mae"] < final["test_naive_mae"]
    table = read_csv(path / "evaluation" / "test" / "by_horizon.csv")
    assert [row["step"] for row in table] == [str(step) for step in range(1, 8)]
    rows = read_csv(path / "evaluation" / "test" / "predictions.csv")
    errors = [abs(float(row["true"]) - float(row["predicted"])) for row in rows if row["true"]]
    assert np.mean(errors) == pytest.approx(final["test_mae"], rel=1e-4)
    assert {int(row["time"]) - int(row["after"]) - int(row["step"]) for row in rows} == {0}
    for name in ("series.png", "forecasts.png", "by_horizon.png", "curves.png"):
        assert (path / "plots" / name).exists()


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([1, 1, 1], "ridge regression on past values (ridge_mae) on average, but not at step 3 of 3"),
        ([2, 2, 2], "no better than ridge regression on past values (ridge_mae), at every step"),
        ([2, 0, 2], "no better than ridge regression on past values (ridge_mae), at steps 1, 3 of 3"),
        ([0.5, 0.5, 0.5], None),
    ],
)
def test_the_steps_at_which_the_regression_is_better_are_named(
    errors: list[float], message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"step": i, "mae": float(error), "ridge_mae": ridge}
        for i, (error, ridge) in enumerate(zip(errors, (1.5, 1.5, 0.9), strict=True), start=1)
    ]
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("mae", "ridge_mae")}
    report_baselines({"naive_mae": 9.0, "seasonal_naive_mae": 9.0, **means}, rows, Console(quiet=False))
    printed = capsys.readouterr().err
    assert (message in printed) if message else not printed


def test_the_scale_comes_from_the_training_split(folder: Path) -> None:
    """A table with absurd later rows gives the same scale."""
    lines = (folder / "waves.csv").read_text().splitlines()
    (folder / "odd.csv").write_text("\n".join([*lines[:212], *(f"{i},{1e6},{1e6}" for i in range(211, 300))]))
    run("train", "waves.yaml", "-s", "data.path=odd.csv", "-s", "train.epochs=1", "--name", "odd", folder=folder)
    one, other = (read_json(folder / "runs" / name / "run.json")["data"] for name in ("waves", "odd"))
    assert (one["scale"], one["target"], one["mase_scale"]) == (other["scale"], other["target"], other["mase_scale"])


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    kill = processes.KillAtCheckpoint(2)
    processes.run("train", "waves.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "waves", folder / "runs" / "killed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("difference", "model"),
    [
        ("none", "kind: convolutional, filters: 8"),
        ("last", "kind: transformer, units: 8, heads: 2, layers: 1"),
        ("last", "kind: convolutional, filters: 8"),
        ("none", "kind: transformer, units: 8, heads: 2, layers: 1"),
    ],
)
def test_other_networks_and_differences(folder: Path, difference: str, model: str) -> None:
    options = ("-s", f"window.difference={difference}", "-s", f"model={{{model}}}", "-s", "train.epochs=1")
    run("train", "waves.yaml", *options, "-s", "train.precision=mixed_bfloat16", "--name", "other", folder=folder)
    saved = keras.saving.load_model(folder / "runs" / "other" / "model.keras", safe_mode=True)
    assert {layer.compute_dtype for layer in saved.layers if layer.weights} == {"float32"}
    assert saved.output.shape == (None, 7)


@pytest.mark.slow  # tests/evaluation computes the measures of quantiles
def test_quantiles(folder: Path) -> None:
    options = ("-s", "window.quantiles=[0.1,0.5,0.8]", "-s", "model={kind: convolutional, filters: 8}")
    done = run("train", "waves.yaml", *options, "-s", "train.epochs=2", "--name", "bands", folder=folder)
    made = folder / "runs" / "bands"
    assert "covers" in done.stderr
    final = read_json(made / "run.json")["final"]
    again = json.loads(run("evaluate", "bands", "--split", "validation", "--json", folder=folder).stdout)
    assert again["loss"] == pytest.approx(final["val_loss"], rel=1e-4)
    rows = read_csv(made / "evaluation" / "test" / "predictions.csv")
    known = [row for row in rows if row["true"]]
    below = np.mean([float(row["true"]) <= float(row["q0.1"]) for row in known])
    levels = read_csv(made / "evaluation" / "test" / "by_level.csv")
    assert float(levels[0]["below"]) == pytest.approx(below)
    assert final["test_mae"] == pytest.approx(float(levels[1]["quantile_loss"]))
    assert final["test_ridge_quantile_loss"] < final["test_naive_quantile_loss"]
    (folder / "even.csv").write_text("\n".join(["day,load,wind", *(f"{day},{day % 7},1" for day in range(20))]))
    predicted = json.loads(run("predict", "bands", "even.csv", "--json", folder=folder).stdout)["predictions"]
    assert [row["time"] for row in predicted] == [str(day) for day in range(20, 27)]
    assert all(row["q0.1"] < row["predicted"] < row["q0.8"] for row in predicted)
    run("explain", "bands", "even.csv", folder=folder)
    explained = read_csv(made / "explanations" / "integrated" / "explanations.csv")[0]
    assert float(explained["predicted"]) == pytest.approx(predicted[0]["predicted"], rel=1e-4)


@pytest.mark.slow  # tests/evaluation and tests/training/objectives compute likelihoods in both ways
def test_distributions(folder: Path) -> None:
    """The loss of training is computed again from the quantiles that the saved model outputs."""
    window = ("-s", "window.quantiles=[0.1,0.5,0.8]", "-s", "window.distribution={kind: student_t}")
    options = (*window, "-s", "window.normalize=window", "-s", "model={kind: linear}", "-s", "train.epochs=1")
    run("train", "waves.yaml", *options, "--name", "tails", folder=folder)
    final = read_json(folder / "runs" / "tails" / "run.json")["final"]
    again = json.loads(run("evaluate", "tails", "--split", "validation", "--json", folder=folder).stdout)
    assert again["loss"] == pytest.approx(final["val_loss"], rel=1e-4)
    assert again["crps"] < again["mae"]
    assert final["test_ridge_nll"] < final["test_naive_nll"]
    assert final["test_ridge_crps"] == pytest.approx(final["test_ridge_quantile_loss"], rel=0.2)


def test_predicting_and_evaluating_other_tables(folder: Path) -> None:
    write_waves(folder / "later.csv", 60, start=300)
    result = json.loads(run("predict", "waves", "later.csv", "--output", "next.csv", "--json", folder=folder).stdout)
    rows = result["predictions"]
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert {row["after"] for row in rows} == {"359"}
    days = np.arange(360, 367)
    expected = 50 + 0.2 * days + 10 * np.sin(2 * np.pi * days / 7)
    assert np.abs([row["predicted"] for row in rows] - expected).mean() < 6
    assert list(read_csv(folder / "next.csv")[0]) == ["file", "after", "step", "time", "predicted"]
    assert len(run("predict", "waves", "later.csv", folder=folder).stdout.splitlines()) == 8
    loaded = dlcli.load(folder / "runs" / "waves")
    forecast = [{key: value for key, value in row.items() if key != "file"} for row in rows]
    content = (folder / "later.csv").read_bytes()
    samples = [folder / "later.csv", content, gzip.compress(content), Frame(content)]
    for sample in samples:
        (of_sample,) = loaded.predict(sample)
        assert of_sample["forecast"] == close_to(forecast)
        assert of_sample["left_out"] == []
    assert loaded.predict(samples[0])[0]["file"] == str(samples[0])
    for bad, message in (
        (b"day,load\n1,2\n", "the table:1: there must be a column 'wind'. "),
        (b"\xff\xfe\x00", "the table"),
        (gzip.compress(content)[:40], "the table"),
        ([content, 5], "sample 1: must be a path, the bytes of a CSV file or a data frame. Received 5."),
        ("absent.csv", "absent.csv: no such file. "),
    ):
        with pytest.raises(dlcli.InputError, match=f"^{message}"):
            loaded.predict(bad)
    predictor = task_of(load(folder / "runs" / "waves" / "config.yaml").recipe).predictor(
        RunDir(folder / "runs" / "waves"), Console(quiet=True)
    )
    assert isinstance(predictor, ReadsTables)
    assert isinstance(predictor, Shows)
    assert predictor.needs == "at least 14 rows with the columns day, load, wind"
    ((_, past),) = predictor.show(predictor.read(content)).series
    loads = np.genfromtxt(folder / "later.csv", delimiter=",", skip_header=1)[-14:, 1]
    np.testing.assert_array_equal(past, loads.astype(np.float32))
    assert len(predictor.predict([predictor.example()])[0]["forecast"]) == 7
    found = json.loads(run("evaluate", "waves", "--data", "later.csv", "--json", folder=folder).stdout)
    assert found["samples"] == 60 - 14 - 7 + 1
    assert found["split"] == "later-all"
    again = json.loads(run("evaluate", "waves", "--split", "validation", "--json", folder=folder).stdout)
    final = read_json(folder / "runs" / "waves" / "run.json")["final"]
    assert again["mae"] == pytest.approx(final["val_mae"], rel=1e-4)


@pytest.mark.slow  # tests/workflow/test_train.py overfits images
def test_overfit_memorizes_a_batch(folder: Path) -> None:
    settings = ("-s", "model.dropout=0", "-s", "train.batch_size=8", "-s", "model.units=64")
    done = run("train", "waves.yaml", "--overfit", 1, "--json", *settings, folder=folder)
    assert json.loads(done.stdout)["loss"] < 0.01


@pytest.mark.slow
def test_explanations_by_lags_and_columns(folder: Path) -> None:
    run("explain", "waves", "--limit", 2, folder=folder)
    made = folder / "runs" / "waves" / "explanations" / "integrated"
    rows = read_csv(made / "explanations.csv")
    assert [row["output"] for row in rows] == ["step 1", "step 7"] * 2
    for row in rows:
        assert float(row["completeness_error"]) <= 0.01 or row["note"].startswith("incomplete")
        assert -14 <= int(row["largest_step"]) <= -1
    parts = {row["part"]: float(row["error_increase"]) for row in read_csv(made / "importance.csv")}
    assert parts["column load"] > 10 * abs(parts["column wind"])
    assert set(parts) >= {"steps -14 to -13", "step -1"} or "steps -2 to -1" in parts
    shares = [float(row["share_of_attribution"]) for row in read_csv(made / "importance.csv")]
    assert sum(shares[:2]) == pytest.approx(1)
    assert sum(shares[2:]) == pytest.approx(1)
    write_waves(folder / "new.csv", 40, start=300)
    run("explain", "waves", "new.csv", folder=folder)
    rows = read_csv(folder / "runs" / "waves" / "explanations" / "integrated-2" / "explanations.csv")
    assert [row["file"] for row in rows] == ["new.csv after 339"] * 2


@pytest.mark.slow
def test_a_check_of_the_step_that_is_asked_for(folder: Path) -> None:
    arguments = ("--target", "3", "--limit", 16, "--check", "--name", "third")
    done = run("explain", "waves", *arguments, folder=folder)
    assert "insertion is high and deletion low" in done.stdout
    made = folder / "runs" / "waves" / "explanations" / "third"
    assert {row["output"] for row in read_csv(made / "explanations.csv")} == {"step 3"}
    check = read_json(made / "check.json")
    assert check["forecasts"] == check["insertion"]["integrated"]["n"] == 16
    assert check["insertion"]["integrated"]["mean"] > check["insertion"]["random"]["mean"]
    verdict = check["randomization"]["methods"]["integrated"]["verdict"]
    assert {row["check"] for row in read_csv(made / "explanations.csv")} == {verdict}
    run("explain", "waves", "--limit", 1, folder=folder)  # whose rows know of the check
    later = folder / "runs" / "waves" / "explanations" / "integrated" / "explanations.csv"
    assert read_csv(later)[0]["check"] == verdict
    run("report", "waves", folder=folder)
    page = (folder / "runs" / "waves" / "report.html").read_text()
    assert "Checked on 16 forecasts" in page
    assert "deviation" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "waves", "--target", "8"), "--target 8: expected a step ahead, from 1 to 7. Received 8."),
        (("explain", "waves", "--target", "load"), "--target load: expected a step ahead, from 1 to 7."),
        (("train", "waves.yaml", "-s", "data.target=price"), "there must be a column 'price'. Received 'day', 'load'"),
        (("train", "waves.yaml", "-s", "data.on_missing=error"), "train with data.on_missing"),
        (("train", "waves.yaml", "-s", "window.season=20"), "window.season: must be at most history, 14. Received 20."),
        (("train", "waves.yaml", "-s", "window.history=400"), "train must have a window of 400 + 7 steps."),
        (("train", "waves.yaml", "-s", "data.time=[load]"), "data.target: must not be one of the time columns; "),
        (("train", "waves.yaml", "-s", "window={history: 209, horizon: 1}"), "it holds one window of 209 + 1 steps;"),
        (("train", "flat.yaml"), "flat.yaml:2:56: data.target: the values to learn must vary"),
        (("train", "big.yaml"), "numbers of float32, in which networks compute, are 2048 apart"),
        (("train", "waves.yaml", "-s", "data.path=none.csv"), "data.path: no such file or folder"),
        (("train", "waves.yaml", "-s", "data.features=[word]"), "there must be a column 'word'."),
        (("predict", "waves", "short.csv"), "short.csv: a forecast needs 14 rows. Received 3: add earlier rows."),
        (("predict", "waves", "coarse.csv"), "coarse.csv: the rows must be 1 apart, as those of the training data. R"),
        (("evaluate", "waves", "--data", "coarse.csv"), "Received rows 10 apart."),
        (("predict", "waves", "-"), "-: tables are read from files, not from stdin. Give a CSV file."),
        (("predict", "waves", "--text", "a"), "--text: runs/waves takes tables of numbers: its task is forecasting."),
        (("evaluate", "waves", "--data", "waves.yaml"), "waves.yaml: expected a .csv or .tsf file with the"),
        (("evaluate", "waves", "--data", "short.csv"), "train must have a window of 14 + 7 steps. Received 3 rows:"),
        (("attack", "waves", "--fgsm"), "dlcli attack does not support task: "),
    ],
)  # fmt: skip
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "short.csv").write_text("day,load,wind\n1,2,3\n2,3,4\n3,4,5\n")
    (folder / "coarse.csv").write_text("\n".join(["day,load,wind", *(f"{10 * i},5,1" for i in range(30))]))
    (folder / "flat.csv").write_text("\n".join(["day,load", *(f"{i},5" for i in range(60))]))
    (folder / "flat.yaml").write_text(
        RECIPE.replace("waves.csv", "flat.csv").replace(", features: [wind]", "").replace("season, ", "")
    )
    (folder / "big.csv").write_text("\n".join(["day,load", *(f"{i},{10**9 * i + i % 2}" for i in range(60))]))
    (folder / "big.yaml").write_text((folder / "flat.yaml").read_text().replace("flat.csv", "big.csv"))
    assert message in run(*arguments, folder=folder, status=2).stderr


@pytest.mark.slow
def test_errors_are_those_of_the_digits_in_the_file(folder: Path) -> None:
    values = [123_456_700 + 40 * (i % 3) + i for i in range(300)]
    (folder / "meter.csv").write_text("\n".join(["day,load", *(f"{i},{value}" for i, value in enumerate(values))]))
    recipe = RECIPE.replace("waves.csv", "meter.csv").replace(", features: [wind]", "").replace("season}", "last}")
    (folder / "meter.yaml").write_text(recipe)
    done = run("train", "meter.yaml", "-s", "train.epochs=10", folder=folder)
    assert "is subtracted, and added to the forecasts" in done.stderr
    path = folder / "runs" / "meter" / "evaluation" / "test"
    rows = read_csv(path / "predictions.csv")
    assert [row["true"] for row in rows] == [str(values[int(row["time"])]) for row in rows]
    errors = [values[int(row["after"])] - values[int(row["time"])] for row in rows]
    metrics = read_json(path / "metrics.json")
    assert metrics["naive_rmse"] == pytest.approx(np.mean(np.square(errors)) ** 0.5)
    assert metrics["naive_mae"] == pytest.approx(np.mean(np.abs(errors)))
    assert metrics["mae"] < 15  # of steps of 40: float32 would round to multiples of 8
    saved = keras.saving.load_model(folder / "runs" / "meter" / "model.keras", safe_mode=True)
    inputs = np.array(values[-14:], np.float64)[None, :, None]
    (expected,) = saved(inputs).numpy()
    rows = json.loads(run("predict", "meter", "meter.csv", "--json", folder=folder).stdout)["predictions"]
    assert [row["predicted"] for row in rows] == pytest.approx(expected.tolist(), rel=1e-15)
    found = json.loads(run("explain", "meter", "--limit", 1, "--json", folder=folder).stdout)
    explained = read_csv(folder / found["folder"] / "explanations.csv")[0]
    assert float(explained["predicted"]) == pytest.approx(values[-1], abs=500)


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "waves", tmp_path)
