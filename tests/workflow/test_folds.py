"""Cross-validation: each sample that is not for the test is held out once, and a set that was stopped is resumed."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

RECIPE = """\
task: classification
data: {kind: npz, path: data.npz, test: 0.2, validation: 0.3}
model: {kind: mlp, units: [2]}
train: {epochs: 1, batch_size: 16}
"""


def dlcli(folder: Path, *arguments: str) -> Any:
    return processes.run(*arguments, folder=folder, prepare=processes.without_plots)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 3, 1)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=np.arange(40) % 2)
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def splits(folder: Path, fold: int) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with open(folder / "runs" / f"r-fold{fold}of2" / "split.csv") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["split"], set()).add(row["file"])
    return found


@pytest.mark.slow
def test_each_sample_is_held_out_once_and_the_test_split_is_the_same(folder: Path) -> None:
    result = json.loads(dlcli(folder, "train", "r.yaml", "--folds", "2", "--json").expect(0).stdout)
    one, other = splits(folder, 1), splits(folder, 2)
    assert one["test"] == other["test"]
    assert (len(one["test"]), len(one["validation"]), len(other["validation"])) == (8, 16, 16)
    assert (one["validation"], one["train"]) == (other["train"], other["validation"])
    with open(folder / "runs/r-folds/predictions.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["1"] * 16 + ["2"] * 16
    assert {row["file"] for row in rows} == one["validation"] | other["validation"]
    infos = [json.loads((folder / run / "run.json").read_text()) for run in result["runs"]]
    values = [info["final"]["validation_accuracy"] for info in infos]
    assert result["mean"]["validation_accuracy"] == pytest.approx(np.mean(values))
    assert result["spread"]["validation_accuracy"] == pytest.approx(np.std(values, ddof=1))
    assert np.mean([row["correct"] == "True" for row in rows]) == pytest.approx(np.mean(values))
    assert result["optimistic"] is True
    assert json.loads((folder / "runs/r-folds/folds.json").read_text())["mean"] == result["mean"]

    changed = folder / "runs" / "r-fold2of2" / "run.json"  # as if the second one had been stopped
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "status": "interrupted"}))
    os.utime(folder / "runs/r-fold1of2/model.keras", (0, 0))
    again = json.loads(dlcli(folder, "train", "r.yaml", "--folds", "2", "--json").expect(0).stdout)
    assert again["mean"] == result["mean"]
    assert (folder / "runs/r-fold1of2/model.keras").stat().st_mtime == 0
    assert json.loads(changed.read_text())["status"] == "completed"
    refused = dlcli(folder, "train", "r.yaml", "--folds", "2", "--epochs", "2").expect(2)
    assert "r.yaml: differs from the recipe that runs/r-fold1of2 was trained with: train.epochs was 1" in refused.stderr
    refused = dlcli(folder, "train", "r.yaml", "--folds", "3").expect(2)
    assert "runs/r-folds: is the result of --folds 2. Move or delete it, or choose another --name." in refused.stderr
    (folder / "runs/r-folds").rename(folder / "moved")
    refused = dlcli(folder, "train", "r.yaml", "--folds", "3").expect(2)
    assert (
        "runs/r-fold1of2: is a run of --folds 2. Remove the runs of that set, or choose another --name."
        in refused.stderr
    )

    table = folder / "runs/r-fold2of2/evaluation/validation/predictions.csv"
    lines = table.read_text().splitlines(keepends=True)
    for text, error in (("".join(lines[:3]), "lacks 14 of the samples"), (None, "is missing or has no rows")):
        table.unlink() if text is None else table.write_text(text)
        refused = dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2)
        assert f"predictions.csv: {error}. Evaluate the run again with: dlcli evaluate" in refused.stderr
    table.write_text("".join(lines))
    intact = changed.read_text()
    changed.write_text(intact.replace('"val_accuracy": ', '"val_accuracy": "x", "other": '))
    refused = dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2)
    assert "run.json: is corrupt: the final metric 'val_accuracy' is no number." in refused.stderr
    changed.write_text(intact)

    arrays = dict(np.load(folder / "data.npz"))
    arrays["y_train"][int(next(iter(one["train"])).rpartition("/")[2])] ^= 1
    np.savez(folder / "data.npz", **arrays)
    changed.unlink()  # a fold that is to be trained again would be trained on the other data
    refused = dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2)
    assert "runs/r-fold1of2: was trained on other data: 1 sample with another label" in refused.stderr
    assert not changed.exists()


@pytest.mark.slow
def test_a_fold_that_is_resumed_by_itself_is_evaluated_on_what_it_held_out(folder: Path) -> None:
    fold = ("--set", "data.fold={number: 1, of: 2}", "--name", "r-fold1of2")
    dlcli(folder, "train", "r.yaml", *fold).expect(0)
    dlcli(folder, "train", "--extend", "r-fold1of2", "--epochs", "2").expect(0)
    path = folder / "runs/r-fold1of2/run.json"
    info = json.loads(path.read_text())
    assert (info["evaluated"], sorted(name for name in info["final"] if name.startswith("test_"))) == ("validation", [])
    path.write_text(json.dumps({**info, "evaluated": "test"}))  # as earlier versions did
    refused = dlcli(folder, "train", "r.yaml", "--folds", "2", "--epochs", "2").expect(2)
    assert "runs/r-fold1of2: was evaluated on test, not on its fold." in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--folds", "1"], "--folds"),
        (["--folds", "2", "--seeds", "2"], "--seeds and --folds cannot be combined"),
        (["--folds", "2", "--resume", "x"], "--folds is for a new run"),
        (["--folds", "40"], "data.fold: there must be at least as many samples as folds"),
        (["--set", "data.fold={number: 3, of: 2}"], "data.fold.number: must be at most of, 2. Received 3."),
        (["--folds", "2", "--set", "task=forecasting"], "data"),
    ],
)
def test_bad_folds_are_refused(folder: Path, arguments: list[str], error: str) -> None:
    done = dlcli(folder, "train", "r.yaml", *arguments).expect(2)
    assert error in done.stderr
    assert not (folder / "runs").exists()


def test_what_has_the_name_of_the_results_is_kept(folder: Path) -> None:
    taken = folder / "runs/r-folds"
    taken.mkdir(parents=True)
    (taken / "predictions.csv").write_text("precious")
    error = "runs/r-folds: exists and is not a result of --folds. Move it, or choose another --name."
    assert error in dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2).stderr
    assert [path.name for path in (folder / "runs").rglob("*")] == ["r-folds", "predictions.csv"]
    (taken / "predictions.csv").rename(folder / "mine")
    taken.rmdir()
    (folder / "mine").rename(taken)
    assert error in dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2).stderr
    assert taken.read_text() == "precious"


def test_data_drawn_anew_in_each_epoch_have_no_folds(folder: Path) -> None:
    (folder / "copy.yaml").write_text("task: step_prediction\ndata: {kind: copy}\nmodel: {kind: ntm}\n")
    done = dlcli(folder, "train", "copy.yaml", "--folds", "2").expect(2)
    assert "copy.yaml:2:7: data: --folds is for data that are divided by samples, and for forecasts." in done.stderr


def test_data_with_a_validation_split_of_their_own_have_no_folds(folder: Path) -> None:
    arrays = dict(np.load(folder / "data.npz"))
    np.savez(folder / "data.npz", x_val=arrays["x_train"][:4], y_val=arrays["y_train"][:4], **arrays)
    (folder / "r.yaml").write_text(RECIPE.replace(", validation: 0.3", ""))
    done = dlcli(folder, "train", "r.yaml", "--folds", "2").expect(2)
    assert "data has its own validation split. Move its samples into the training split." in done.stderr
