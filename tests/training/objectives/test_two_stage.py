"""The losses of two-stage detectors against loops over NumPy arrays."""

import numpy as np
import tensorflow as tf

from dlcli.training.objectives.two_stage import two_stage

BATCH, NUM_ANCHORS, NUM_BOXES, NUM_CLASSES = 3, 7, 6, 2


def smooth_l1(errors: np.ndarray, beta: float) -> float:
    return float(sum(e * e / (2 * beta) if abs(e) < beta else abs(e) - beta / 2 for e in errors))


def test_losses_equal_loops() -> None:
    rng = np.random.default_rng(0)
    anchor_labels = rng.integers(-1, 2, (BATCH, NUM_ANCHORS)).astype(np.int32)
    labels = rng.integers(-1, NUM_CLASSES + 1, (BATCH, NUM_BOXES)).astype(np.int32)
    anchor_labels[2], labels[2] = 0, NUM_CLASSES  # no object
    logits = rng.normal(size=(BATCH, NUM_ANCHORS))
    class_logits = rng.normal(size=(BATCH, NUM_BOXES, NUM_CLASSES + 1))
    deltas, targets = rng.normal(size=(2, BATCH, NUM_ANCHORS, 4))
    box_deltas, box_targets = 2 * rng.normal(size=(2, BATCH, NUM_BOXES, 4))
    parts = [logits, anchor_labels, deltas, targets, class_logits, labels, box_deltas, box_targets]
    outputs = [tf.constant(x if x.dtype == np.int32 else x.astype(np.float32)) for x in parts]
    expected = {name: np.zeros(BATCH) for name in ("objectness_loss", "proposal_loss", "class_loss", "box_loss")}
    for i in range(BATCH):
        for n in range(NUM_ANCHORS):
            if anchor_labels[i, n] >= 0:
                sign = 1 if anchor_labels[i, n] == 1 else -1
                expected["objectness_loss"][i] += np.log1p(np.exp(-sign * logits[i, n])) / NUM_ANCHORS
            if anchor_labels[i, n] == 1:
                expected["proposal_loss"][i] += smooth_l1(deltas[i, n] - targets[i, n], 1 / 9) / NUM_ANCHORS
        for n in range(NUM_BOXES):
            if labels[i, n] >= 0:
                odds = np.exp(class_logits[i, n])
                expected["class_loss"][i] -= np.log(odds[labels[i, n]] / odds.sum()) / NUM_BOXES
            if 0 <= labels[i, n] < NUM_CLASSES:
                expected["box_loss"][i] += smooth_l1(box_deltas[i, n] - box_targets[i, n], 1.0) / NUM_BOXES
    objective = two_stage(box_weight=0.5)
    for name, values in expected.items():
        np.testing.assert_allclose(objective.metrics[name](outputs, {}), values, rtol=1e-5)
    of_boxes = expected["box_loss"] + expected["proposal_loss"]
    total = expected["class_loss"] + expected["objectness_loss"] + 0.5 * of_boxes
    np.testing.assert_allclose(objective.loss(outputs, {}), total, rtol=1e-5)
    assert expected["box_loss"][2] == expected["proposal_loss"][2] == 0


def test_the_network_takes_the_ground_truth_and_the_seeds() -> None:
    y = {"boxes": tf.zeros((1, 2, 4)), "box_class": tf.zeros((1, 2), tf.int32)}
    batch = {"y": y, "draws": tf.zeros((1, 2), tf.int64)}
    inputs = two_stage().inputs("pixels", batch)
    assert inputs[0] == "pixels"
    assert [tuple(x.shape) for x in inputs[1:]] == [(1, 2, 4), (1, 2), (1, 2)]


def test_loss_of_masks() -> None:
    rng = np.random.default_rng(1)
    labels = np.int32([[0, 1, 2, -1, 2], [2, 2, 2, 2, 2]])  # 2 is the background
    logits, targets = (
        rng.normal(size=(2, 3, 4, 4)).astype(np.float32),
        rng.integers(0, 2, (2, 3, 4, 4)).astype(np.uint8),
    )
    others = [tf.zeros((2, 5)), tf.zeros((2, 5), tf.int32), *[tf.zeros((2, 5, 4))] * 2, tf.zeros((2, 5, 3))]
    outputs = [*others, tf.constant(labels), *[tf.zeros((2, 5, 4))] * 2, tf.constant(logits), tf.constant(targets)]
    signs = np.where(targets == 1, -1, 1)
    values = np.log1p(np.exp(signs * logits)).mean(axis=(2, 3))
    expected = [(values[0, 0] + values[0, 1]) / 3, 0]
    objective = two_stage(mask_weight=2.0)
    np.testing.assert_allclose(objective.metrics["mask_loss"](outputs, {}), expected, rtol=1e-5)
    without = two_stage()
    assert "mask_loss" not in without.metrics
    difference = objective.loss(outputs, {}) - without.loss(outputs, {})
    np.testing.assert_allclose(difference, 2.0 * np.array(expected), rtol=1e-4)
    y = {"boxes": "boxes", "box_class": "classes", "masks": "masks"}
    assert objective.inputs("x", {"y": y, "draws": "draws"}) == ["x", "boxes", "classes", "draws", "masks"]
