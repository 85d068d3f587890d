"""``dlcli train`` from the command line: output, files and each option."""

import json
import os
import statistics
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import yaml
from PIL import Image
from run_outcome import TINY, assert_same_but_name, leftovers, rows  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

COLUMNS = ["stage", "epoch", "step", "seconds", "learning_rate", "gradient_norm"]
METRICS = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def run(*arguments: object, folder: Path, status: int = 0) -> processes.Finished:
    """Runs dlcli without plots and expects an exit status."""
    return processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(status)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


# The installed command, with nothing left out ------------------------------------------------------------------------


def test_contents_of_a_run(trained: Path) -> None:
    checkpoint = read_json(trained / "checkpoints.json")["last"]
    files = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    events = {file for file in files if file.startswith("tensorboard/")}
    assert len(events) == 1
    assert files - events >= {
        *("recipe.yaml", "config.yaml", "run.json", "labels.json", "model.txt", "split.csv", "metrics.csv"),
        *("checkpoints.json", "model.keras", "train.log"),
        *(f"checkpoints/{checkpoint}/{name}" for name in ("variables.npz", "state.json", "manifest.json")),
        *(f"evaluation/test/{name}" for name in ("metrics.json", "per_class.csv", "predictions.csv")),
        *(f"plots/{name}.png" for name in ("curves", "confusion_matrix", "batch", "mistakes")),
    }
    assert leftovers(trained) == []
    assert (trained / "recipe.yaml").read_text() == TINY


def test_plots_are_images_with_something_on_them(trained: Path) -> None:
    plots = [*(trained / "plots").glob("*.png"), *(trained / "evaluation").rglob("*.png")]
    assert len(plots) >= 4
    for path in plots:
        with Image.open(path) as image:
            assert min(image.size) > 100
            assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_metrics_and_run_json(trained: Path) -> None:
    table = read_csv(trained / "metrics.csv")
    assert list(table[0]) == [*COLUMNS, *METRICS]
    assert [(row["stage"], row["epoch"], row["step"]) for row in table] == [("train", "1", "4"), ("train", "2", "8")]
    info = read_json(trained / "run.json")
    assert (info["status"], info["seed"], info["task"]) == ("completed", 0, "classification")
    assert info["data"]["samples"] == {"train": 60, "validation": 60, "test": 60}
    best = min(table, key=lambda row: float(row["val_loss"]))
    assert info["best"] == {"epoch": int(best["epoch"]), "metric": "val_loss", "value": info["best"]["value"]}
    assert info["best"]["value"] == pytest.approx(float(best["val_loss"]), rel=1e-8)
    metrics = read_json(trained / "evaluation" / "test" / "metrics.json")
    assert metrics["trained_on"] == 0
    for name, value in info["final"].items():
        assert value == pytest.approx(float(best[name]) if name in best else metrics[name.removeprefix("test_")])
    assert {*METRICS, "test_loss", "test_accuracy", "test_top_5_accuracy", "test_log_loss"} <= set(info["final"])
    assert info["started"] < info["finished"]
    assert info["command"] == ["dlcli", "train", "tiny.yaml"]
    assert {"dlcli", "tensorflow", "keras", "numpy", "python"} <= set(info["versions"])
    assert read_json(trained / "labels.json") == {"classes": [str(digit) for digit in range(10)]}


def test_predictions_and_split(trained: Path) -> None:
    split = read_csv(trained / "split.csv")
    assert len({row["file"] for row in split}) == len(split) == 180
    test = {row["file"]: row["label"] for row in split if row["split"] == "test"}
    predictions = read_csv(trained / "evaluation" / "test" / "predictions.csv")
    assert {row["file"]: row["label"] for row in predictions} == test
    correct = 0
    for row in predictions:
        probabilities = {label: float(row[f"p_{label}"]) for label in "0123456789"}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert row["predicted"] == max(probabilities, key=probabilities.__getitem__)
        correct += row["predicted"] == row["label"]
    assert read_json(trained / "run.json")["final"]["test_accuracy"] == pytest.approx(correct / 60)
    support = [int(row["support"]) for row in read_csv(trained / "evaluation" / "test" / "per_class.csv")]
    assert sum(support) == 60


def test_results_on_stdout_and_progress_on_stderr(as_installed: tuple[Path, processes.Finished]) -> None:
    folder, said = as_installed
    info = read_json(folder / "runs" / "tiny" / "run.json")
    first, headline, worst, *others = said.stdout.splitlines()
    assert first.startswith(f"runs/tiny: best epoch {info['best']['epoch']}, val_loss ")
    assert headline == f"test_accuracy: {info['final']['test_accuracy']:.4f}"
    recalls = {
        f"{row['class']} ({float(row['recall']):.4f})": float(row["recall"])
        for row in read_csv(folder / "runs" / "tiny" / "evaluation" / "test" / "per_class.csv")
    }
    assert worst.startswith("lowest recall: ")
    named = [recalls.pop(part) for part in worst.removeprefix("lowest recall: ").split(", ")]
    assert len(named) == 3
    assert named == sorted(named)
    assert max(named) <= min(recalls.values())
    assert [line.split()[0] for line in others] == [name for name in info["final"] if name != "test_accuracy"]
    # nothing of TensorFlow's: these lines and no others
    *progress, beaten, neglected = said.stderr.splitlines()
    openings = [line.split()[0] for line in progress]
    assert openings == ["run", "data:", "train:", "model:", "stage", "epoch", "epoch"]
    assert beaten.startswith("no better than the baseline, logistic regression on ")
    assert neglected.endswith("; see train.class_weights and data.sampling")  # a run this tiny predicts few classes
    log = (folder / "runs" / "tiny" / "train.log").read_text()
    for line in said.stderr.splitlines():
        assert line in log


def test_config_yaml_reproduces_the_run(trained: Path, tmp_path: Path) -> None:
    run("train", trained / "config.yaml", "--name", "again", folder=tmp_path)
    assert rows(tmp_path / "runs" / "again") == rows(trained)


def test_python_m_dlcli() -> None:
    command = [sys.executable, "-m", "dlcli", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("dlcli, version ")


def bar_in_a_terminal() -> None:
    """Makes stderr a terminal whose output goes to the file ``terminal``."""
    processes.without_plots()
    master, slave = os.openpty()
    os.dup2(slave, 2)

    def copy() -> None:
        with open("terminal", "ab", buffering=0) as file:
            while True:
                file.write(os.read(master, 4096))

    threading.Thread(target=copy, daemon=True).start()


def test_a_terminal_shows_a_progress_bar(folder: Path) -> None:
    arguments = ("train", "tiny.yaml", "--epochs", "3")
    processes.run(*arguments, folder=folder, prepare=bar_in_a_terminal).expect(0)
    shown = (folder / "terminal").read_text()
    assert "samples/s" in shown
    assert "epoch 3/3" in shown
    assert "Traceback" not in shown


# Options --------------------------------------------------------------------------------------------------------------


def test_overrides(folder: Path) -> None:
    arguments = ("--name", "slow", "--runs", "elsewhere/deep", "--seed", 7, "--epochs", 1, "--batch-size", 20)
    sets = ("--limit", 50, "-s", "train.optimizer.learning_rate=1/1000", "--set", "model.blocks.0.filters=3")
    done = run("train", "tiny.yaml", *arguments, *sets, "--deterministic", "--device", "cpu", folder=folder)
    assert done.stdout.startswith("elsewhere/deep/slow: best epoch 1, ")
    found = folder / "elsewhere" / "deep" / "slow"
    config, info = yaml.safe_load((found / "config.yaml").read_text()), read_json(found / "run.json")
    assert config == info["config"]
    assert config["name"] == "slow"
    assert (config["train"]["seed"], config["train"]["epochs"], config["train"]["batch_size"]) == (7, 1, 20)
    assert config["train"]["optimizer"] == {**config["train"]["optimizer"], "kind": "adam", "learning_rate": 0.001}
    assert config["train"]["deterministic"] is True
    assert config["model"]["blocks"][0]["filters"] == 3
    assert info["data"]["samples"]["train"] == 50
    assert rows(found)[0]["step"] == "3"
    assert rows(found)[0]["learning_rate"] == "0.001"
    assert not (folder / "runs").exists()


def test_same_seed_same_run_and_no_name_is_used_twice(folder: Path) -> None:
    command = ["train", "tiny.yaml", "--epochs", 1, "-q"]
    processes.run_all(command, command, [*command, "--seed", 1], folder=folder)
    first, second = folder / "runs" / "tiny", folder / "runs" / "tiny-2"
    assert_same_but_name(first, second)
    assert rows(folder / "runs" / "tiny-3")[0]["train_loss"] != rows(first)[0]["train_loss"]


def test_two_concurrent_runs_get_two_folders(folder: Path) -> None:
    arguments = ("train", "tiny.yaml", "--epochs", 1, "--name", "same")
    started = [processes.start(*arguments, folder=folder, prepare=processes.without_plots) for _ in range(2)]
    for process in started:
        process.finish().expect(0)
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["same", "same-2"]
    assert rows(folder / "runs" / "same") == rows(folder / "runs" / "same-2")


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "a" * 81])
def test_invalid_names_are_refused_first(folder: Path, name: str) -> None:
    done = run("train", "tiny.yaml", "--name", name, folder=folder, status=2)
    assert done.stderr.startswith("a run name must be at most 80 letters, digits")
    assert not (folder / "runs").exists()


def test_a_long_recipe_name_is_shortened(folder: Path) -> None:
    recipe = folder / f"{'long ' * 30}.yaml"
    recipe.write_text(TINY)
    run("train", recipe.name, "--epochs", 1, folder=folder)
    (found,) = (folder / "runs").iterdir()
    assert len(found.name) == 80
    run("evaluate", folder=folder)


def test_json_and_quiet(folder: Path) -> None:
    done = run("train", "tiny.yaml", "--epochs", 1, "--json", "-q", folder=folder)
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result == {"run": "runs/tiny", **read_json(folder / "runs" / "tiny" / "run.json")}
    json.dumps(result, allow_nan=False)


def test_several_seeds(folder: Path) -> None:
    done = run("train", "tiny.yaml", "--epochs", 1, "--seeds", 2, "--seed", 5, "--json", "-q", folder=folder)
    results = json.loads(done.stdout)
    assert results["seeds"] == [5, 6]
    assert results["runs"] == ["runs/tiny-seed5", "runs/tiny-seed6"]
    infos = [read_json(folder / run / "run.json") for run in results["runs"]]
    assert [info["seed"] for info in infos] == [5, 6]
    assert infos[0]["data"]["fingerprint"] == infos[1]["data"]["fingerprint"]  # one split for all seeds
    for name in ("test_accuracy", "val_loss"):
        values = [info["final"][name] for info in infos]
        assert values[0] != values[1] or name == "test_accuracy"
        assert results["mean"][name] == pytest.approx(statistics.mean(values))
        assert results["spread"][name] == pytest.approx(statistics.stdev(values))


def test_dry_run_shows_the_plan_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = processes.run("train", "tiny.yaml", "--dry-run", folder=folder).expect(0)
    for expected in (
        "stage1",
        "logits",
        "2,542",
        "MiB",
        "epochs 2, steps 8",
        "learning rate 0.01",
        "batch: x [16, 12, 12, 1]",
    ):
        assert expected in done.stdout
    assert done.stdout.endswith("nothing was trained or written\n")
    plan = json.loads(processes.run("train", "tiny.yaml", "--dry-run", "--json", folder=folder).expect(0).stdout)
    assert plan["batch"] == {"x": [16, 12, 12, 1], "y.class": [16], "weight": [16]}
    assert plan["schedule"][0]["steps"] == 8
    assert [path for path in sorted(folder.iterdir()) if not path.name.startswith(".output")] == before


def test_overfitting_a_batch(folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = run("train", "tiny.yaml", "--overfit", 1, folder=folder)
    assert done.stdout.startswith("overfitted: loss ")
    assert "on 16 samples" in done.stdout
    facts = json.loads(run("train", "tiny.yaml", "--overfit", 2, "--json", "-q", folder=folder).stdout)
    assert facts["samples"] == 32
    assert facts["loss"] < 0.01
    assert facts["accuracy"] == 1.0
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_failing_to_overfit_is_reported(folder: Path) -> None:
    arguments = ("--overfit", 1, "-s", "train.optimizer.learning_rate=1e-9")
    done = run("train", "tiny.yaml", *arguments, folder=folder, status=1)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("not overfitted: after 2000 steps on 16 samples the loss is ")


@pytest.mark.parametrize(("device", "expected"), [("gpu:9", "--device gpu:9: no such GPU"), ("tpu", "Received 'tpu'")])
def test_a_missing_device(folder: Path, device: str, expected: str) -> None:
    done = run("train", "tiny.yaml", "--device", device, folder=folder, status=2)
    assert expected in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_saves_a_float32_model(folder: Path, precision: str) -> None:
    run("train", "tiny.yaml", "--precision", precision, "--epochs", 1, folder=folder)
    found = folder / "runs" / "tiny"
    assert read_json(found / "run.json")["config"]["train"]["precision"] == precision
    with zipfile.ZipFile(found / "model.keras") as archive:
        text = archive.read("config.json").decode()
    assert '"float32"' in text
    assert "float16" not in text
    final = read_json(found / "run.json")["final"]
    again = json.loads(run("evaluate", "--json", folder=folder).stdout)
    assert again["loss"] == pytest.approx(final["test_loss"], rel=1e-6)
    # the same network in both precisions: near the loss that training measured
    validation = json.loads(run("evaluate", "--split", "validation", "--json", folder=folder).stdout)
    assert validation["loss"] == pytest.approx(final["val_loss"], rel=0.02)


def test_an_invalid_precision_is_an_error_of_the_option(folder: Path) -> None:
    done = run("train", "tiny.yaml", "--precision", "float64", folder=folder, status=2)
    assert done.stderr.startswith("--precision float64: train.precision: ")


# Errors of the recipe that only the data show ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["data.validation=0", "train.best_metric=val_loss"], "val_loss needs a validation split"),
        (["train.class_weights={cat: 1}"], "expected a weight for each class; missing: 0, 1"),
        (
            ["train.stages=[{name: a, epochs: 1, trainable: stage7}]"],
            "expected all, head, a number of layers, or one of stage1",
        ),
        (["train.stages=[{name: a, epochs: 1, trainable: 99}]"], "the network has 4 layers with weights"),
        (["model={kind: lenet5}"], "lenet5 needs grayscale images of 32x32 or 28x28 pixels"),
        (["data={kind: folder, path: nowhere}"], "no such file or folder"),
    ],
)
def test_errors_that_the_data_show(folder: Path, settings: list[str], expected: str) -> None:
    options = [part for setting in settings for part in ("-s", setting)]
    if any("stages" in setting for setting in settings):
        (folder / "tiny.yaml").write_text(TINY.replace("  epochs: 2\n", ""))
    done = run("train", "tiny.yaml", *options, folder=folder, status=2)
    assert expected in done.stderr
    assert not (folder / "runs").exists()
