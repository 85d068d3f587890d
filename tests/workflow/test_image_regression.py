"""Image regression from end to end: training, exact resume, evaluation, prediction and refused input."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

RECIPE = """\
task: image_regression
data: {kind: csv, path: photos, targets: [brightness, level], image_size: 8}
augment: {horizontal_flip: true, mixup: 0.3}
model: {kind: convnet, blocks: [{filters: 4, batch_norm: true}], pooling: average}
train:
  batch_size: 16
  optimizer: {kind: adam, learning_rate: 0.03}
  checkpoint: {steps: 2}
  stages:
    - {name: all, epochs: 4}
    - {name: head, epochs: 4, trainable: head, augment: false}
"""
NUM_IMAGES = 60
WEEK = 700.0  # the second number has another unit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, a table of numbers and the completed run photos."""
    folder: Path = tmp_path_factory.mktemp("image_regression")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,brightness,level"]
    for i in range(NUM_IMAGES):
        pixels = np.clip(rng.normal(rng.uniform(40, 210), 10, (12, 10 + i % 2)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i:02}.png")
        lines.append(f"{i:02}.png,{pixels.mean():.3f},{1000 - WEEK * pixels.mean() / 255:.3f}")
    (folder / "photos" / "numbers.csv").write_text("\n".join(lines) + "\n")
    (folder / "photos.yaml").write_text(RECIPE)
    processes.run("train", "photos.yaml", folder=folder).expect(0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def test_results_equal_those_of_the_model_file_in_plain_keras(made: Path) -> None:
    made_run = made / "runs" / "photos"
    model = keras.saving.load_model(made_run / "model.keras")
    predictions = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    images = [
        Image.open(made / "photos" / row["file"]).resize((8, 8), Image.Resampling.BILINEAR) for row in predictions
    ]
    found = model.predict(np.stack([np.asarray(image, np.float32)[..., None] for image in images]), verbose=0)
    names = ("brightness", "level")
    np.testing.assert_allclose(
        [[float(row[f"predicted_{name}"]) for name in names] for row in predictions], found, rtol=1e-4
    )
    true = np.array([[float(row[f"target_{name}"]) for name in names] for row in predictions])
    in_table = {row["path"]: [float(row[name]) for name in names] for row in read_csv(made / "photos" / "numbers.csv")}
    np.testing.assert_allclose(true, [in_table[row["file"]] for row in predictions])
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    split = {row["file"]: row["split"] for row in read_csv(made_run / "split.csv")}
    train = np.array([values for file, values in in_table.items() if split[file] == "train"])
    errors = np.abs(found - true).mean(axis=0)
    baseline = np.abs(train.mean(axis=0) - true).mean(axis=0)
    assert metrics["mae"] == pytest.approx(errors.mean(), rel=1e-3)
    assert [row["mae"] for row in metrics["targets"]] == pytest.approx(list(errors), rel=1e-3)
    assert [row["baseline_mae"] for row in metrics["targets"]] == pytest.approx(list(baseline), rel=1e-6)
    assert (errors < 0.7 * baseline).all()  # something was learned of both
    assert {row["target"] for row in read_csv(made_run / "evaluation" / "test" / "per_target.csv")} == set(names)
    for name in ("batch.png", "predictions.png", "errors.png", "curves.png"):
        with Image.open(made_run / "plots" / name) as image:
            assert image.size[0] > 100


@pytest.mark.slow  # the resume of image tasks without a class is in the quick tests of several labels
@pytest.mark.parametrize("call", [2, 5, 13])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, call: int) -> None:
    processes.run("train", "photos.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(call))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "photos", folder / "runs" / "killed")


def test_evaluation_on_other_data(folder: Path) -> None:
    again = json.loads(run("evaluate", "photos", "--json", folder=folder).stdout)
    assert again["split"] == "test"
    shutil.copytree(folder / "photos", folder / "new")
    (folder / "new" / "numbers.csv").write_text("path,brightness,level\n00.png,100,500\n01.png,101,501\n")
    found = json.loads(run("evaluate", "photos", "--data", "new", "--json", folder=folder).stdout)
    assert (found["samples"], found["split"]) == (2, "new-all")
    (folder / "new.yaml").write_text(
        "task: image_regression\ndata: {kind: csv, path: new, targets: [level]}\nmodel: {kind: mlp}\n"
    )
    refused = processes.run("evaluate", "photos", "--data", "new.yaml", folder=folder).expect(2)
    assert refused.stderr.splitlines()[-1] == (
        "the data must have the columns that the model predicts, in their order: 'brightness', 'level'. Received "
        "'level'."
    )
    (folder / "new.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: mlp}\n")
    refused = processes.run("evaluate", "photos", "--data", "new.yaml", folder=folder).expect(2)
    assert "not data for task: image_regression" in refused.stderr.splitlines()[-1]


def test_prediction_prints_and_writes_numbers(folder: Path) -> None:
    done = run("predict", "photos", "photos/00.png", "photos/01.png", "-o", "found.csv", folder=folder)
    rows = read_csv(folder / "found.csv")
    assert list(rows[0]) == ["file", "predicted_brightness", "predicted_level"]
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["file", "brightness", "level"]
    assert float(lines[1].split()[2]) == pytest.approx(float(rows[0]["predicted_level"]), abs=1e-3)
    found = json.loads(run("predict", "photos", "photos/00.png", "--json", folder=folder).stdout)["predictions"]
    assert_predicts(folder / "runs" / "photos", [(folder / "photos" / "00.png").read_bytes()], found)
    assert found[0]["predicted"]["brightness"] == pytest.approx(float(rows[0]["predicted_brightness"]), rel=1e-5)


def test_the_other_verbs(folder: Path) -> None:
    assert "only classification." in processes.run("attack", "--fgsm", "photos", folder=folder).expect(2).stderr
    assert run("data", "check", "photos.yaml", folder=folder).stderr.splitlines() == ["photos.yaml: no problems found"]
    targets = json.loads(run("data", "stats", "photos.yaml", "--json", folder=folder).stdout)["targets"]
    assert [row["name"] for row in targets] == ["brightness", "level"]
    run("data", "preview", "photos.yaml", "-o", "preview.png", folder=folder)
    run("train", "photos.yaml", "--dry-run", folder=folder)
    info = json.loads((folder / "runs" / "photos" / "run.json").read_text())
    info["data"]["targets"]["mean"] = [0.5]
    (folder / "runs" / "photos" / "run.json").write_text(json.dumps(info))
    refused = processes.run("predict", "photos", "photos/00.png", folder=folder).expect(2)
    assert "is corrupt: data.targets must be" in refused.stderr


def test_a_run_on_generated_scenes_can_be_overfitted(folder: Path) -> None:
    (folder / "shapes.yaml").write_text(
        "task: image_regression\ndata: {kind: shapes, num_samples: 20, image_size: 16, targets: [center_x]}\n"
        "model: {kind: mlp, units: [64]}\ntrain: {batch_size: 4, optimizer: {kind: adam, learning_rate: 0.003}}\n"
    )
    run("train", "shapes.yaml", "--overfit", "1", folder=folder)
