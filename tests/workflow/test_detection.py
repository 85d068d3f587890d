"""Detection from end to end: training in stages, exact resume, evaluation, prediction, files of boxes."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.data.boxes.objects import objects_of
from dlcli.data.synthetic.scene_objects import read_scene_objects
from dlcli.data.synthetic.scenes import CLASSES, draw_scene
from dlcli.data.synthetic.shapes import SHAPES
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: detection
data: {kind: scenes, num_samples: 60, image_size: [32, 48]}
augment: {horizontal_flip: true, width_shift_range: 0.1, mosaic: 0.5}
model:
  kind: fcos
  backbone:
    kind: convnet
    blocks: [{filters: 4, batch_norm: true}, {filters: 8}, {filters: 8}, {filters: 8}, {filters: 8}]
  levels: [3, 4]
  channels: 8
  num_convs: 1
train:
  batch_size: 12
  gradient_accumulation: 2
  optimizer: {kind: adam, learning_rate: 0.01}
  checkpoint: {steps: 2}
  stages:
    - {name: head, epochs: 1, trainable: head, augment: false}
    - {name: all, epochs: 2}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run scenes."""
    folder: Path = tmp_path_factory.mktemp("detection")
    (folder / "scenes.yaml").write_text(RECIPE)
    processes.run("train", "scenes.yaml", folder=folder).expect(0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def scenes_of_test() -> Any:
    policy: Any = {"image_size": (32, 48), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    common = {"antialias": True, "validation": None, "test": None, "split_seed": 0, "limit": None}
    read = read_scene_objects(
        num_samples=60, seed=0, min_visible=0.3, exclude=(), **policy, **common, allow_leakage=False
    )
    return read.splits["test"]


def test_results_are_those_of_the_model_file_in_plain_keras(made: Path) -> None:
    made_run = made / "runs" / "scenes"
    samples: Any = scenes_of_test()
    outputs = keras.saving.load_model(made_run / "model.keras").predict(samples.pixels.astype(np.float32), verbose=0)
    assert set(outputs) == {"boxes", "scores", "classes", "count"}
    written = json.loads((made_run / "evaluation" / "test" / "predictions.json").read_text())
    assert len(written) == outputs["count"].sum() > 0
    width, height = 48, 32
    for row in written:
        position = row["image_id"] - 1
        found = np.flatnonzero(np.isclose(outputs["scores"][position], row["score"], rtol=1e-5))
        corners = outputs["boxes"][position][found] * [width, height, width, height]
        x, y, w, h = row["bbox"]
        assert np.isclose(corners, [x, y, x + w, y + h], atol=0.01).all(axis=1).any()
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["samples"] == len(samples)
    objects: Any = objects_of(samples)
    assert metrics["objects"] == len(objects.labels)
    assert {"ap", "ap50", "ap75", "baseline_fixed_boxes_ap50", "nms_differs"} <= metrics.keys()


def test_a_run_contains_the_results_for_objects(made: Path) -> None:
    made_run = made / "runs" / "scenes"
    rows = read_csv(made_run / "metrics.csv")
    assert [row["stage"] for row in rows] == ["head", "all", "all"]
    assert {"train_class_loss", "val_box_loss", "val_ap", "val_ap50"} <= rows[0].keys()
    best = max(rows[1:], key=lambda row: float(row["val_ap"]))  # of the last stage
    info = json.loads((made_run / "run.json").read_text())
    assert info["best"]["metric"] == "val_ap"
    assert info["best"]["epoch"] == int(best["epoch"])
    with Image.open(made_run / "plots" / "batch.png") as image:
        assert image.size[0] > 100
    of_classes = read_csv(made_run / "evaluation" / "test" / "per_class.csv")
    assert [row["class"] for row in of_classes] == list(SHAPES)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "scenes.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(4))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "scenes", folder / "runs" / "killed")


TWO_STAGE = """\
  kind: faster_rcnn
  levels: [3, 4]
  channels: 8
  anchor_sizes: [2]
  sampled_anchors: 32
  proposal_candidates: 40
  num_proposals: 20
  sampled_boxes: 16
  bins: 3
  dense: [16]
  backbone:"""


@pytest.mark.long
def test_what_a_two_stage_detector_samples_is_the_same_after_a_kill(tmp_path: Path) -> None:
    recipe = RECIPE.replace("  levels: [3, 4]\n  channels: 8\n  num_convs: 1\n", "")
    recipe = recipe.replace("  kind: fcos\n  backbone:", TWO_STAGE).replace("augment: false}", "augment: true}")
    (tmp_path / "scenes.yaml").write_text(recipe)
    run("train", "scenes.yaml", folder=tmp_path)
    processes.run("train", "scenes.yaml", "--name", "killed", folder=tmp_path, prepare=processes.KillAtCheckpoint(4))
    run("train", "--resume", "killed", folder=tmp_path)
    assert_same_but_name(tmp_path / "runs" / "scenes", tmp_path / "runs" / "killed")
    outputs = keras.saving.load_model(tmp_path / "runs" / "scenes" / "model.keras").output
    assert set(outputs) == {"boxes", "scores", "classes", "count"}


def write_table(root: Path, *, size: tuple[int, int], number: int) -> None:
    """Writes scenes as images, and objects.csv with a row for each object."""
    root.mkdir(parents=True)
    rows = []
    for i in range(number):
        scene = draw_scene(7, i, *size)
        Image.fromarray(scene.pixels).save(root / f"{i:02}.png")
        rows += [[f"{i:02}.png", CLASSES[label], *box] for label, box in zip(scene.labels, scene.boxes, strict=True)]
    with open(root / "objects.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "xmin", "ymin", "xmax", "ymax"], *rows])


def test_objects_of_images_are_in_their_own_pixels(folder: Path) -> None:
    write_table(folder / "photos", size=(64, 96), number=2)
    arguments = ("--score", "0.05", "--crops", "crops", "--draw", "drawn", "--output", "found.csv", "--json")
    done = run("predict", "scenes", "photos", *arguments, folder=folder)
    predictions = json.loads(done.stdout)["predictions"]
    table = read_csv(folder / "found.csv")
    assert len(table) == sum(len(row["objects"]) for row in predictions) > 0
    for row in predictions:
        scores = [item["score"] for item in row["objects"]]
        assert scores == sorted(scores, reverse=True)
        assert all(score >= 0.05 for score in scores)
        assert sum(row["counts"].values()) == len(scores)
        for number, item in enumerate(row["objects"], start=1):
            left, top, right, bottom = item["box"]
            assert 0 <= left <= right <= 96
            assert 0 <= top <= bottom <= 64
            with Image.open(folder / "crops" / f"{Path(row['file']).stem}-{number}.png") as crop:
                assert abs(crop.width - (right - left)) <= 2
        with Image.open(folder / "drawn" / Path(row["file"]).name) as drawn:
            assert drawn.size == (384, 256)  # four times as large, so that labels do not cover it
    samples = [(folder / row["file"]).read_bytes() for row in predictions]
    assert_predicts(folder / "runs" / "scenes", samples, predictions, score=0.05)
    shown = run("predict", "scenes", "photos", "--score", "1", folder=folder).stdout.splitlines()
    assert "none" in shown[1]
    run("predict", "scenes", "photos", "--crops", "crops", folder=folder, status=2)
    run("attack", "--fgsm", "scenes", folder=folder, status=2)


def test_a_table_of_objects_is_checked_and_evaluated(folder: Path) -> None:
    write_table(folder / "photos", size=(32, 48), number=12)
    data = "{kind: csv, path: photos/objects.csv, image_size: [32, 48]}"
    recipe = RECIPE.replace("{kind: scenes, num_samples: 60, image_size: [32, 48]}", data)
    (folder / "photos.yaml").write_text(recipe)
    report = json.loads(run("data", "check", "photos.yaml", "--json", folder=folder).stdout)
    assert report["problems"] == 0
    run("data", "stats", "photos.yaml", "--json", folder=folder)
    run("data", "preview", "photos.yaml", "--samples", "2", "--epochs", "1", folder=folder)
    result = json.loads(run("evaluate", "scenes", "--data", "photos/objects.csv", "--json", folder=folder).stdout)
    assert result["samples"] == 12


BASE = ("--base", "mobilenetv2", "--base-option", "alpha=0.35", "--task", "detection")


def test_transfer_refuses_what_a_detector_does_not_have(folder: Path) -> None:
    for option in (("--head", "10"), ("--pooling", "max"), ("--dropout", "0.5")):
        done = run("transfer", *BASE, *option, folder=folder, status=2)
        assert "the head of --task detection is on feature maps" in done.stderr


@pytest.mark.slow
def test_transfer_to_a_table_of_objects(folder: Path) -> None:
    write_table(folder / "photos", size=(64, 64), number=10)
    options = ("--data", "photos/objects.csv", "--weights", "none", "--image-size", "64", "--dry-run")
    plan = json.loads(run("transfer", *BASE, *options, "--unfreeze", "none", "--json", folder=folder).stdout)
    assert plan["layers"]["trainable"] < plan["layers"]["parameters"]
