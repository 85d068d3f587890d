"""Non-maximum suppression against a plain loop."""

import numpy as np
import pytest

from dlcli.models.heads.suppression import SIGMA, earlier_overlaps, greedy_keep, pairwise_iou, soft_factors

NUM_CLASSES = 3


def iou_of(a: np.ndarray, b: np.ndarray) -> np.float32:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), np.float32(0))
    common = sides[0] * sides[1]
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / max(union, np.float32(1e-9))


def greedy(boxes: np.ndarray, classes: np.ndarray, *, iou: float, class_agnostic: bool) -> np.ndarray:
    """Greedy non-maximum suppression of boxes in descending order, one by one."""
    kept: list[int] = []
    for i in range(len(boxes)):
        rivals = [j for j in kept if class_agnostic or classes[i] == classes[j]]
        if all(iou_of(boxes[j], boxes[i]) <= iou for j in rivals):
            kept.append(i)
    return np.isin(np.arange(len(boxes)), kept)


def like_a_detectors(num_images: int, num_boxes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around some objects in random order, with classes that are mostly the object's."""
    rng = np.random.default_rng(seed)
    num_objects = rng.integers(1, 20, num_images)
    objects = np.stack([rng.integers(0, n, num_boxes) for n in num_objects])
    middle, sides = rng.uniform(0.1, 0.9, (num_images, 20, 2)), rng.uniform(0.05, 0.4, (num_images, 20, 2))
    rows = np.arange(num_images)[:, None]
    spread = rng.choice([0.05, 0.2], (num_images, num_boxes, 1))
    center = middle[rows, objects] + rng.normal(size=(num_images, num_boxes, 2)) * sides[rows, objects] * spread
    half = sides[rows, objects] * np.exp(rng.normal(size=(num_images, num_boxes, 2)) * spread) / 2
    classes = np.where(
        rng.random(objects.shape) < 0.8, objects % NUM_CLASSES, rng.integers(0, NUM_CLASSES, objects.shape)
    )
    boxes = np.concatenate([center - half, center + half], axis=-1).clip(0, 1)
    return boxes.astype("float32"), classes.astype("int32")


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
def test_the_boxes_of_greedy_suppression(iou: float, class_agnostic: bool) -> None:
    boxes, classes = like_a_detectors(25, 80, seed=int(iou * 10))
    keep = np.asarray(greedy_keep(earlier_overlaps(boxes, None if class_agnostic else classes), iou=iou))
    assert keep.dtype == np.float32
    for i in range(len(boxes)):
        expected = greedy(boxes[i], classes[i], iou=iou, class_agnostic=class_agnostic)
        np.testing.assert_array_equal(keep[i] == 1.0, expected)
    assert 0.05 < keep.mean() < 0.7


def test_a_chain_of_boxes() -> None:
    """Each removes the next one, so that every other one is kept: 2 more are exact in each round."""
    left = 0.04 * np.arange(16)
    boxes = np.stack([left, 0 * left, left + 0.1, 0 * left + 1], axis=1)[None].astype("float32")
    keep = np.asarray(greedy_keep(earlier_overlaps(boxes, None), iou=0.4))
    np.testing.assert_array_equal(keep[0], greedy(boxes[0], np.zeros(16), iou=0.4, class_agnostic=True))
    assert keep[0].tolist() == [1, 0] * 8


def test_overlaps_of_boxes_without_an_area_are_0() -> None:
    boxes = np.float32([[[0, 0, 0, 0], [0.2, 0.2, 0.2, 0.6], [0, 0, 1, 1], [0, 0, 1, 1]]])
    overlap = np.asarray(pairwise_iou(boxes))[0]
    assert overlap.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_soft_suppression_is_matrix_nms() -> None:
    boxes, classes = like_a_detectors(5, 40, seed=9)
    factors = np.asarray(soft_factors(earlier_overlaps(boxes, classes)))
    for i in range(len(boxes)):
        overlap = np.array([[iou_of(a, b) for b in boxes[i]] for a in boxes[i]]) * (classes[i][:, None] == classes[i])
        largest = [max([overlap[k, j] for k in range(j)], default=0.0) for j in range(40)]
        for j in range(40):
            each = [np.exp(-(overlap[k, j] ** 2) / SIGMA) / np.exp(-(largest[k] ** 2) / SIGMA) for k in range(j)]
            assert factors[i, j] == pytest.approx(min([*each, 1.0]), rel=1e-4)
    assert factors.min() < 0.2
