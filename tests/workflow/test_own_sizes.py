"""Images of their own sizes from end to end: training, exact resume, evaluation, prediction, refusals."""

import csv
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

from dlcli.errors import InputError
from dlcli.rundir.tables import read_csv

SIZES = ((14, 18), (18, 14), (12, 12), (20, 16))  # height, width: of images in turn
CLASSES = ("dark", "light")
DATA = "{kind: folder, path: photos, resize: none, validation: 0.25, test: 0.25}"
MODEL = "{kind: convnet, blocks: [{filters: 4, batch_norm: true}, {filters: 8}], pooling: average}"
RECIPE = f"""\
task: classification
data: {DATA}
augment: {{horizontal_flip: true, rotation_range: 5}}
model: {MODEL}
train: {{epochs: 3, batch_size: 4, optimizer: {{kind: adam, learning_rate: 0.01}}, checkpoint: {{steps: 1}}}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of several sizes, and the completed run sizes."""
    folder: Path = tmp_path_factory.mktemp("sizes")
    random = np.random.default_rng(0)
    with (folder / "photos.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "is_light", "is_tall", "brightness"])
        for i in range(48):
            (height, width), label = SIZES[i % 4], i % 3 % 2
            path = folder / "photos" / CLASSES[label] / f"{i:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 120, (height, width, 3), np.uint8) + np.uint8(label * 90)
            Image.fromarray(pixels).save(path)
            table.writerow([path.relative_to(folder), label, int(height > width), pixels.mean()])
    (folder / "sizes.yaml").write_text(RECIPE)
    done = run("train", "sizes.yaml", folder=folder)
    assert "images of 4 sizes from 12x12 to 20x16, not resized" in done.stderr
    assert "batches of one size each: " in done.stderr
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def image_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(np.float32)


def test_evaluation_and_prediction_are_those_of_the_model_file_image_by_image(folder: Path) -> None:
    done = folder / "runs" / "sizes"
    data = json.loads((done / "run.json").read_text())["data"]
    assert data["shape"] == [None, None, 3]
    assert data["images"]["resize"] == "none"
    model = keras.saving.load_model(done / "model.keras")
    assert model.input_shape == (None, None, None, 3)
    rows = read_csv(done / "evaluation" / "test" / "predictions.csv")
    right = 0
    for row in rows:
        probabilities = np.asarray(model(image_of(folder / "photos" / row["file"])[None]))[0]
        np.testing.assert_allclose([float(row[f"p_{name}"]) for name in CLASSES], probabilities, atol=1e-5)
        right += CLASSES[int(probabilities.argmax())] == row["file"].split("/")[0]
    metrics = json.loads((done / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["accuracy"] == right / len(rows)
    assert len({image_of(folder / "photos" / row["file"]).shape for row in rows}) > 1

    (folder / "new").mkdir()
    Image.new("RGB", (40, 30), "white").save(folder / "new" / "large.png")  # of a size that is not in training
    Image.new("RGB", (50, 3), "white").save(folder / "new" / "low.png")
    found = run("predict", "sizes", "new", "photos/dark", "--json", folder=folder)
    predictions = json.loads(found.stdout)
    assert predictions["left_out"] == [
        ["new/low.png", "too small: the network takes images of at least 4x4 pixels. It has 3x50"]
    ]
    samples = [(folder / row["file"]).read_bytes() for row in predictions["predictions"]]
    predictor = assert_predicts(done, samples, predictions["predictions"])
    with pytest.raises(InputError, match=r"images of at least 4x4 pixels\. Received 3x50"):
        predictor.read((folder / "new" / "low.png").read_bytes())
    named = {row["file"]: row for row in predictions["predictions"]}
    assert len(named) == 1 + len(list((folder / "photos" / "dark").iterdir()))
    for name in ("new/large.png", "photos/dark/02.png", "photos/dark/03.png"):
        expected = np.asarray(model(image_of(folder / name)[None]))[0]
        assert named[name]["confidence"] == pytest.approx(float(expected.max()), abs=1e-5)


def test_other_data_statistics_previews_and_costs(folder: Path) -> None:
    own = json.loads((folder / "runs" / "sizes" / "evaluation" / "test" / "metrics.json").read_text())
    (folder / "resized.yaml").write_text(RECIPE.replace("resize: none", "image_size: 8"))
    other = json.loads(run("evaluate", "sizes", "--data", "resized.yaml", "--json", folder=folder).stdout)
    assert other["accuracy"] == own["accuracy"]
    assert other["loss"] == pytest.approx(own["loss"])
    stats = json.loads(run("data", "stats", "sizes.yaml", "--json", folder=folder).stdout)
    train = [row["file"] for row in read_csv(folder / "runs" / "sizes" / "split.csv") if row["split"] == "train"]
    pixels = np.concatenate([image_of(folder / "photos" / file).reshape(-1, 3) for file in train])
    np.testing.assert_allclose(stats["mean"], pixels.mean(axis=0), rtol=1e-5)
    assert (stats["shape"], stats["sizes"]) == ([None, None, 3], "4 sizes from 12x12 to 20x16")
    run("data", "preview", "sizes.yaml", "--samples", "3", "--epochs", "1", folder=folder)
    of_recipe = json.loads(run("summary", "sizes.yaml", "--json", folder=folder).stdout)
    of_run = json.loads(run("summary", "sizes", "--json", folder=folder).stdout)
    assert of_recipe["layers"] == of_run["layers"]


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    small = folder / "photos" / "dark" / "small.png"
    Image.new("RGB", (9, 5)).save(small)
    blocks = "model.blocks=[{filters: 4, kernel_size: 7, padding: valid}]"
    done = run("train", "sizes.yaml", "--dry-run", "-s", blocks, folder=folder, status=2)
    assert "the network takes images of at least 8x8 pixels" in done.stderr
    assert done.stderr.endswith("Received dark/small.png (5x9)\n")
    assert run("attack", "sizes", "--fgsm", folder=folder, status=2).stderr.startswith(
        "runs/sizes/model.keras: must take"
    )
    run("train", "sizes.yaml", "--name", "fixed", "-s", "data.resize=crop", "-s", "data.image_size=12", folder=folder)
    saved = "model={kind: saved, file: 'run:fixed'}"
    done = run("train", "sizes.yaml", "--dry-run", "-s", saved, folder=folder, status=2)
    assert "takes images of 12x12 alone. Remove data.resize: none" in done.stderr


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "sizes.yaml", "--name", "whole", folder=folder).expect(0)
    processes.run("train", "sizes.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(5))
    processes.run("train", "--resume", "killed", folder=folder).expect(0)
    assert_same_but_name(folder / "runs" / "whole", folder / "runs" / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["none", "disk"])
def test_results_do_not_depend_on_the_cache(folder: Path, cache: str) -> None:
    run("train", "sizes.yaml", "--name", cache, "-s", f"data.cache={cache}", folder=folder)
    first, second = ((folder / "runs" / name / "metrics.csv") for name in ("sizes", cache))
    for one, other in zip(read_csv(first), read_csv(second), strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "target"), [("multilabel", "labels: [is_light, is_tall]"), ("image_regression", "targets: [brightness]")]
)
def test_labels_and_numbers_are_predicted_image_by_image(folder: Path, task: str, target: str) -> None:
    data = f"{{kind: csv, path: photos.csv, {target}, resize: none, test: 0.25}}"
    (folder / "table.yaml").write_text(RECIPE.replace("classification", task).replace(DATA, data))
    run("train", "table.yaml", folder=folder)
    model = keras.saving.load_model(folder / "runs" / "table" / "model.keras")
    prefix = "p_" if task == "multilabel" else "predicted"
    for row in read_csv(folder / "runs" / "table" / "evaluation" / "test" / "predictions.csv"):
        expected = np.asarray(model(image_of(folder / row["file"])[None]))[0]
        found = [float(value) for name, value in row.items() if name.startswith(prefix) and name != "predicted_labels"]
        np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_base_is_transferred_to_images_of_several_sizes(folder: Path) -> None:
    options = ("--data", "photos", "--epochs", "1", "-s", "train.batch_size=4")
    run("transfer", "--base", "run:sizes", *options, "-s", "data.resize=none", "--name", "kept", folder=folder)
    run("transfer", "--base", "run:sizes", *options, "--name", "cropped", folder=folder)
    shapes = [
        json.loads((folder / "runs" / name / "run.json").read_text())["data"]["shape"] for name in ("kept", "cropped")
    ]
    assert shapes == [[None, None, 3], [14, 18, 3]]
