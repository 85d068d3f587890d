"""Masks of detections in their images: where they are pasted, their overlaps, evaluation against pycocotools, files."""

import csv
import functools
import io
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector_table import CLASSES, DETECT, detector_of, samples_of  # type: ignore[import-not-found]
from PIL import Image

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.objects import NAME, objects_of
from dlcli.data.boxes.polygons import decode_runs, fill_runs
from dlcli.data.images.decoding import ImagePolicy
from dlcli.errors import InputError
from dlcli.evaluation.detection.boxes import Detections
from dlcli.evaluation.detection.fixed_boxes import FixedBoxes
from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import ground_truth, with_detections
from dlcli.tasks.detection.evaluation import choose_threshold, evaluate_split, measure
from dlcli.tasks.detection.mask_baseline import baseline_masks, mean_shapes
from dlcli.tasks.detection.masks import mask_reader, objects_with_masks, overlaps_of
from dlcli.tasks.detection.prediction import predict
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.task import PredictionRequest

QUIET = Console(quiet=True)
FULL = np.ones((1, 28, 28), np.float32)


@pytest.mark.parametrize(("resize", "left"), [("stretch", 0), ("pad", 0), ("crop", 50)])
def test_the_whole_input_is_the_part_of_the_image_that_it_shows(resize: Any, left: int) -> None:
    """An image of 200x100: what is padded has no pixels, and what is cropped none in the mask."""
    policy = ImagePolicy((16, 16), "rgb", resize, "bilinear", antialias=True)
    read = mask_reader(None, [Frame(200, 100)], policy, encodes=True)
    found = read(0, np.array([[0.0, 0.0, 1.0, 1.0]]), FULL)
    expected = np.zeros((100, 200), np.uint8)
    expected[:, left : 200 - left] = 1
    np.testing.assert_array_equal(found.mask(0), expected)
    assert found.areas.tolist() == [expected.sum()]
    assert found.iou.shape == (1, 0)
    assert read(0, np.zeros((0, 4)), FULL[:0]).areas.shape == (0,)


def test_a_box_beyond_the_image_is_not_squeezed_into_it() -> None:
    """Padding above and below a wide image: the left half of the mask of a box over all of it is in the image."""
    policy = ImagePolicy((16, 16), "rgb", "pad", "bilinear", antialias=True)
    upper = np.zeros((1, 28, 28), np.float32)
    upper[:, :14] = 1
    found = mask_reader(None, [Frame(200, 100)], policy, encodes=True)(0, np.array([[0.0, 0.0, 1.0, 1.0]]), upper)
    np.testing.assert_array_equal(found.mask(0)[:, 0], np.arange(100) < 50)


def scene_of(seed: int) -> tuple[Any, Any, list[np.ndarray], FixedBoxes]:
    """A model, samples with ellipses as objects, their masks, and a baseline."""
    rng = np.random.default_rng(seed)
    sizes = [(40 + 3 * i, 60 - 2 * i) for i in range(6)]
    objects, masks = [], []
    candidates, scores, labels = np.zeros((6, 4, 4)), np.zeros((6, 4)), np.full((6, 4), -1)
    for i, (width, height) in enumerate(sizes):
        corners = rng.uniform(0, 0.6, (3, 2))
        corners = np.concatenate([corners, corners + rng.uniform(0.2, 0.4, (3, 2))], axis=1)
        pixels = corners * np.tile((width, height), 2)
        own = rng.integers(0, 3, 3)
        objects.append([(*box, int(label)) for box, label in zip(pixels, own, strict=True)])
        y, x = np.mgrid[:height, :width] + 0.5
        masks.append(
            np.stack(
                [
                    ((x - (a + c) / 2) / (c - a)) ** 2 + ((y - (b + d) / 2) / (d - b)) ** 2 <= 0.25
                    for a, b, c, d in pixels
                ]
            ).astype(np.uint8)
        )
        number = int(rng.integers(1, 5))
        near = np.concatenate([corners, rng.uniform(0, 0.5, (1, 4)) + np.array([0, 0, 0.5, 0.5])])[:number]
        candidates[i, :number] = (near + rng.normal(0, 0.01, near.shape)).clip(0, 1)
        scores[i, :number] = np.sort(rng.uniform(0.2, 1, number))[::-1]
        labels[i, :number] = np.append(own, 0)[:number]
    v, u = (np.mgrid[:28, :28] + 0.5) / 28 - 0.5
    disk = np.clip(1.5 - 4 * (u**2 + v**2), 0, 1)
    probabilities = np.broadcast_to(disk, (6, 4, 28, 28))
    crowd = np.arange(18) % 7 == 3
    samples = samples_of(objects, sizes, masks, is_crowd=crowd)
    fixed = FixedBoxes(
        np.array([[0.2, 0.2, 0.5, 0.5]]), np.array([0.5]), np.array([0], np.int32), np.ones((3, 28, 28), bool)
    )
    return detector_of(candidates, scores, labels, masks=probabilities), samples, masks, fixed


def evaluated(folder: Path, model: Any, samples: Any, **changes: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {"classes": CLASSES, "baseline": None, "threshold": 0.3, "detect": DETECT, "batch_size": 4}
    folder.mkdir()
    to = Destination(folder / "evaluation" / "test")
    return evaluate_split(to, model, samples, has_masks=True, console=QUIET, **(keys | changes))


def test_files_against_pycocotools(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from coco_oracle import evaluate, evaluate_masks
    from pycocotools import mask as mask_tools

    model, samples, masks, fixed = scene_of(1)
    result = evaluated(tmp_path / "run", model, samples, baseline=fixed)
    folder = tmp_path / "run" / "evaluation" / "test"
    found = json.loads((folder / "predictions.json").read_text())
    corners = np.array([row["bbox"] for row in found])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pycocotools' own code
        pixels = [mask_tools.decode(row["segmentation"]) for row in found]
    detections = Detections(
        np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1),
        np.array([row["score"] for row in found]),
        np.array([row["category_id"] - 1 for row in found], np.int32),
        np.searchsorted([row["image_id"] for row in found], np.arange(1, 8)),
    )
    objects = objects_of(samples)
    assert objects is not None
    truth = ground_truth(objects)
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100")
    of_masks = evaluate_masks(detections, truth, 3, pixels, [mask for own in masks for mask in own]).stats
    of_boxes = evaluate(detections, truth, 3).stats
    assert [result.get(f"mask_{name}", -1.0) for name in names] == of_masks[:9].tolist()
    assert [result.get(f"box_{name}", -1.0) for name in names] == of_boxes[:9].tolist()
    assert 0.1 < result["mask_ap"] < 1
    assert result["nms_differs"] == 0
    assert result["baseline_fixed_masks_ap50"] < result["mask_ap50"]
    assert "baseline_fixed_boxes_ap50" in result
    with open(folder / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert np.mean([float(row["mask_ap"]) for row in rows]) == pytest.approx(result["mask_ap"])
    assert np.mean([float(row["box_ap"]) for row in rows]) == pytest.approx(result["box_ap"])
    assert {"baseline_mask_ap50", "f1"} <= rows[0].keys()
    assert (folder / "detections.png").exists()


def test_what_is_measured_while_training() -> None:
    model, samples, _, _ = scene_of(0)
    keys: dict[str, Any] = {"num_classes": 3, "has_masks": True, "batch_size": 4, "console": QUIET}
    assert 0 < choose_threshold(model, samples, **keys) < 1
    found = measure(model, samples, **keys)
    values = found.values()
    assert found.names == ("mask_ap", "mask_ap50", "box_ap")
    assert 0 < values["mask_ap"] < values["mask_ap50"] < 1
    objects = replace(objects_with_masks(samples), instances=None)
    with pytest.raises(InputError, match="no objects with masks"):
        measure(model, replace(samples, annotations={NAME: objects}), **keys)


def test_overlaps_are_those_of_the_detections_that_count() -> None:
    masks = [np.array([[[1, 1, 0, 0]], [[0, 0, 1, 1]]], np.uint8)]
    objects = objects_with_masks(samples_of([[(0, 0, 2, 1, 0), (2, 0, 4, 1, 1)]], [(4, 1)], masks))
    policy = ImagePolicy((16, 16), "rgb", "stretch", "bilinear", antialias=True)
    boxes = np.array([[0.0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 0.75, 1]])
    read = mask_reader(objects, objects.frames, policy, encodes=False)(0, boxes, np.tile(FULL, (3, 1, 1)))
    np.testing.assert_array_equal(read.iou, [[0.5, 0.5], [1, 0], [0, 0.5]])
    detections = Detections(boxes, np.array([0.9, 0.2, 0.8]), np.zeros(3, np.int32), np.array([0, 3]))
    iou = overlaps_of([read], detections, ground_truth(objects), detections.scores > 0.5)
    np.testing.assert_array_equal(iou(0, np.arange(2), np.array([1])), [[0.5], [0.5]])


def test_annotations_of_a_turned_image_are_turned_upright() -> None:
    """A file of 4x2 pixels that is displayed as 2x4: its left column is its upper row then."""
    mask = np.zeros((1, 4, 2), np.uint8)
    mask[0, 0] = 1
    samples = samples_of([[(0, 0, 1, 2, 0)]], [(4, 2)], [mask])
    objects: Any = objects_of(samples)
    turned = replace(objects, frames=(Frame(4, 2, orientation=6),))
    found = objects_with_masks(replace(samples, annotations={NAME: turned}))
    assert found.frames == (Frame(2, 4),)
    np.testing.assert_allclose(found.corners, [[0, 0, 2, 1]], atol=1e-9)


def test_the_baseline_has_the_mean_shape_of_a_class() -> None:
    """Two cats fill the upper half of their boxes, one more all of it; a dog is a thin line; there is no bird."""
    masks = [np.zeros((2, 56, 56), np.uint8), np.zeros((2, 56, 56), np.uint8)]
    masks[0][0, :28] = masks[0][1, :28] = masks[1][0] = 1
    masks[1][1, 20, 30] = 1
    objects = objects_with_masks(
        samples_of(
            [[(0, 0, 56, 56, 0), (0, 0, 56, 56, 0)], [(0, 0, 56, 56, 0), (0, 0, 56, 56, 1)]], [(56, 56)] * 2, masks
        )
    )
    shapes = mean_shapes(objects, 3)
    np.testing.assert_array_equal(shapes[0], np.arange(28)[:, None] < np.full((1, 28), 14))
    assert np.argwhere(shapes[1]).tolist() == [[10, 15]]
    assert shapes[2].all()
    fixed = FixedBoxes(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([0.5]), np.array([0], np.int32), shapes)
    detections, found = baseline_masks(fixed, objects)
    assert detections.mask_areas is not None
    assert detections.mask_areas.tolist() == [28 * 56] * 2
    np.testing.assert_array_equal(found[1].iou, [[0.5, 1 / (28 * 56)]])


def test_predicted_masks_are_those_of_the_files(tmp_path: Path) -> None:
    boxes = np.array([[[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.5], [0.5, 0.5, 1.0, 1.0]]])
    model = detector_of(boxes, np.array([[0.9, 0.8, 0.2]]), np.array([[0, 1, 1]]), masks=np.ones((1, 3, 28, 28)))
    samples = replace(samples_of([[]], [(200, 100)]), annotations={}, unsized=(np.zeros((100, 200, 3), np.uint8),))
    request = PredictionRequest([], (), 3, tmp_path / "found.json", pixel_size=0.5)
    keys: dict[str, Any] = {"classes": CLASSES, "threshold": 0.5, "has_masks": True, "console": QUIET}
    network = with_detections(model, has_masks=True)
    outputs = functools.partial(predict_batches, network, batch_size=1, console=QUIET)
    predicted = predict(outputs, samples, request=request, **keys)
    first, second = predicted.rows[0]["objects"]
    assert first["class"] == "cat"
    assert (first["pixels"], first["area"], second["pixels"]) == (10_000, 2_500.0, 10_000)
    height, width = first["segmentation"]["size"]
    inside = fill_runs(decode_runs(first["segmentation"]["counts"]), height, width)
    np.testing.assert_array_equal(inside, np.broadcast_to(np.arange(200) < 100, (100, 200)))
    assert predicted.mask is not None
    numbers = np.array(Image.open(io.BytesIO(predicted.mask(0))))
    expected = np.zeros((100, 200), int)
    expected[:50] = 2
    expected[:, :100] = 1
    np.testing.assert_array_equal(numbers, expected)
    assert predicted.draw is not None
    drawn = np.array(Image.open(io.BytesIO(predicted.draw(0, Image.new("RGB", (200, 100))))))
    assert drawn.shape == (200, 400, 3)  # enlarged, so that labels do not cover it
    assert drawn[160, 300].sum() == 0  # in neither mask
    assert (drawn[160, 100] != drawn[60, 300]).any()  # of a cat and of a dog
    assert drawn[160, 100].any()
    assert drawn[60, 300].any()
    assert json.loads((tmp_path / "found.json").read_text())[1]["segmentation"] == second["segmentation"]
    table = replace(request, output=tmp_path / "found.csv", pixel_size=None)
    predict(outputs, samples, request=table, **keys)
    header = (tmp_path / "found.csv").read_text().splitlines()[0]
    assert header == "file,class,score,xmin,ymin,xmax,ymax,pixels"
