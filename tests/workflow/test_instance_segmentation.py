"""Instance segmentation from end to end: training, the model file, other data, prediction, files of masks."""

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

from dlcli.data.boxes.pasting import paste
from dlcli.data.boxes.polygons import decode_runs, fill_runs
from dlcli.data.synthetic.scenes import draw_scene
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: instance_segmentation
data: {kind: scenes, num_samples: 60, image_size: [48, 48]}
augment: {horizontal_flip: true, width_shift_range: 0.1, mosaic: 0.3, copy_paste: 0.5}
model:
  kind: mask_rcnn
  levels: [3, 4]
  channels: 8
  anchor_sizes: [2]
  sampled_anchors: 32
  proposal_candidates: 40
  num_proposals: 20
  sampled_boxes: 16
  bins: 3
  dense: [16]
  mask_convs: 1
  backbone:
    kind: convnet
    blocks: [{filters: 4, batch_norm: true}, {filters: 8}, {filters: 8}, {filters: 8}, {filters: 8}]
train:
  batch_size: 12
  gradient_accumulation: 2
  optimizer: {kind: adam, learning_rate: 0.01}
  checkpoint: {steps: 2}
  epochs: 2
evaluate: {detect: {max_boxes: 10}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run scenes, and four photos with masks of their objects in photos."""
    folder: Path = tmp_path_factory.mktemp("instances")
    (folder / "scenes.yaml").write_text(RECIPE)
    processes.run("train", "scenes.yaml", folder=folder).expect(0)
    for kind in ("images", "masks"):
        (folder / "photos" / kind).mkdir(parents=True)
    for number in range(4):
        scene = draw_scene(7, number, 64, 96)
        Image.fromarray(scene.pixels).save(folder / "photos" / "images" / f"{number}.png")
        Image.fromarray(scene.instances).save(folder / "photos" / "masks" / f"{number}.png")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def test_a_run_contains_the_results_for_masks_and_boxes(made: Path) -> None:
    made_run = made / "runs" / "scenes"
    rows = read_csv(made_run / "metrics.csv")
    assert {"train_mask_loss", "val_mask_loss", "val_mask_ap", "val_mask_ap50", "val_box_ap"} <= rows[0].keys()
    info = json.loads((made_run / "run.json").read_text())
    assert info["best"]["metric"] == "val_mask_ap"
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert {"mask_ap", "mask_ap50", "mask_ar100", "box_ap", "box_ap50", "f1", "nms_differs"} <= metrics.keys()
    assert metrics["baseline_fixed_masks_ap50"] < metrics["baseline_fixed_boxes_ap50"]
    model = keras.saving.load_model(made_run / "model.keras")
    outputs = model.predict(np.zeros((1, 48, 48, 3), np.float32), verbose=0)
    assert set(outputs) == {"boxes", "scores", "classes", "count", "masks"}
    assert outputs["masks"].shape == (1, 10, 28, 28)
    written = json.loads((made_run / "evaluation" / "test" / "predictions.json").read_text())
    assert all(row["segmentation"]["size"] == [48, 48] for row in written)
    assert len(written) == metrics["detections"] > 0


def test_other_data_predictions_and_refusals(folder: Path) -> None:
    arguments = ("--score", "0.05", "--draw", "drawn", "--masks", "ids", "--crops", "crops", "--json")
    done = run("predict", "scenes", "photos/images", *arguments, "--pixel-size", "2", folder=folder)
    predictions = json.loads(done.stdout)["predictions"]
    for row in predictions:
        name = Path(row["file"]).name
        ids = np.array(Image.open(folder / "ids" / name))
        assert ids.shape == (64, 96)
        for number, item in enumerate(row["objects"], start=1):
            mask = fill_runs(decode_runs(item["segmentation"]["counts"]), 64, 96)
            assert item["pixels"] == mask.sum() == item["area"] / 4
            assert mask[ids == number].all()
            if number == 1:
                np.testing.assert_array_equal(mask, ids == 1)
        with Image.open(folder / "drawn" / name) as drawn:
            assert drawn.size == (384, 256)  # four times as large, so that labels do not cover it
    for item in (item for row in predictions for item in row["objects"]):
        del item["area"]
    samples = [(folder / row["file"]).read_bytes() for row in predictions]
    assert_predicts(folder / "runs" / "scenes", samples, predictions, score=0.05)
    run("attack", "--fgsm", "scenes", folder=folder, status=2)
    refused = run("evaluate", "scenes", "--data", "photos/images/0.png", folder=folder, status=2)
    assert "whose objects have masks" in refused.stderr


def test_photos_with_masks_are_checked_trained_on_and_evaluated(folder: Path) -> None:
    data = "{kind: masks, path: photos, image_size: [48, 48], validation: 0.25, test: 0.25}"
    changed = RECIPE.replace("{kind: scenes, num_samples: 60, image_size: [48, 48]}", data)
    (folder / "photos.yaml").write_text(
        changed.replace("epochs: 2", "epochs: 1").replace("max_boxes: 10", "max_boxes: 2")
    )
    report: Any = json.loads(run("data", "check", "photos.yaml", "--json", folder=folder).stdout)
    assert report["problems"] == 0
    done = processes.run("train", "photos.yaml", folder=folder).expect(0)
    assert "of which the model finds at most 2: raise evaluate.detect.max_boxes to" in " ".join(done.stderr.split())
    for kind in ("images", "masks"):
        (folder / "photos" / kind / "0.png").rename(folder / "photos" / kind / "moved.png")
    result = json.loads(run("evaluate", "photos", "--data", "photos", "--json", folder=folder).stdout)
    assert result["samples"] == 4
    assert {"mask_ap", "box_ap"} <= result.keys()


def test_mixed_precision_and_averaged_weights(folder: Path) -> None:
    """The losses are those of float32 but for rounding, and the saved model is float32."""
    options = ("--name", "half", "--precision", "mixed_float16", "-s", "train.ema=0.9")
    run("train", "scenes.yaml", *options, folder=folder)
    half, single = (read_csv(folder / "runs" / name / "metrics.csv") for name in ("half", "scenes"))
    names = [name for name in single[0] if name.startswith("train_") and name.endswith("loss")]
    assert len(names) == 6
    for name in names:
        assert float(half[0][name]) == pytest.approx(float(single[0][name]), rel=0.1)
    assert half[-1]["val_loss"] != single[-1]["val_loss"]
    model = keras.saving.load_model(folder / "runs" / "half" / "model.keras")
    outputs = model.predict(np.zeros((1, 48, 48, 3), np.float32), verbose=0)
    assert outputs["boxes"].dtype == outputs["masks"].dtype == np.float32
    assert {weight.dtype for weight in model.weights if "float" in weight.dtype} == {"float32"}


def test_tiles_are_trained_on_evaluated_and_predicted(folder: Path) -> None:
    """The masks of photos of 64x96 pixels are those that the model file predicts for their tiles."""
    data = "{kind: masks, path: photos, tiles: {size: 64, overlap: 32}, validation: 0.25, test: 0.25}"
    changed = RECIPE.replace("{kind: scenes, num_samples: 60, image_size: [48, 48]}", data)
    (folder / "tiles.yaml").write_text(changed.replace("epochs: 2", "epochs: 1"))
    run("train", "tiles.yaml", folder=folder)
    result = json.loads((folder / "runs" / "tiles" / "evaluation" / "test" / "metrics.json").read_text())
    assert {"mask_ap", "box_ap"} <= result.keys()
    model = keras.saving.load_model(folder / "runs" / "tiles" / "model.keras")
    done = run("predict", "tiles", "photos/images", "--score", "0.05", "--json", folder=folder)
    num_objects = 0
    for row in json.loads(done.stdout)["predictions"]:
        image = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        found = []
        for left, first, last in ((0, 0, 48), (32, 48, 96)):  # a tile at each side, which counts up to the middle
            outputs = model(image[None, :, left : left + 64].astype(np.float32))
            of_tile = (np.asarray(outputs[key])[0] for key in ("boxes", "scores", "masks", "count"))
            boxes, scores, masks, count = of_tile
            for box, score, mask in list(zip(boxes * 64 + [left, 0, left, 0], scores, masks, strict=True))[
                : int(count)
            ]:
                if first <= (box[0] + box[2]) / 2 < last:
                    pixels = paste(mask, tuple(box.tolist()), height=64, width=96)
                    found.append((round(float(score), 4), pixels.area))
        own = [(round(item["score"], 4), item["pixels"]) for item in row["objects"]]
        assert set(own) <= set(found)
        num_objects += len(own)
    assert num_objects > 4


@pytest.mark.long
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "scenes.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(4))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "scenes", folder / "runs" / "killed")
