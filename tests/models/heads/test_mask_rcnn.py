"""Mask R-CNN: targets against a loop, the mask of the box's class, gradients, masks of final boxes."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.models.heads.faster_rcnn import SampledBoxes
from dlcli.models.heads.mask_rcnn import MaskHead, MaskTargets, final_masks, trained_masks

SIZE, NUM_CLASSES = (24, 32), 3
RNG = np.random.default_rng(0)


def test_targets_equal_a_loop() -> None:
    masks = np.zeros((2, 3, *SIZE), np.uint8)
    masks[0, 0, 4:20, 3:17] = 1
    masks[0, 2, 10:, 20:] = 1
    rows, columns = np.mgrid[:24, :32]
    masks[1, 1] = (rows - 11.5) ** 2 + (columns - 14) ** 2 < 81
    boxes = np.float32(
        [
            [[0.1, 0.2, 0.5, 0.8], [0.5, 0.3, 1, 1], [0, 0, 1, 1]],
            [[0.2, 0.1, 0.7, 0.9], [0.4, 0.4, 0.6, 0.5], [0, 0, 0.01, 1]],
        ]
    )
    objects = np.int32([[0, 2, 2], [1, 1, 0]])
    side = 8
    found = np.asarray(MaskTargets(side=side)(masks, boxes, objects))
    assert found.dtype == np.uint8
    for image, n, i, j in np.ndindex(found.shape):
        mask = masks[image, objects[image, n]].astype(float)
        left, top, right, bottom = boxes[image, n].astype(float)
        total = 0.0
        for a in (0.25, 0.75):
            for b in (0.25, 0.75):
                y = min(max((top + (bottom - top) * (i + a) / side) * SIZE[0] - 0.5, 0), SIZE[0] - 1)
                x = min(max((left + (right - left) * (j + b) / side) * SIZE[1] - 0.5, 0), SIZE[1] - 1)
                y0, x0 = math.floor(y), math.floor(x)
                y1, x1 = min(y0 + 1, SIZE[0] - 1), min(x0 + 1, SIZE[1] - 1)
                upper = mask[y0, x0] * (1 - x + x0) + mask[y0, x1] * (x - x0)
                lower = mask[y1, x0] * (1 - x + x0) + mask[y1, x1] * (x - x0)
                total += (upper * (1 - y + y0) + lower * (y - y0)) / 4
        assert found[image, n, i, j] == (total >= 0.5) or abs(total - 0.5) < 1e-5
    assert 0 < found[0, 2].mean() < 1
    assert 0 < found[1, 0].mean() < 1
    assert not found[1, 2].any()


def test_the_mask_is_that_of_the_class() -> None:
    head = MaskHead(num_convs=1, channels=4, num_classes=NUM_CLASSES)
    features = RNG.normal(size=(1, 3, 14, 14, 5)).astype(np.float32)
    by_class = [np.asarray(head(features, np.full((1, 3), name, np.int32))) for name in range(NUM_CLASSES)]
    mixed = np.asarray(head(features, np.int32([[2, -1, 0]])))
    assert mixed.shape == (1, 3, 28, 28)
    np.testing.assert_array_equal(mixed[0, 0], by_class[2][0, 0])
    np.testing.assert_array_equal(mixed[0, 2], by_class[0][0, 2])
    assert not mixed[0, 1].any()
    assert not np.allclose(by_class[0], by_class[1])


def inputs() -> dict[str, Any]:
    boxes = np.float32([[[0.1, 0.1, 0.9, 0.9], [0.3, 0.2, 0.5, 0.6]]])
    return {
        "pyramid": {
            level: RNG.normal(size=(1, 24 // 2**level, 32 // 2**level, 6)).astype(np.float32) for level in (2, 3)
        },
        "boxes": boxes,
        "labels": np.int32([[1, 0]]),
        "objects": np.int32([[0, 1]]),
        "masks": RNG.integers(0, 2, (1, 2, *SIZE)).astype(np.uint8),
    }


def test_every_variable_gets_a_gradient_and_final_boxes_have_the_same_masks() -> None:
    keras.utils.set_random_seed(0)
    given = inputs()
    symbolic = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), given)
    head = MaskHead(num_convs=2, channels=4, num_classes=NUM_CLASSES)
    pyramid, boxes, labels, objects, masks = symbolic.values()
    outputs = trained_masks(pyramid, SampledBoxes(boxes, labels, boxes, objects), head, masks, size=SIZE)
    trained = keras.Model(keras.tree.flatten(symbolic), outputs)
    final = keras.Model([*pyramid.values(), boxes, labels], final_masks(pyramid, boxes, labels, head, size=SIZE))
    with tf.GradientTape() as tape:
        logits, targets = trained([tf.constant(x) for x in keras.tree.flatten(given)])
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets, tf.float32), logits))
    variables = trained.trainable_variables
    assert len(variables) == 8
    assert [v.path for v in variables] == [v.path for v in final.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert np.abs(gradient).max() > 0, variable.path
    found = final([*given["pyramid"].values(), given["boxes"], given["labels"]])
    assert found.shape == (1, 2, 28, 28)
    np.testing.assert_allclose(found, tf.sigmoid(logits), atol=1e-5)
    assert final.get_layer("masks").output.dtype == "float32"
