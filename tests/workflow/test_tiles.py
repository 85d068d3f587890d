"""Segmentation in tiles from end to end: training, exact resume, evaluation, prediction."""

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

from dlcli.data.images.tiles import cut, make_grid
from dlcli.data.synthetic.scenes import CLASSES, draw_scene
from dlcli.rundir.tables import read_csv

TILE, OVERLAP = (64, 64), 24
SIZES = ((50, 60), (100, 90), (130, 70), (64, 64))  # height, width: of images in turn
RECIPE = f"""\
task: segmentation
data:
  kind: masks
  path: photos
  classes: [{", ".join(CLASSES)}]
  validation: 0.25
  test: 0.25
  tiles: {{size: 64, overlap: {OVERLAP}, per_image: 2}}
augment: {{horizontal_flip: true}}
model: {{kind: unet, filters: 4, depth: 2}}
train: {{epochs: 2, batch_size: 5, optimizer: {{kind: adam, learning_rate: 0.01}}, checkpoint: {{steps: 1}}}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and masks of several sizes, and the completed run tiled."""
    folder: Path = tmp_path_factory.mktemp("tiles")
    for part in ("images", "masks"):
        (folder / "photos" / part).mkdir(parents=True)
    for i in range(16):
        scene = draw_scene(7, i, *SIZES[i % 4])
        Image.fromarray(scene.pixels).save(folder / "photos" / "images" / f"{i:02}.png")
        Image.fromarray(scene.mask).save(folder / "photos" / "masks" / f"{i:02}.png")
    (folder / "tiled.yaml").write_text(RECIPE)
    done = run("train", "tiled.yaml", folder=folder)
    assert "tiles of 64x64x3" in done.stdout + done.stderr
    assert "tiles: 16 drawn from the training images in each epoch; " in done.stdout + done.stderr
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "tiled.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(3))
    processes.run("train", "--resume", "killed", folder=folder).expect(0)
    for name in ("batch.png", "overlays.png"):
        assert (folder / "runs" / "killed" / "plots" / name).exists()
    assert_same_but_name(folder / "runs" / "tiled", folder / "runs" / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["none", "disk"])
def test_results_do_not_depend_on_the_cache(folder: Path, cache: str) -> None:
    run("train", "tiled.yaml", "--name", cache, "-s", f"data.cache={cache}", folder=folder)
    first, second = ((folder / "runs" / name / "metrics.csv") for name in ("tiled", cache))
    times = ("seconds", "samples_per_second")
    for one, other in zip(read_csv(first), read_csv(second), strict=True):
        assert {k: v for k, v in one.items() if k not in times} == {k: v for k, v in other.items() if k not in times}


def expected_mask(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """The most probable classes of the sum of all tiles' probabilities by their weights."""
    height, width = image.shape[:2]
    grid = make_grid(height, width, TILE, OVERLAP)
    total = np.zeros((grid.tops[-1] + 64, grid.lefts[-1] + 64, len(CLASSES)))
    for position, (top, left) in enumerate(grid.windows[:, :2].tolist()):
        tile = cut(image, (top, left), TILE, fill=0).astype(np.float32)[None]
        probabilities = np.asarray(model(tile)["probabilities"])[0]
        total[top : top + 64, left : left + 64] += probabilities * grid.weights(position)
    mask: np.ndarray = total[:height, :width].argmax(axis=-1).astype(np.uint8)
    return mask


def test_evaluation_and_prediction_are_those_of_the_model_file_on_tiles(folder: Path) -> None:
    made_run = folder / "runs" / "tiled"
    policy = json.loads((made_run / "run.json").read_text())["data"]["images"]
    assert policy["tiles"] == {"size": [64, 64], "overlap": OVERLAP}
    model = keras.saving.load_model(made_run / "model.keras")
    rows = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    predicted = run("predict", "tiled", "photos/images", "--masks", "found", "--json", folder=folder)
    found = json.loads(predicted.stdout)["predictions"]
    assert_predicts(made_run, [(folder / row["file"]).read_bytes() for row in found], found)
    matrix = np.zeros((len(CLASSES), len(CLASSES)), int)
    for row in rows:
        image = np.array(Image.open(folder / "photos" / row["file"]))
        mask = expected_mask(model, image)
        for file in (made_run / "evaluation" / "test" / row["mask"], folder / "found" / Path(row["file"]).name):
            with Image.open(file) as found:
                assert (np.array(found) != mask).mean() < 1e-3  # but for pixels with two equally probable classes
        true = np.array(Image.open(folder / "photos" / "masks" / Path(row["file"]).name))
        np.add.at(matrix, (true.ravel(), mask.ravel()), 1)
    assert {(folder / "photos" / row["file"]).exists() for row in rows} == {True}
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["pixel_accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-3)


def test_other_data_are_cut_into_the_same_tiles(folder: Path) -> None:
    own = json.loads((folder / "runs" / "tiled" / "evaluation" / "test" / "metrics.json").read_text())
    text = RECIPE.replace("tiles: {size: 64, overlap: 24, per_image: 2}", "image_size: 32")
    (folder / "resized.yaml").write_text(text)
    other = json.loads(run("evaluate", "tiled", "--data", "resized.yaml", "--json", folder=folder).stdout)
    assert other["confusion_matrix"] == own["confusion_matrix"]


def test_statistics_and_previews_are_of_whole_images_and_tiles(folder: Path) -> None:
    assert json.loads(run("data", "check", "tiled.yaml", "--json", folder=folder).stdout)["problems"] == 0
    stats = json.loads(run("data", "stats", "tiled.yaml", "--json", folder=folder).stdout)
    train = [row["file"] for row in read_csv(folder / "runs" / "tiled" / "split.csv") if row["split"] == "train"]
    pixels = [np.array(Image.open(folder / "photos" / file)).reshape(-1, 3) for file in train]
    np.testing.assert_allclose(stats["mean"], np.concatenate(pixels).mean(axis=0), rtol=1e-5)
    done = run("data", "preview", "tiled.yaml", "--samples", "2", "--epochs", "1", folder=folder)
    assert "unchanged" not in done.stderr
    plan = json.loads(run("train", "tiled.yaml", "--dry-run", "--json", folder=folder).stdout)
    assert plan["schedule"][0]["steps"] == 2 * 4  # 16 tiles in batches of 5
