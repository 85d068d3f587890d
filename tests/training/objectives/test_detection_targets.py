"""Which object each position and anchor is to predict, against plain loops over random cases."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from detection_problem import SIZE, STRIDES, some_objects, some_positions  # type: ignore[import-not-found]

from dlcli.training.objectives.detection_targets import (
    IGNORED,
    NEGATIVE,
    assign_anchors,
    assign_positions,
)


def loop_over_positions(
    boxes: np.ndarray, classes: np.ndarray, *, center_radius: float, largest_distance: float
) -> list[tuple[int, Any, float]]:
    """For each position of one image the class, the box and the centerness."""
    height, width = SIZE
    found: list[tuple[int, Any, float]] = []
    positions = some_positions()
    for (x, y), stride in zip(positions.centers, positions.strides, strict=True):
        low = 0 if stride == STRIDES[0] else largest_distance * stride / 2
        high = np.inf if stride == STRIDES[-1] else largest_distance * stride
        best: tuple[float, tuple[int, Any, float]] = (np.inf, (NEGATIVE, np.zeros(4), 0.0))
        for box, label in zip(boxes, classes, strict=True):
            if label < 0:
                continue
            left, top, right, bottom = box * np.float32([width, height, width, height])
            sides = (x - left, y - top, right - x, bottom - y)
            is_central = abs(x - (left + right) / 2) < center_radius * stride
            is_central &= abs(y - (top + bottom) / 2) < center_radius * stride
            if min(sides) > 0 and is_central and low < max(sides) <= high:
                centerness = np.sqrt(
                    min(sides[0], sides[2])
                    / max(sides[0], sides[2])
                    * min(sides[1], sides[3])
                    / max(sides[1], sides[3])
                )
                area = (right - left) * (bottom - top)
                if area < best[0]:
                    best = (area, (int(label), box, float(centerness)))
        found.append(best[1])
    return found


@pytest.mark.parametrize(("center_radius", "largest_distance"), [(1.5, 2.0), (0.7, 1.0), (100.0, 3.0)])
def test_positions_by_a_plain_loop(center_radius: float, largest_distance: float) -> None:
    keys = {"center_radius": center_radius, "largest_distance": largest_distance}
    seen = set()
    for seed in range(5):
        boxes, classes = some_objects(seed)
        found = assign_positions(tf.constant(boxes), tf.constant(classes), some_positions(), **keys)
        for i in range(len(boxes)):
            expected = loop_over_positions(boxes[i], classes[i], **keys)
            assert found.classes[i].numpy().tolist() == [label for label, _, _ in expected]
            np.testing.assert_array_equal(found.boxes[i], np.stack([box for _, box, _ in expected]))
            np.testing.assert_allclose(found.centerness[i], [value for *_, value in expected], atol=1e-5)
        assert (found.classes[0].numpy() == NEGATIVE).all()
        for labels in found.classes.numpy().tolist():
            seen |= set(zip(labels, some_positions().strides.tolist(), strict=True))
    assert {label for label, _ in seen} == {NEGATIVE, 0, 1, 2}
    assert len({stride for label, stride in seen if label >= 0}) >= 2


def some_anchors(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle, half = rng.uniform(0, 1, (60, 2)), rng.uniform(0.02, 0.4, (60, 2))
    anchors = np.concatenate([middle - half, middle + half], axis=1)
    return np.concatenate([anchors, anchors[:5]])  # of equal ones, both are the best


def overlap(a: np.ndarray, b: np.ndarray) -> np.float32:
    a, b = np.float32(a), np.float32(b)
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), np.float32(0))
    common = sides[0] * sides[1]
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return np.float32(common / max(union, np.float32(1e-9)))


def loop_over_anchors(
    anchors: np.ndarray, boxes: np.ndarray, classes: np.ndarray, *, positive_iou: float, negative_iou: float
) -> tuple[list[int], list[int]]:
    """The class of each anchor of one image, and the position of its object, -1 for none."""
    objects = [k for k, label in enumerate(classes) if label >= 0]
    table = np.array([[overlap(anchor, boxes[k]) for k in objects] for anchor in anchors]).reshape(len(anchors), -1)
    labels, owners = [], []
    for row in table:
        best = [k for k, value in enumerate(row) if value > 0 and value == table[:, k].max()]
        label, owner = NEGATIVE, -1
        if best:
            owner = max(best, key=lambda k: (row[k], -k))
            label = classes[objects[owner]]
        elif len(row) and row.max() >= positive_iou:
            owner = int(row.argmax())
            label = classes[objects[owner]]
        elif len(row) and row.max() >= negative_iou:
            label = IGNORED
        labels.append(int(label))
        owners.append(objects[owner] if owner >= 0 else -1)
    return labels, owners


@pytest.mark.parametrize(("positive_iou", "negative_iou"), [(0.5, 0.4), (0.7, 0.3), (0.3, 0.3)])
def test_anchors_by_a_plain_loop(positive_iou: float, negative_iou: float) -> None:
    keys = {"positive_iou": positive_iou, "negative_iou": negative_iou}
    seen: set[int] = set()
    for seed in range(4):
        (boxes, classes), anchors = some_objects(seed), some_anchors(seed)
        found = assign_anchors(tf.constant(boxes), tf.constant(classes), anchors, **keys)
        assert found.centerness is None
        for i in range(len(boxes)):
            labels, owners = loop_over_anchors(anchors, boxes[i], classes[i], **keys)
            assert found.classes[i].numpy().tolist() == labels
            expected = [boxes[i, owner] if owner >= 0 else np.zeros(4) for owner in owners]
            np.testing.assert_array_equal(found.boxes[i], expected)
            for k in np.flatnonzero(classes[i] >= 0):
                assert labels[int(np.argmax([overlap(anchor, boxes[i, k]) for anchor in anchors]))] >= 0
            seen |= set(labels)
        assert (found.classes[0].numpy() == NEGATIVE).all()
    assert seen >= {NEGATIVE, 0, 1, 2} | ({IGNORED} if negative_iou < positive_iou else set())


def test_an_object_that_no_anchor_touches_has_none() -> None:
    boxes, classes = np.float32([[[0.9, 0.9, 1, 1]]]), np.int32([[1]])
    found = assign_anchors(
        tf.constant(boxes), tf.constant(classes), np.array([[0, 0, 0.5, 0.5]]), positive_iou=0.5, negative_iou=0.4
    )
    assert found.classes.numpy().tolist() == [[NEGATIVE]]
