"""Localization from end to end: training in stages, exact resume, evaluation, prediction and refused input."""

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
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.data.boxes.boxes import boxes_of
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.synthetic.shapes import read_shapes
from dlcli.evaluation.localization import intersection_over_union
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: localization
data: {kind: shapes, num_samples: 160, image_size: [32, 32]}
augment: {horizontal_flip: true, width_shift_range: 0.1}
model: {kind: convnet, blocks: [{filters: 8, batch_norm: true}, {filters: 16, batch_norm: true}], pooling: max}
box_head: {channels: 8, dense: [16], dropout: 0.1}
train:
  batch_size: 16
  gradient_accumulation: 2
  optimizer: {kind: adam, learning_rate: 0.005}
  checkpoint: {steps: 3}
  stages:
    - {name: class, epochs: 1, losses: class}
    - {name: box, epochs: 2, trainable: head, losses: box, augment: false}
    - {name: both, epochs: 3}
"""
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run shapes."""
    folder: Path = tmp_path_factory.mktemp("localization")
    (folder / "shapes.yaml").write_text(RECIPE)
    processes.run("train", "shapes.yaml", folder=folder).expect(0)
    return folder


def test_a_run_contains_the_results_for_boxes(made: Path) -> None:
    made_run = made / "runs" / "shapes"
    rows = read_csv(made_run / "metrics.csv")
    assert [row["stage"] for row in rows] == ["class", "box", "box", "both", "both", "both"]
    assert {"train_iou", "val_iou", "train_localization_accuracy", "val_localization_accuracy"} <= rows[0].keys()
    assert float(rows[-1]["train_iou"]) > float(rows[0]["train_iou"]) + 0.03
    assert list(read_csv(made_run / "split.csv")[0])[-4:] == list(CORNERS)
    for name in ("batch.png", "boxes.png", "iou_curve.png", "curves.png", "confusion_matrix.png"):
        with Image.open(made_run / "plots" / name) as image:
            assert image.size[0] > 100
    info = json.loads((made_run / "run.json").read_text())
    assert len(info["data"]["baseline"]["box"]) == 4
    assert info["final"]["test_baseline_mean_iou"] > 0


def test_results_equal_those_of_the_model_file_in_plain_keras(made: Path) -> None:
    made_run = made / "runs" / "shapes"
    model = keras.saving.load_model(made_run / "model.keras")
    policy: Any = {"image_size": (32, 32), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    common = {"antialias": True, "validation": None, "test": None, "split_seed": 0, "limit": None}
    samples = read_shapes(num_samples=160, seed=0, **policy, **common, allow_leakage=False).splits["test"]
    outputs = model.predict(samples.load(np.arange(len(samples))).astype(np.float32), verbose=0)
    assert set(outputs) == {"probabilities", "box"}
    assert boxes_of(samples) is not None
    iou = intersection_over_union(boxes_of(samples).corners, outputs["box"] * 32.0)
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["mean_iou"] == pytest.approx(iou.mean(), abs=1e-4)
    is_right = outputs["probabilities"].argmax(1) == samples.labels
    assert metrics["localization_accuracy"] == pytest.approx((is_right & (iou >= 0.5)).mean())
    predictions = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    np.testing.assert_allclose([float(row["iou"]) for row in predictions], iou, atol=1e-3)
    true = [[float(row[f"true_{name}"]) for name in CORNERS] for row in predictions]
    np.testing.assert_allclose(true, boxes_of(samples).corners)
    found = [[float(row[name]) for name in CORNERS] for row in predictions]
    np.testing.assert_allclose(found, outputs["box"] * 32.0, atol=1e-2)


@pytest.mark.slow  # the same is quick for several labels; tests/training/test_loop.py resumes at every step
@pytest.mark.parametrize("call", [2, 7, 11])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, call: int) -> None:
    processes.run("train", "shapes.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(call))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "shapes", folder / "runs" / "killed")


def write_photos(folder: Path) -> None:
    """Writes photos with one object each, as Pascal VOC, COCO and CSV, and rotated copies."""
    policy: Any = {"image_size": (48, 64), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    common = {"antialias": True, "validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None}
    samples = read_shapes(num_samples=12, seed=1, **policy, **common, allow_leakage=False).splits["train"]
    classes = ("circle", "cross", "square", "triangle")
    pixels = samples.load(np.arange(12))
    assert boxes_of(samples) is not None
    (folder / "photos" / "images").mkdir(parents=True)
    (folder / "photos" / "annotations").mkdir()
    rows, images, objects = [], [], []
    for i, (image, label, corners) in enumerate(zip(pixels, samples.labels, boxes_of(samples).corners, strict=True)):
        name = f"{i:02d}.png"
        Image.fromarray(image).save(folder / "photos" / "images" / name)
        box = dict(zip(CORNERS, map(int, corners), strict=True))
        tags = "".join(f"<{key}>{value}</{key}>" for key, value in box.items())
        (folder / "photos" / "annotations" / f"{i:02d}.xml").write_text(
            f"<annotation><filename>{name}</filename><size><width>64</width><height>48</height></size>"
            f"<object><name>{classes[label]}</name><bndbox>{tags}</bndbox></object></annotation>"
        )
        rows.append([f"images/{name}", classes[label], *box.values()])
        images.append({"id": i, "file_name": name, "width": 64, "height": 48})
        x1, y1, x2, y2 = box.values()
        bbox = [x1, y1, x2 - x1, y2 - y1]
        objects.append({"id": i, "image_id": i, "category_id": int(label), "bbox": bbox})
    with open(folder / "photos" / "boxes.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", *CORNERS], *rows])
    categories = [{"id": i, "name": name} for i, name in enumerate(classes)]
    (folder / "photos" / "boxes.json").write_text(
        json.dumps({"images": images, "annotations": objects, "categories": categories})
    )


def test_data_of_every_format_give_the_same_results(folder: Path) -> None:
    write_photos(folder)
    found = [
        json.loads(run("evaluate", "shapes", "--data", f"photos{name}", "--json", folder=folder).stdout)
        for name in ("", "/boxes.json", "/boxes.csv")
    ]
    assert [result["samples"] for result in found] == [12] * 3
    for result in found[1:]:
        assert result["mean_iou"] == pytest.approx(found[0]["mean_iou"])
    assert {"baseline_mean_iou", "baseline_localization_accuracy"} <= found[0].keys()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_predicted_boxes_are_in_pixels_of_the_upright_image(folder: Path, resize: str) -> None:
    write_photos(folder)
    run_folder = folder / "runs" / "shapes"
    info = json.loads((run_folder / "run.json").read_text())
    info["data"]["images"]["resize"] = resize
    (run_folder / "run.json").write_text(json.dumps(info))
    upright = folder / "photos" / "images" / "00.png"
    with Image.open(upright) as image:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees to the right
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    paths = ("photos/images/00.png", "turned.png")
    output = run("predict", "shapes", *paths, "--json", "--output", "o.csv", "--draw", "drawn", folder=folder)
    first, second = json.loads(output.stdout)["predictions"]
    assert first["box"] == second["box"]
    assert_predicts(run_folder, [(folder / path).read_bytes() for path in paths], [first, second])
    policy = ImagePolicy.from_dict(info["data"]["images"])
    from dlcli.data.images.decoding import read_image

    model = keras.saving.load_model(run_folder / "model.keras")
    relative = model.predict(read_image(upright, policy=policy)[None].astype(np.float32), verbose=0)["box"][0]
    scale = {"stretch": (64, 48), "crop": (48, 48), "pad": (64, 64)}[resize]
    left, top = {"stretch": (0, 0), "crop": (8, 0), "pad": (0, -8)}[resize]
    expected = relative * np.array(scale * 2) + np.array([left, top] * 2)
    np.testing.assert_allclose(first["box"], expected.clip(0, [64, 48, 64, 48]), atol=0.51 if resize == "pad" else 0.02)
    rows = read_csv(folder / "o.csv")
    assert [float(rows[0][name]) for name in CORNERS] == first["box"]
    with Image.open(folder / "drawn" / "turned.png") as drawn:
        assert drawn.size == (320, 240)  # five times as large, so that the label does not cover it


def test_boxes_in_previews_and_other_commands(folder: Path) -> None:
    processes.run("data", "preview", "shapes.yaml", "--output", "preview.png", folder=folder).expect(0)
    assert (folder / "preview.png").exists()
    assert "box_outputs" in run("summary", "shapes", folder=folder).stdout
    refused = run("attack", "shapes", "--fgsm", folder=folder, status=2)
    assert "dlcli attack does not support task: localization" in refused.stderr
    write_photos(folder)
    refused = run("predict", "shapes", "photos/images", "--draw", "photos", folder=folder, status=2)
    assert (
        refused.stderr.splitlines()[-1]
        == "--draw photos: already exists, and is not an empty folder. Choose another name."
    )


def test_a_changed_box_is_reported(folder: Path) -> None:
    write_photos(folder)
    data = "{kind: voc, path: photos, test: 0, image_size: [32, 32]}"
    (folder / "voc.yaml").write_text(f"task: localization\ndata: {data}\nmodel: {{kind: mlp}}\ntrain: {{epochs: 1}}\n")
    run("train", "voc.yaml", folder=folder)
    annotation = folder / "photos" / "annotations" / "03.xml"
    annotation.write_text(annotation.read_text().replace("<xmin>", "<xmin>1"))
    refused = run("evaluate", "voc", folder=folder, status=2)
    assert "1 sample with other annotations (images/03.png)" in refused.stderr


@pytest.mark.slow  # tests/workflow/test_transfer.py has the verb
def test_transfer_with_a_box_head(folder: Path) -> None:
    (folder / "plain.yaml").write_text(
        "task: classification\ndata: {kind: digits, image_size: [32, 32], color_mode: rgb, limit: 40}\n"
        "model: {kind: convnet, blocks: [{filters: 8}, {filters: 8}]}\ntrain: {epochs: 1}\n"
    )
    run("train", "plain.yaml", folder=folder)
    options = ("--epochs", 1, "--fine-tune-epochs", 1, "--set", "data.num_samples=60", "--json")
    done = run("transfer", "--base", "run:plain", "--task", "localization", *options, folder=folder)
    result = json.loads(done.stdout)
    assert result["run"] == "runs/localize_plain"
    assert result["task"] == "localization"
    assert {"test_mean_iou", "test_baseline_mean_iou"} <= result["final"].keys()
    refused = run("transfer", "--base", "run:shapes", "--task", "localization", *options, folder=folder, status=2)
    assert "has several outputs, such as a class and a box: only classifiers can get a new head." in refused.stderr


@pytest.mark.slow  # tests/workflow/test_sequences.py memorizes a batch
def test_overfit_memorizes_a_few_batches(folder: Path) -> None:
    (folder / "easy.yaml").write_text(
        RECIPE.replace(", dropout: 0.1", "").replace("shapes, num", "shapes, seed: 1, num")
    )
    done = run("train", "easy.yaml", "--overfit", 1, "--json", folder=folder)
    assert json.loads(done.stdout)["localization_accuracy"] == 1.0
    plan = json.loads(run("train", "easy.yaml", "--dry-run", "--json", folder=folder).stdout)
    assert plan["batch"]["y.box"] == [16, 4]


def test_training_data_without_boxes_are_refused(folder: Path) -> None:
    write_photos(folder)
    table = folder / "photos" / "boxes.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(",".join([*line.split(",")[:2], "", "", "", ""]) for line in lines[1:])]))
    (folder / "none.yaml").write_text(
        "task: localization\ndata: {kind: csv, path: photos/boxes.csv}\nmodel: {kind: mlp}\n"
    )
    refused = run("train", "none.yaml", folder=folder, status=2)
    assert refused.stderr.splitlines()[-1] == (
        "none.yaml:2:7: data: no training image has a box; without boxes use task: classification"
    )
    table.write_text("\n".join([*lines[:-1], ",".join([*lines[-1].split(",")[:2], "", "", "", ""])]))
    told = run("train", "none.yaml", "--dry-run", folder=folder).stderr
    assert "1 image has no box; only its class will be learned" in told
    table.write_text("\n".join([lines[0], *(",".join([*line.split(",")[:2], "", "", "", ""]) for line in lines[1:])]))
    found = json.loads(run("data", "check", "none.yaml", "--json", folder=folder, status=1).stdout)
    texts = [finding["text"] for finding in found["findings"] if finding["kind"] == "no box"]
    assert texts == [f"no image in {split} has a box" for split in ("train", "validation", "test")]


def test_a_head_that_is_not_trained_is_named(folder: Path) -> None:
    told = run(
        "train",
        "shapes.yaml",
        "--set",
        "train.stages=[{name: a, epochs: 1, losses: class}]",
        "--dry-run",
        folder=folder,
    )
    assert "no stage trains the box head: it keeps its random weights" in told.stderr


def test_a_split_without_boxes_is_refused(folder: Path) -> None:
    write_photos(folder)
    table = folder / "photos" / "boxes.csv"
    header, *rows = table.read_text().splitlines()
    held_out = [",".join([*row.split(",")[:2], "", "", "", "", "validation"]) for row in rows[:2]]
    table.write_text("\n".join([header + ",split", *(row + ",train" for row in rows[2:]), *held_out]))
    (folder / "none.yaml").write_text(
        "task: localization\ndata: {kind: csv, path: photos/boxes.csv, split: split}\nmodel: {kind: mlp}\n"
    )
    refused = run("train", "none.yaml", folder=folder, status=2)
    assert refused.stderr.splitlines()[-1] == (
        "none.yaml:2:7: data: no image in validation has a box to evaluate on; add boxes, or remove the split"
    )


def test_duplicates_with_different_boxes_are_a_problem(folder: Path) -> None:
    write_photos(folder)
    for name in ("near", "apart", "without"):
        shutil.copy(folder / "photos" / "images" / "00.png", folder / "photos" / "images" / f"{name}.png")
    table = folder / "photos" / "boxes.csv"
    label, x1, y1, x2, y2 = table.read_text().splitlines()[1].split(",")[1:]
    data = "{kind: csv, path: photos/boxes.csv, validation: 0, test: 0}"
    recipe = f"task: localization\ndata: {data}\nmodel: {{kind: mlp}}\n"
    (folder / "copies.yaml").write_text(recipe)
    text = table.read_text().rstrip()

    def kinds(row: str, status: int) -> list[str]:
        table.write_text(f"{text}\n{row}\n")
        found = json.loads(run("data", "check", "copies.yaml", "--json", folder=folder, status=status).stdout)
        return [finding["kind"] for finding in found["findings"] if finding["kind"].startswith("duplicates")]

    assert kinds(f"images/near.png,{label},{int(x1) + 1},{y1},{x2},{y2}", 0) == ["duplicates within a split"]
    both = ["duplicates within a split", "duplicates with different boxes"]
    assert kinds(f"images/apart.png,{label},0,0,2,2", 1) == both
    assert kinds(f"images/without.png,{label},,,,", 1) == both


def test_images_with_the_same_name_are_all_drawn(folder: Path) -> None:
    write_photos(folder)
    images = folder / "photos" / "images"
    (folder / "alike").mkdir()
    for number, name in enumerate(("a-2.png", "a.bmp", "a.png")):
        with Image.open(images / f"{number:02d}.png") as image:
            image.save(folder / "alike" / name)
    run("predict", "shapes", "alike", "--draw", "drawn", folder=folder)
    assert len(list((folder / "drawn").iterdir())) == 3
    refused = run("predict", "shapes", "alike", "--draw", "x.csv", "--output", "x.csv", folder=folder, status=2)
    assert refused.stderr.splitlines()[-1] == "--draw x.csv: is the same path as --output. Choose a folder."
    assert not (folder / "x.csv").exists()


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "shapes", tmp_path)
