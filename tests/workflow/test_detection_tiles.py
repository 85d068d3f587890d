"""Detection in tiles from end to end: training, exact resume, evaluation and prediction, against the model file."""

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

from dlcli.data.images.tiles import cut, make_grid
from dlcli.data.synthetic.scenes import CLASSES, draw_scene
from dlcli.evaluation.detection.boxes import box_iou
from dlcli.rundir.tables import read_csv

TILE, OVERLAP, IOU = (64, 64), 32, 0.5
SIZES = [(64, 64), (100, 150), (48, 120), (130, 64)]
RECIPE = f"""\
task: detection
data:
  kind: csv
  path: photos/objects.csv
  validation: 0.25
  test: 0.25
  tiles: {{size: 64, overlap: {OVERLAP}, per_image: 2}}
augment: {{horizontal_flip: true, mosaic: 0.3}}
model:
  kind: fcos
  backbone:
    kind: convnet
    blocks: [{{filters: 4, batch_norm: true}}, {{filters: 8}}, {{filters: 8}}, {{filters: 8}}, {{filters: 8}}]
  levels: [3, 4]
  channels: 8
  num_convs: 1
train: {{batch_size: 5, epochs: 2, optimizer: {{kind: adam, learning_rate: 0.01}}, checkpoint: {{steps: 1}}}}
evaluate: {{detect: {{iou: {IOU}, max_boxes: 20}}}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of several sizes and a table of their objects, and the completed run tiled."""
    folder: Path = tmp_path_factory.mktemp("detection_tiles")
    (folder / "photos").mkdir()
    rows = []
    for i in range(16):
        scene = draw_scene(7, i, *SIZES[i % 4])
        Image.fromarray(scene.pixels).save(folder / "photos" / f"{i:02}.png")
        rows += [[f"{i:02}.png", CLASSES[label], *box] for label, box in zip(scene.labels, scene.boxes, strict=True)]
    with open(folder / "photos" / "objects.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "xmin", "ymin", "xmax", "ymax"], *rows])
    (folder / "tiled.yaml").write_text(RECIPE)
    done = processes.run("train", "tiled.yaml", folder=folder).expect(0)
    assert "tiles: 16 drawn from the training images in each epoch; " in done.stdout + done.stderr
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def expected(model: keras.Model, image: np.ndarray) -> list[tuple[int, float, list[float]]]:
    """The class, score and box of the objects of an image, in a loop over its tiles and their boxes."""
    height, width = image.shape[:2]
    found = []
    for top, left, first_row, first_column, last_row, last_column in make_grid(
        height, width, TILE, OVERLAP
    ).windows.tolist():
        outputs = model(cut(image, (top, left), TILE, fill=0).astype(np.float32)[None])
        boxes, scores, classes, count = (np.asarray(outputs[key])[0] for key in ("boxes", "scores", "classes", "count"))
        for i in range(int(count)):
            x1, y1, x2, y2 = boxes[i].astype(np.float64) * 64 + [left, top, left, top]
            if first_column <= (x1 + x2) / 2 < last_column and first_row <= (y1 + y2) / 2 < last_row:
                box = [max(0, x1), max(0, y1), min(width, x2), min(height, y2)]
                found.append((int(classes[i]), float(scores[i]), box))
    kept: list[tuple[int, float, list[float]]] = []
    for label, score, box in sorted(found, key=lambda item: -item[1]):
        others = [other for own, _, other in kept if own == label]
        if not others or box_iou(np.array([box]), np.array(others)).max() <= IOU:
            kept.append((label, score, box))
    return kept


def test_evaluation_and_prediction_are_those_of_the_model_file_on_tiles(folder: Path) -> None:
    made_run = folder / "runs" / "tiled"
    assert json.loads((made_run / "run.json").read_text())["data"]["images"]["tiles"]["overlap"] == OVERLAP
    model = keras.saving.load_model(made_run / "model.keras")
    results = json.loads((made_run / "evaluation" / "test" / "predictions.json").read_text())
    images = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    run("predict", "tiled", "photos", "--score", "0.05", "--output", "found.csv", folder=folder)
    found = json.loads(run("predict", "tiled", "photos", "--score", "0.05", "--json", folder=folder).stdout)
    samples = [(folder / row["file"]).read_bytes() for row in found["predictions"]]
    assert_predicts(made_run, samples, found["predictions"], score=0.05)
    predicted = read_csv(folder / "found.csv")
    num_boxes = 0
    for row in images:
        image = np.array(Image.open(folder / "photos" / row["file"]))
        objects = expected(model, image)
        own = [item for item in results if item["image_id"] == int(row["image_id"])]
        rows = [item for item in predicted if Path(item["file"]).name == row["file"]]
        assert len(objects) == len(own) == len(rows)
        num_boxes += len(own)
        np.testing.assert_allclose([item["score"] for item in own], [score for _, score, _ in objects], atol=1e-4)
        boxes = np.array([item["bbox"] for item in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        order = np.lexsort(np.round(boxes, 1).T)
        true = np.array([box for _, _, box in objects]).reshape(-1, 4)
        np.testing.assert_allclose(boxes[order], true[np.lexsort(np.round(true, 1).T)], atol=0.02)
    assert num_boxes > 20
    assert (made_run / "evaluation" / "test" / "detections.png").exists()


@pytest.mark.slow  # the same is quick for several labels; tests/training/test_loop.py resumes at every step
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "tiled.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(3))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "tiled", folder / "runs" / "killed")


def test_other_data_checks_statistics_and_previews(folder: Path) -> None:
    own = json.loads((folder / "runs" / "tiled" / "evaluation" / "test" / "metrics.json").read_text())
    (folder / "resized.yaml").write_text(RECIPE.replace(f"tiles: {{size: 64, overlap: {OVERLAP}, per_image: 2}}", ""))
    other = json.loads(run("evaluate", "tiled", "--data", "resized.yaml", "--json", folder=folder).stdout)
    assert (other["ap"], other["detections"]) == (own["ap"], own["detections"])
    assert json.loads(run("data", "check", "tiled.yaml", "--json", folder=folder).stdout)["problems"] == 0
    stats = json.loads(run("data", "stats", "tiled.yaml", "--json", folder=folder).stdout)
    sizes = [
        np.sqrt((float(r["xmax"]) - float(r["xmin"])) * (float(r["ymax"]) - float(r["ymin"])))
        for r in (read_csv(folder / "photos" / "objects.csv"))
    ]
    assert min(sizes) <= stats["anchors"]["sizes_in_input"]["median"] <= max(sizes)
    run("data", "preview", "tiled.yaml", "--output", "preview.png", folder=folder)
    assert (folder / "preview.png").exists()
