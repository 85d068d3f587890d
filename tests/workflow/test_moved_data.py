"""Data that moved after a run was started: --data names the new place; other data are compared by their content."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]
from unfinished import unfinished  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: classification
data: {kind: folder, path: photos, image_size: [8, 8]}
model: {kind: mlp, units: [4]}
train: {epochs: 2, batch_size: 8}
"""
NUM = 12  # images of each class


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images and the completed run of them."""
    folder: Path = tmp_path_factory.mktemp("moved")
    rng = np.random.default_rng(0)
    for label in ("ants", "bees"):
        (folder / "photos" / label).mkdir(parents=True)
        for i in range(NUM):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / "photos" / label / f"{i}.png")
    (folder / "photos.yaml").write_text(RECIPE)
    run("train", "photos.yaml", folder=folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, whose images are now in ``elsewhere``; where the run looks for them there are none."""
    shutil.copytree(made / "photos", tmp_path / "elsewhere")
    shutil.copytree(made / "runs", tmp_path / "runs")
    config = tmp_path / "runs" / "photos" / "config.yaml"
    info = config.with_name("run.json")
    for path in (config, info):
        path.write_text(path.read_text().replace(str(made / "photos"), str(tmp_path / "photos")))
    return tmp_path


def test_the_runs_own_splits_are_evaluated(folder: Path) -> None:
    final = read_json(folder / "runs" / "photos" / "run.json")["final"]
    assert "no such file or folder" in run("evaluate", folder=folder, status=2).stderr
    result = json.loads(run("evaluate", "--data", "elsewhere", "--json", folder=folder).stdout)
    assert (result["split"], result["trained_on"]) == ("test", 0)
    assert result["loss"] == pytest.approx(final["test_loss"], rel=1e-6)


def test_images_of_training_in_other_data_are_counted(folder: Path) -> None:
    rows = read_csv(folder / "runs" / "photos" / "split.csv")
    trained = [row["file"] for row in rows if row["split"] == "train"]
    others = [row["file"] for row in rows if row["split"] != "train"]
    (folder / "elsewhere" / others[0]).unlink()
    (folder / "elsewhere" / trained[0]).rename(folder / "elsewhere" / "ants" / "renamed.png")
    done = run("evaluate", "--data", "elsewhere", "--json", folder=folder)
    line = f"{len(trained)} of {2 * NUM - 1} images were in the training split: not a test score"
    assert line in done.stderr
    result = json.loads(done.stdout)
    assert (result["split"], result["trained_on"]) == ("elsewhere-all", len(trained))
    metrics = folder / "runs" / "photos" / "evaluation" / "elsewhere-all" / "metrics.json"
    assert read_json(metrics)["trained_on"] == len(trained)


def test_a_run_is_resumed_and_remembers_the_place(made: Path, folder: Path) -> None:
    path = folder / "runs" / "photos"
    stopped = unfinished(path, folder / "stopped")
    advice = run("train", "--resume", stopped, folder=folder, status=2).stderr
    assert "give another path with --data PATH" in advice
    settings = ("-s", "train.epochs=3")
    refused = run("train", "--resume", stopped, "--data", "elsewhere", *settings, folder=folder, status=2).stderr
    assert "train.epochs was 2 and is 3" in refused
    run("train", "--resume", stopped, "--data", "elsewhere", folder=folder)
    info = read_json(stopped / "run.json")
    assert info["final"] == read_json(path / "run.json")["final"]
    (move,) = info["moved"]
    assert move["data.path"] == {"from": str(folder / "photos"), "to": str(folder / "elsewhere")}
    assert info["config"]["data"]["path"] == str(folder / "elsewhere")
    run("evaluate", stopped, folder=folder)
    run("train", "--extend", stopped, "--epochs", "3", folder=folder)
    assert len(read_csv(stopped / "metrics.csv")) == 3


def test_a_run_is_extended_only_with_the_same_data(folder: Path) -> None:
    path, extend = folder / "runs" / "photos", ("train", "--extend", "photos", "--epochs", "3")
    files = {name: (path / name).read_bytes() for name in ("config.yaml", "run.json", "metrics.csv")}
    image = next((folder / "elsewhere" / "ants").iterdir())
    content = image.read_bytes()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image)
    refused = run(*extend, "--data", "elsewhere", folder=folder, status=2).stderr
    assert f"1 sample changed (ants/{image.name})" in refused
    assert {name: (path / name).read_bytes() for name in files} == files
    image.write_bytes(content)
    run(*extend, "--data", "elsewhere", folder=folder)
    assert read_json(path / "run.json")["moved"][0]["data.path"]["to"] == str(folder / "elsewhere")
    assert len(read_csv(path / "metrics.csv")) == 3
