"""Sequence classification and regression from end to end: training, exact resume, evaluation, prediction, refusals."""

import json
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

WAVES = """\
task: sequence_classification
data: {kind: npz, path: waves.npz}
model: {kind: recurrent, cell: lstm, units: 8, bidirectional: true, dropout: 0.1, pooling: mean}
train: {epochs: 4, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.02}, class_weights: balanced}
"""
ADDING = """\
task: sequence_regression
data: {kind: adding, length: 10, num_samples: 300}
model: {kind: recurrent, cell: gru, units: 8}
train: {epochs: 3, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.01}, best_metric: val_mae}
"""


def waves(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rising and falling lines of 3 to 12 steps in two features, some values missing; padded with NaN."""
    rng = np.random.default_rng(seed)
    x = np.full((num, 12, 2), np.nan, np.float32)
    for i in range(num):
        length = rng.integers(3, 13)
        x[i, :length] = (np.linspace(-1, 1, length) * (1 if i % 2 else -1))[:, None] * 5 + 20
        x[i, :length] += rng.normal(size=(length, 2)) * 0.5
        x[i, rng.integers(0, length), 0] = np.nan
    return x, np.array(["fall", "rise"])[np.arange(num) % 2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed runs waves and adding."""
    folder: Path = tmp_path_factory.mktemp("sequences")
    x, y = waves(160, 0)
    np.savez(folder / "waves.npz", x_train=x, y_train=y)
    (folder / "waves.yaml").write_text(WAVES)
    (folder / "adding.yaml").write_text(ADDING)
    for name in ("waves", "adding"):
        processes.run("train", f"{name}.yaml", folder=folder).expect(0)
    return folder


def test_both_learn_and_report_their_results(made: Path) -> None:
    info = read_json(made / "runs" / "waves" / "run.json")
    assert info["final"]["test_accuracy"] > 0.9
    assert 0.5 < info["final"]["test_baseline_accuracy"] <= 1
    assert info["data"]["steps"] <= 12
    assert np.allclose(info["data"]["scale"]["mean"], 20, atol=1)
    info = read_json(made / "runs" / "adding" / "run.json")
    assert info["final"]["test_mse"] < info["final"]["test_baseline_mse"]
    assert info["final"]["test_ridge_mae"] > 0
    assert info["best"]["metric"] == "val_mae"
    rows = read_csv(made / "runs" / "adding" / "metrics.csv")
    best = min(rows, key=lambda row: float(row["val_mae"]))
    assert info["best"]["epoch"] == int(best["epoch"])  # an error is the better the lower
    assert float(rows[-1]["val_loss"]) * info["data"]["target"]["variance"] == pytest.approx(
        float(rows[-1]["val_mse"]), rel=1e-4
    )
    table = read_csv(made / "runs" / "adding" / "evaluation" / "test" / "predictions.csv")
    errors = np.array([float(row["predicted"]) - float(row["target"]) for row in table])
    assert np.mean(errors**2) == pytest.approx(info["final"]["test_mse"], rel=1e-4)
    assert (made / "runs" / "adding" / "plots" / "predictions.png").exists()


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
@pytest.mark.parametrize("name", [pytest.param("waves", marks=pytest.mark.slow), "adding"])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, name: str) -> None:
    kill = processes.KillAtCheckpoint(2)
    processes.run("train", f"{name}.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / name, folder / "runs" / "killed")


def test_the_saved_models_load_in_plain_keras_and_take_raw_values(made: Path) -> None:
    model = keras.saving.load_model(made / "runs" / "waves" / "model.keras", safe_mode=True)
    x, _ = waves(10, 1)
    found = np.asarray(model(x))
    for i in range(10):
        length = 12 - int(np.isnan(x[i]).all(axis=1)[::-1].argmin())
        np.testing.assert_allclose(np.asarray(model(x[i : i + 1, :length]))[0], found[i], atol=1e-5)
    assert np.isfinite(np.asarray(model(np.full((1, 3, 2), np.nan, np.float32)))).all()
    number = keras.saving.load_model(made / "runs" / "adding" / "model.keras", safe_mode=True)
    assert number(np.zeros((4, 10, 2), np.float32)).shape == (4,)


def test_columns_of_other_tables_are_matched_by_name(folder: Path) -> None:
    rows = [f"{i},{i % 2},{-(i % 2)},{'up' if i % 2 else 'down'}" for i in range(60) for _ in range(3)]
    (folder / "t.csv").write_text("\n".join(["sequence,a,b,label", *rows]))
    (folder / "t.yaml").write_text(
        "task: sequence_classification\ndata: {kind: csv, path: t.csv, allow_leakage: true}\n"
        "model: {kind: recurrent, units: 4}\n"
        "train: {epochs: 8, batch_size: 8, optimizer: {kind: adam, learning_rate: 0.05}}\n"
    )
    run("train", "t.yaml", folder=folder)
    assert read_json(folder / "runs" / "t" / "run.json")["data"]["features"] == ["a", "b"]
    (folder / "s.csv").write_text("sequence,b,a\n" + "u,-1,1\n" * 3 + "d,0,0\n" * 3)
    found = json.loads(run("predict", "t", "s.csv", "--json", folder=folder).stdout)["predictions"]
    assert [row["predicted"] for row in found] == ["up", "down"]
    predictor = assert_predicts(folder / "runs" / "t", [[[1, -1]] * 3, [[0, 0]] * 3], found)
    shown = predictor.show(predictor.read(np.array([[1.0, -1.0]] * 3)))
    assert (shown.explained, list(shown.columns), shown.values.shape) == ("up", ["a", "b"], (3, 2))
    assert shown.values.sum() > 0
    for wrong in ([1, 2], [[1, 2, 3]], [["a", "b"]], [[1e39, 0]]):
        with pytest.raises(InputError, match="the series"):
            predictor.read(np.array(wrong))
    (folder / "s.csv").write_text("sequence,a,c\nu,-1,1\n")
    assert "there must be a column 'b'" in run("predict", "t", "s.csv", folder=folder, status=2).stderr


def test_a_feature_of_too_little_variance_is_refused(folder: Path) -> None:
    x, y = waves(60, 2)
    np.savez(folder / "small.npz", x_train=(x - 20) * 1e-8, y_train=y)
    finished = run("train", "waves.yaml", "-s", "data.path=small.npz", folder=folder, status=2)
    assert "feature 1 varies too little: its standard deviation in the training split must be" in finished.stderr


@pytest.mark.slow
def test_the_scale_comes_from_the_training_split_alone(folder: Path) -> None:
    x, y = waves(60, 2)
    np.savez(folder / "given.npz", x_train=x, y_train=y, x_test=1000 * x, y_test=y, x_val=x + 1, y_val=y)
    run("train", "waves.yaml", "-s", "data.path=given.npz", "-s", "train.epochs=1", "--name", "given", folder=folder)
    scale = read_json(folder / "runs" / "given" / "run.json")["data"]["scale"]
    np.testing.assert_allclose(scale["mean"], np.nanmean(x, axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(scale["variance"], np.nanvar(x, axis=(0, 1)), rtol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        "kind: convolutional, filters: 8",
        pytest.param("kind: inception_time, filters: 8, modules: 3", marks=pytest.mark.slow),
        pytest.param("kind: transformer, units: 8, heads: 2", marks=pytest.mark.slow),
        "kind: recurrent, cell: simple",
    ],
)
@pytest.mark.parametrize("recipe", ["waves.yaml", pytest.param("adding.yaml", marks=pytest.mark.slow)])
def test_every_network_memorizes_a_batch(folder: Path, recipe: str, model: str) -> None:
    settings = ("-s", f"model={{{model}, dropout: 0}}", "-s", "train.batch_size=8")
    done = run("train", recipe, "--overfit", 1, "--json", *settings, folder=folder)
    assert json.loads(done.stdout)["loss"] < 0.01


def test_evaluating_and_predicting_data_of_every_format(folder: Path) -> None:
    x, y = waves(6, 3)
    np.savez(folder / "new.npz", x_test=x, y_test=y)
    lengths = [12 - int(np.isnan(sample).all(axis=1)[::-1].argmin()) for sample in x]
    cells = [["" if np.isnan(value) else repr(float(value)) for value in row] for sample in x for row in sample]
    rows, lines = ["sequence,label,a,b"], ["@classLabel true fall rise", "@data"]
    for i, (length, label) in enumerate(zip(lengths, y, strict=True)):
        own = cells[12 * i : 12 * i + length]
        rows += [f"{i},{label},{a},{b}" for a, b in own]
        lines.append(
            ":".join([*(",".join(cell or "?" for cell in column) for column in zip(*own, strict=True)), label])
        )
    (folder / "new.csv").write_text("\n".join(rows))
    (folder / "new.ts").write_text("\n".join(lines))
    (folder / "new.yaml").write_text(
        WAVES.replace("npz, path: waves.npz", "csv, path: new.csv, validation: 0, test: 0")
    )
    names = ("new.npz", "new.csv", "new.ts", "new.yaml")
    found = [json.loads(run("evaluate", "waves", "--data", name, "--json", folder=folder).stdout) for name in names]
    assert {result["samples"] for result in found} == {6}
    assert max(result["loss"] for result in found) == pytest.approx(min(result["loss"] for result in found), rel=1e-5)
    predicted = []
    for name in names[:3]:
        done = run("predict", "waves", name, "--json", "--output", f"{name}.json", folder=folder)
        predicted.append([row["top"][0]["probability"] for row in json.loads(done.stdout)["predictions"]])
        assert len(json.loads((folder / f"{name}.json").read_text())) == 6
    np.testing.assert_allclose(predicted[1:], predicted[:1] * 2, rtol=1e-5)
    np.savez(folder / "sums.npz", x=np.zeros((3, 10, 2), np.float32))
    shown = run("predict", "adding", "sums.npz", "--output", "sums.csv", folder=folder).stdout.splitlines()
    found = json.loads(run("predict", "adding", "sums.npz", "--json", folder=folder).stdout)["predictions"]
    assert_predicts(folder / "runs" / "adding", list(np.zeros((3, 10, 2))), found)
    assert shown[0].split() == ["file", "predicted"]
    assert len(shown) == 4
    assert list(read_csv(folder / "sums.csv")[0]) == ["file", "predicted"]


def test_summaries_of_recipes_and_runs_agree(folder: Path) -> None:
    for name in ("waves", "adding"):
        recipe, done = (run("summary", source, "--csv", folder=folder).stdout for source in (f"{name}.yaml", name))
        assert recipe == done
        assert "not counted" not in recipe
    text = run("summary", "adding.yaml", "-s", "model.cell=simple", folder=folder).stdout
    assert text.splitlines()[-1] == "On a GPU: cell: simple has no cuDNN kernel (lstm and gru do)"
    assert "On a GPU" not in run("summary", "adding.yaml", folder=folder).stdout


@pytest.mark.slow
def test_explanations_add_up_to_the_prediction(folder: Path) -> None:
    result = json.loads(run("explain", "adding", "--limit", 3, "--json", folder=folder).stdout)
    made = folder / "runs" / "adding" / "explanations" / "integrated"
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "explanations.csv", "importance.csv", "maps.npz", "maps.png")
    ]
    model = keras.saving.load_model(folder / "runs" / "adding" / "model.keras")
    with np.load(made / "maps.npz") as arrays:
        values, shares = arrays["values"], arrays["integrated"]
        assert shares.shape == values.shape == (3, 10, 2)
        assert arrays["outputs"].tolist() == ["value"] * 3
    means = read_json(folder / "runs" / "adding" / "run.json")["data"]["scale"]["mean"]
    start = np.broadcast_to(np.float32(means), (1, 10, 2))
    predicted = np.asarray(model(values, training=False))
    differences = predicted - np.asarray(model(start, training=False))
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), differences, rtol=0.012, atol=1e-4)
    rows = read_csv(made / "explanations.csv")
    np.testing.assert_allclose([float(row["predicted"]) for row in rows], predicted, rtol=1e-4)
    parts = {row["part"]: float(row["error_increase"]) for row in read_csv(made / "importance.csv")}
    assert list(parts)[:2] == ["column feature 1", "column feature 2"]
    assert len(parts) == 2 + 8
    assert next(iter(result["tables"])) == "explained"


@pytest.mark.slow
def test_gradient_norms_of_two_runs(folder: Path) -> None:
    result = json.loads(
        run("explain", "adding", "--gradient-norms", "--beside", "waves", "--json", folder=folder).stdout
    )
    assert [(row["run"], row["layer"], row["steps"]) for row in result["networks"]] == [
        ("adding", "gru1", 10),
        ("waves", "lstm1", result["networks"][1]["steps"]),
    ]
    made = folder / "runs" / "adding" / "explanations" / "gradient-norms"
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "gradient_norms.csv", "gradient_norms.png")
    ]
    rows = [row for row in read_csv(made / "gradient_norms.csv") if row["run"] == "adding"]
    assert [int(row["step"]) for row in rows] == list(range(-1, -11, -1))
    ratio = (float(rows[-1]["initial"]) / float(rows[0]["initial"])) ** (1 / 9)
    assert result["networks"][0]["ratio_initial"] == pytest.approx(ratio, rel=1e-4)
    again = run("explain", "adding", "--gradient-norms", "--beside", "waves", folder=folder).stdout
    assert again.splitlines()[-1] == "files in runs/adding/explanations/gradient-norms"
    run("report", "adding", folder=folder)
    page = (folder / "runs" / "adding" / "report.html").read_text()
    assert "Gradient norms by steps before the end" in page
    assert "There are no explanations of what the model predicts." in page


@pytest.mark.slow
def test_a_check_of_series_of_several_lengths(folder: Path) -> None:
    done = run("explain", "waves", "--check", "--limit", 4, "--name", "checked", folder=folder)
    assert "area below the probability of the class" in done.stdout
    check = read_json(folder / "runs" / "waves" / "explanations" / "checked" / "check.json")
    assert list(check["deletion"]) == ["integrated", "random", "deviation", "recent"]
    assert check["randomization"]["methods"]["integrated"]["weak"].startswith("weak: on 4 samples; ")


@pytest.mark.slow
def test_gates_of_a_run(folder: Path) -> None:
    result = json.loads(run("explain", "waves", "--gates", "--limit", "2", "--json", folder=folder).stdout)
    assert (result["layer"], result["sequences"]) == ("lstm1", 2)
    assert [row["gate"] for row in result["gates"]] == ["forget", "input", "output"]
    made = folder / "runs" / "waves" / "explanations" / "gates"
    names = ["explanation.json", "gates.csv", "gates.npz", "gates.png"]
    assert sorted(path.name for path in made.iterdir()) == names
    rows = read_csv(made / "gates.csv")
    with np.load(made / "gates.npz") as arrays:
        first = [row for row in rows if row["sequence"] == "1"]
        means = [float(row["forget"]) for row in first]
        np.testing.assert_allclose(means, arrays["forget"].mean(axis=1), rtol=1e-4)
        assert arrays["inputs"].shape[0] == len(first)
    assert {row["sequence"] for row in rows} == {"1", "2"}
    assert "update" in run("explain", "adding", "--gates", folder=folder).stdout
    run("report", "adding", folder=folder)


@pytest.mark.slow
def test_explanations_of_series_of_several_lengths(folder: Path) -> None:
    x, _ = waves(4, 5)
    np.savez(folder / "new.npz", x=x)
    done = run("explain", "waves", "new.npz", "--class", "rise", "--method", "gradient-x-input", folder=folder)
    assert "explaining 4 of 4 series by gradient-x-input" in done.stderr
    made = folder / "runs" / "waves" / "explanations" / "gradient-x-input"
    rows = read_csv(made / "explanations.csv")
    assert [(row["output"], row["true"]) for row in rows] == [("rise", "")] * 4
    with np.load(made / "maps.npz") as arrays:
        lengths = (~np.isnan(arrays["gradient-x-input"][..., 1])).sum(axis=1)
    np.testing.assert_array_equal(lengths, (~np.isnan(x[..., 1])).sum(axis=1))
    assert "steps, 0/8 to 1/8 of the length" in (made / "importance.csv").read_text()
    run("report", "waves", folder=folder)
    page = (folder / "runs" / "waves" / "report.html").read_text()
    assert "Maps of what speaks for and against" in page
    assert "dlcli explain runs/waves --check" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "waves.yaml", "-s", "data.path=none.npz"), "data.path: no such file or folder"),
        (("train", "waves.yaml", "-s", "data={kind: adding}"), "kind 'adding' is for task: sequence_regression"),
        (("train", "adding.yaml", "-s", "train.class_weights=balanced"), "train.class_weights: this key is for task: "),
        (("train", "adding.yaml", "-s", "train.best_metric=val_accuracy"), "value 'val_accuracy' is for task: "),
        (("train", "adding.yaml", "-s", "model={kind: transformer, units: 9}"), "model.heads: must divide units, 9."),
        (("train", "waves.yaml", "-s", "model.units=10000000"), "training this network takes at least"),
        (("train", "empty.yaml"), "empty.yaml:2:7: data: feature 2 has no values in the training split; remove it"),
        (("train", "same.yaml"), "same.yaml:2:7: data: the numbers to predict must vary, but are all 2"),
        (("predict", "waves", "--text", "a"), "--text: runs/waves takes sequences of numbers: its task is"),
        (("predict", "waves", "sums.npz"), "every step must have 2 features, as in training. Received 3."),
        (("evaluate", "waves", "--data", "sums.npz"), "there must be arrays x_train and y_train. Received 'x'."),
        (("evaluate", "adding", "--data", "waves.npz"), "waves.npz: y_train must be one finite number for each sample"),
        (("summary", "waves.yaml", "--input", "3x3x1", "--classes", "2"), "--input: waves.yaml takes "),
        (("explain", "waves", "--method", "leave-one-out"), "Use auto, integrated or gradient-x-input."),
        (("explain", "adding", "--class", "a"), "--class: does not apply to explanations of runs/adding"),
        (("explain", "waves", "--beside", "adding"), "--beside is for --gradient-norms."),
        (("explain", "waves", "--gates", "--check"), "--gates cannot be combined with --check."),
        (("explain", "waves", "--gates", "--gradient-norms"), "--gradient-norms cannot be combined with --gates."),
        (("explain", "waves", "--gradient-norms", "--check"), "--gradient-norms cannot be combined with --check."),
        (("explain", "waves", "waves.npz", "--gradient-norms"), "--gradient-norms cannot be combined with a PATH."),
        (("explain", "waves", "--target", "1"), "--target: does not apply to explanations of runs/waves"),
        (("explain", "waves", "sums.npz"), "every step must have 2 features, as in training. Received 3."),
        (("attack", "waves", "--fgsm"), "dlcli attack does not support task: "),
    ],
)  # fmt: skip
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    x = np.full((20, 3, 2), np.nan, np.float32)
    x[..., 0] = np.arange(20)[:, None]
    np.savez(folder / "empty.npz", x_train=x, y_train=np.arange(20) % 2)
    np.savez(folder / "same.npz", x_train=x[..., :1], y_train=np.full(20, 2.0))
    np.savez(folder / "sums.npz", x=np.zeros((3, 10, 3), np.float32))
    (folder / "empty.yaml").write_text(WAVES.replace("waves.npz", "empty.npz"))
    (folder / "same.yaml").write_text(ADDING.replace("adding, length: 10, num_samples: 300", "npz, path: same.npz"))
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    done = run(*arguments, folder=folder, status=2)
    assert message in done.stderr
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "waves", tmp_path)
    assert_usable(made / "runs" / "adding", tmp_path)
