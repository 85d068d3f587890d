"""The files of an evaluation against pycocotools on what they hold, and what is reported."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector_table import CLASSES, DETECT, SIDE, detector_of, samples_of  # type: ignore[import-not-found]
from scenes import scenes

from dlcli.data.boxes.objects import objects_of
from dlcli.errors import InputError
from dlcli.evaluation.detection.boxes import Detections
from dlcli.evaluation.detection.fixed_boxes import FixedBoxes
from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import ground_truth
from dlcli.tasks.detection.evaluation import choose_threshold, evaluate_split, measure
from dlcli.tasks.evaluation_files import Destination

WHOLE = FixedBoxes(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([0.5]), np.array([0], np.int32))


def scene_of(seed: int) -> tuple[Any, Any]:
    """A model and samples with detections near some of the objects."""
    detections, truth = scenes(seed, num_images=10, num_classes=3, num_objects=3, step=0.01)
    sizes = [(400 + 10 * i, 600 - 20 * i) for i in range(10)]
    candidates, scores, labels = np.zeros((10, 6, 4)), np.zeros((10, 6)), np.full((10, 6), -1)
    objects: list[list[tuple[float, ...]]] = []
    for i in range(10):
        of_image = slice(truth.offsets[i], truth.offsets[i + 1])
        objects.append(
            [(*box, label) for box, label in zip(truth.boxes[of_image], truth.classes[of_image], strict=True)]
        )
        own = np.arange(detections.offsets[i], detections.offsets[i + 1])
        own = own[np.argsort(-detections.scores[own], kind="stable")][:6]
        candidates[i, : len(own)] = detections.boxes[own] / np.tile(sizes[i], 2)
        scores[i, : len(own)] = detections.scores[own]
        labels[i, : len(own)] = detections.classes[own]
    return detector_of(candidates.clip(0, 1), scores, labels), samples_of(objects, sizes, is_crowd=truth.is_crowd)


def evaluated(folder: Path, model: Any, samples: Any, **changes: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {"classes": CLASSES, "baseline": WHOLE, "threshold": 0.3, "detect": DETECT, "batch_size": 4}
    folder.mkdir()
    to = Destination(folder / "evaluation" / "test")
    return evaluate_split(to, model, samples, console=Console(quiet=False), **(keys | changes))


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_against_pycocotools(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from coco_oracle import evaluate

    model, samples = scene_of(0)
    result = evaluated(tmp_path / "run", model, samples)
    folder = tmp_path / "run" / "evaluation" / "test"
    found = json.loads((folder / "predictions.json").read_text())
    images = rows_of(folder / "predictions.csv")
    assert [row["image_id"] for row in images] == [str(i) for i in range(1, 11)]
    corners = np.array([row["bbox"] for row in found])
    detections = Detections(
        np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1),
        np.array([row["score"] for row in found]),
        np.array([row["category_id"] - 1 for row in found], np.int32),
        np.searchsorted([row["image_id"] for row in found], np.arange(1, 12)),
    )
    objects = objects_of(samples)
    assert objects is not None
    expected = evaluate(detections, ground_truth(objects), 3).stats
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100")
    assert [result.get(name, -1.0) for name in names] == expected[:9].tolist()
    assert json.loads((folder / "metrics.json").read_text())["ap"] == result["ap"] > 0
    rows = rows_of(folder / "per_class.csv")
    assert [row["class"] for row in rows] == list(CLASSES)
    assert np.mean([float(row["ap"]) for row in rows if row["ap"]]) == pytest.approx(result["ap"])
    assert sum(int(row["matched"]) for row in images) == np.trace(result["confusion_matrix"])
    assert sum(int(row["missed"]) for row in images) == sum(map(sum, result["confusion_matrix"][:-1])) - np.trace(
        result["confusion_matrix"]
    )
    errors = rows_of(folder / "errors.csv")
    assert len(errors) == sum(result["errors"].values())
    assert result["nms_differs"] == 0
    assert result["baseline_fixed_boxes_ap50"] < result["ap50"]
    assert {path.name for path in folder.iterdir()} == {
        *("metrics.json", "per_class.csv", "predictions.csv", "predictions.json", "errors.csv"),
        *("confusion_matrix.png", "precision_recall.png", "f1.png", "ap50.png", "detections.png"),
    }


def test_what_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two images with a whole cat and a small dog each: the whole image is found, and so it is by the baseline."""
    samples = samples_of([[(0, 0, 100, 50, 0), (0, 0, 5, 5, 1)]] * 2, [(100, 50)] * 2)
    boxes = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]]), (2, 1, 1))
    model = detector_of(boxes, np.full((2, 1), 0.9), np.zeros((2, 1), int), final=np.array([[0], [-1]]))
    result = evaluated(tmp_path / "run", model, samples, threshold=None)
    assert result["threshold_chosen_on"] == "these images"
    assert result["nms_differs"] == 1
    assert result["baseline_fixed_boxes_ap50"] > result["ap50"] > 0
    text = " ".join(capsys.readouterr().err.split())
    assert "is no better than the baseline's" in text
    assert "1 class has an AP of 0: 'dog'" in text
    assert "in 1 of 2 images the model's non-maximum suppression leaves other boxes" in text
    assert "detections count from a score of" in text


def test_without_objects_and_without_detections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = samples_of([[], []], [(SIDE, SIDE)] * 2)
    model = detector_of(np.zeros((2, 1, 4)), np.zeros((2, 1)), np.full((2, 1), -1))
    result = evaluated(tmp_path / "run", model, samples, threshold=None, baseline=None)
    assert "ap" not in result
    assert result["objects"] == result["detections"] == 0
    assert "no object is annotated: nothing is measured" in capsys.readouterr().err
    folder = tmp_path / "run" / "evaluation" / "test"
    assert json.loads((folder / "predictions.json").read_text()) == []
    assert rows_of(folder / "errors.csv") == []


def test_many_classes_have_a_table_of_confusions(tmp_path: Path) -> None:
    samples = samples_of([[(0, 0, 100, 50, 0)]], [(100, 50)])
    model = detector_of(np.array([[[0.0, 0.0, 1.0, 1.0]]]), np.full((1, 1), 0.9), np.full((1, 1), 200))
    result = evaluated(
        tmp_path / "run", model, samples, classes=tuple(map(str, range(201))), baseline=None, chosen_on=""
    )
    assert "threshold_chosen_on" not in result
    assert "confusion_matrix" not in result
    folder = tmp_path / "run" / "evaluation" / "test"
    assert rows_of(folder / "confusion_matrix.csv") == [{"true": "0", "predicted": "200", "count": "1"}]
    assert not (folder / "confusion_matrix.png").exists()


def test_the_threshold_and_what_is_measured_while_training() -> None:
    model, samples = scene_of(1)
    keys: dict[str, Any] = {"num_classes": 3, "batch_size": 4, "console": Console(quiet=True)}
    assert 0 < choose_threshold(model, samples, **keys) < 1
    found = measure(model, samples, **keys)
    assert found.names == ("ap", "ap50")
    assert 0 < found.values()["ap"] < found.values()["ap50"] < 1
    with pytest.raises(InputError, match="no objects"):
        choose_threshold(model, replace(samples, annotations={}), **keys)
