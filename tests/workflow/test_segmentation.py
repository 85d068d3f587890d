"""Segmentation from end to end: training in stages, exact resume, evaluation, prediction, folders of masks."""

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

from dlcli.data.masks.masks import masks_of
from dlcli.data.synthetic.scenes import CLASSES, draw_scene, read_scenes
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: segmentation
data: {kind: scenes, num_samples: 60, image_size: [24, 32]}
augment: {horizontal_flip: true, width_shift_range: 0.1, cutmix: 1.0}
model:
  kind: unet
  backbone: {kind: convnet, blocks: [{filters: 4, batch_norm: true}, {filters: 8}]}
  filters: 4
  dropout: 0.1
train:
  batch_size: 12
  gradient_accumulation: 2
  optimizer: {kind: adam, learning_rate: 0.01}
  class_weights: balanced
  loss: [{kind: cross_entropy}, {kind: dice}]
  best_metric: val_mean_iou
  checkpoint: {steps: 2}
  stages:
    - {name: decoder, epochs: 1, trainable: head, augment: false}
    - {name: all, epochs: 2}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run scenes."""
    folder: Path = tmp_path_factory.mktemp("segmentation")
    (folder / "scenes.yaml").write_text(RECIPE)
    processes.run("train", "scenes.yaml", folder=folder).expect(0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def scenes_of_test() -> Any:
    policy: Any = {"image_size": (24, 32), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    common = {"antialias": True, "validation": None, "test": None, "split_seed": 0, "limit": None}
    return read_scenes(num_samples=60, seed=0, **policy, **common, allow_leakage=False).splits["test"]


def test_results_equal_those_of_the_model_file_in_plain_keras(made: Path) -> None:
    made_run = made / "runs" / "scenes"
    samples: Any = scenes_of_test()
    outputs = keras.saving.load_model(made_run / "model.keras").predict(samples.pixels.astype(np.float32), verbose=0)
    assert set(outputs) == {"probabilities", "classes"}
    np.testing.assert_array_equal(outputs["classes"], outputs["probabilities"].argmax(axis=-1))
    masks: Any = masks_of(samples)
    true = np.stack([mask.read() for mask in masks.masks])
    found = outputs["classes"]
    present = [label for label in range(len(CLASSES)) if (true == label).any()]
    iou = [((true == i) & (found == i)).sum() / ((true == i) | (found == i)).sum() for i in present]
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["mean_iou"] == pytest.approx(np.mean(iou))
    assert metrics["pixel_accuracy"] == pytest.approx((true == found).mean())
    constant = np.bincount(true.ravel()).max() / true.size
    assert metrics["baseline_most_frequent_pixel_accuracy"] == pytest.approx(constant)
    rows = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    assert [row["file"] for row in rows] == list(samples.names)
    for row, mask in zip(rows, found, strict=True):
        with Image.open(made_run / "evaluation" / "test" / row["mask"]) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.array(image), mask)


def test_a_run_contains_the_results_for_masks(made: Path) -> None:
    made_run = made / "runs" / "scenes"
    rows = read_csv(made_run / "metrics.csv")
    assert [row["stage"] for row in rows] == ["decoder", "all", "all"]
    assert {"val_mean_iou", "val_pixel_accuracy"} <= rows[0].keys()
    assert {"mask", "mask_digest"} <= read_csv(made_run / "split.csv")[0].keys()
    for name in ("batch.png", "overlays.png", "iou.png", "confusion_matrix.png", "curves.png"):
        with Image.open(made_run / "plots" / name) as image:
            assert image.size[0] > 100
    of_classes = read_csv(made_run / "evaluation" / "test" / "per_class.csv")
    assert [row["class"] for row in of_classes] == list(CLASSES)
    assert {"iou", "dice", "boundary_f1", "baseline_iou"} <= of_classes[0].keys()


@pytest.mark.slow  # the same is quick for several labels; tests/training/test_loop.py resumes at every step
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "scenes.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(4))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "scenes", folder / "runs" / "killed")


def write_masks(root: Path, *, size: tuple[int, int], number: int) -> None:
    """Writes scenes as images and masks."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for i in range(number):
        scene = draw_scene(7, i, *size)
        Image.fromarray(scene.pixels).save(root / "images" / f"{i:02}.png")
        Image.fromarray(scene.mask).save(root / "masks" / f"{i:02}.png")


def test_masks_areas_and_overlays_of_images_are_at_their_own_size(folder: Path) -> None:
    write_masks(folder / "photos", size=(40, 50), number=2)
    arguments = ("--masks", "masks", "--draw", "drawn", "--pixel-size", "0.5", "--output", "areas.csv", "--json")
    done = run("predict", "scenes", "photos/images", *arguments, folder=folder)
    predictions = json.loads(done.stdout)["predictions"]
    with open(folder / "areas.csv", newline="") as file:
        table = list(csv.DictReader(file))
    for row in predictions:
        name = Path(row["file"]).name
        with Image.open(folder / "masks" / name) as image, Image.open(folder / "drawn" / name) as drawn:
            mask = np.array(image)
            assert drawn.size == (50, 40)
        assert mask.shape == (40, 50) == (row["height"], row["width"])
        assert sum(area["pixels"] for area in row["areas"].values()) == 2000
        for label, area in row["areas"].items():
            assert area["pixels"] == (mask == CLASSES.index(label)).sum()
            assert area["area"] == pytest.approx(area["pixels"] / 4)
            cells = next(cells for cells in table if cells["file"] == row["file"] and cells["class"] == label)
            assert int(cells["pixels"]) == area["pixels"]
    rows = [row | {"areas": {name: _without_area(of) for name, of in row["areas"].items()}} for row in predictions]
    assert_predicts(folder / "runs" / "scenes", [(folder / row["file"]).read_bytes() for row in rows], rows)
    shown = run("predict", "scenes", "photos/images", folder=folder).stdout.splitlines()
    assert shown[0].split("  ")[0] == "file"
    assert "40x50" in shown[1]
    run("predict", "scenes", "photos/images", "--masks", "masks", folder=folder, status=2)


def _without_area(of_class: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in of_class.items() if name != "area"}


def test_a_folder_of_masks_is_drafted_checked_evaluated_and_trained_on(folder: Path) -> None:
    write_masks(folder / "photos", size=(24, 32), number=12)
    run("recipe", "init", "photos", "-o", "photos.yaml", folder=folder)
    text = (folder / "photos.yaml").read_text()
    assert "classes: [class_0, class_1, class_2, class_3, class_4]" in text
    report = json.loads(run("data", "check", "photos", "--json", folder=folder).stdout)
    assert report["problems"] == 0
    stats = json.loads(run("data", "stats", "photos.yaml", "--json", folder=folder).stdout)
    assert sum(row["share"] for row in stats["masks"]["train"]["classes"].values()) == pytest.approx(1)
    run("data", "preview", "photos.yaml", "--samples", "2", "--epochs", "1", folder=folder)
    names = f"[{', '.join(CLASSES)}]"
    scenes, masks = "{kind: scenes, num_samples: 60,", f"{{kind: masks, path: photos, classes: {names},"
    (folder / "named.yaml").write_text(RECIPE.replace(scenes, masks))
    result = json.loads(run("evaluate", "scenes", "--data", "named.yaml", "--json", folder=folder).stdout)
    assert result["samples"] == 2
    assert "baseline_position_mean_iou" in result
    done = run("evaluate", "scenes", "--data", "photos.yaml", folder=folder, status=2)
    assert "the classes must be those of the trained model" in done.stderr


BASE = ("--base", "mobilenetv2", "--base-option", "alpha=0.35")


def test_transfer_refuses_what_a_decoder_does_not_have(folder: Path) -> None:
    write_masks(folder / "photos", size=(32, 32), number=2)
    done = run("transfer", *BASE, "--data", "photos", folder=folder, status=2)
    assert done.stderr.startswith("--data photos: holds images with masks. Add --task segmentation")
    run("transfer", *BASE, "--task", "segmentation", "--head", "10", folder=folder, status=2)
    run("transfer", *BASE, "--task", "segmentation", "--pooling", "max", folder=folder, status=2)


@pytest.mark.slow
def test_transfer_to_a_folder_of_masks(folder: Path) -> None:
    write_masks(folder / "photos", size=(32, 32), number=10)
    options = ("--task", "segmentation", "--data", "photos", "--weights", "none", "--unfreeze", "none", "--dry-run")
    plan = json.loads(run("transfer", *BASE, *options, "--json", folder=folder).stdout)
    assert plan["layers"]["trainable"] < plan["layers"]["parameters"]


def test_an_incomplete_run_is_evaluated_beside_the_same_baselines(folder: Path) -> None:
    complete = json.loads((folder / "runs" / "scenes" / "evaluation" / "test" / "metrics.json").read_text())
    file = folder / "runs" / "scenes" / "run.json"
    info = json.loads(file.read_text())
    del info["baseline"]
    file.write_text(json.dumps(info))
    found = json.loads(run("evaluate", "scenes", "--json", folder=folder).stdout)
    names = [name for name in complete if name.startswith("baseline_")]
    assert len(names) == 4
    assert {name: found[name] for name in names} == {name: complete[name] for name in names}
