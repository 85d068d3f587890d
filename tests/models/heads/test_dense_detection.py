"""RetinaNet and FCOS: shared subnets, initial probabilities, boxes against a plain computation, gradients."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from detectors import LEVELS, RATIOS, SIZES, detector, images  # type: ignore[import-not-found]

from dlcli.models.heads.anchors import anchors, centers, level_of_positions
from dlcli.models.heads.dense_detection import PRIOR
from dlcli.models.heads.normalization import group_norm
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights

SIZE = (64, 80)


@functools.cache
def predicted(kind: str) -> list[np.ndarray]:
    """The trained outputs, then the scores and boxes of all levels, of two images."""
    keras.utils.set_random_seed(0)
    inputs, outputs = detector(kind, SIZE)
    parts = [list(outputs.scores.values()), list(outputs.boxes.values())]
    trained, scores, boxes = keras.Model(inputs, [outputs.trained, *parts])(images(SIZE))
    every = [np.concatenate(levels, axis=1) for levels in (scores, boxes)]
    return [*(np.asarray(x) for x in trained), *every]


def test_shapes_and_initial_probabilities() -> None:
    logits, boxes, centerness, scores, final = predicted("fcos")
    num = len(centers(SIZE, LEVELS))
    assert [x.shape for x in (logits, boxes, centerness)] == [(2, num, 3), (2, num, 4), (2, num, 1)]
    np.testing.assert_array_equal(boxes, final)
    np.testing.assert_allclose(scores, (PRIOR * 0.5) ** 0.5, rtol=0.5)
    sides = (boxes[..., 2:] - boxes[..., :2]) * [SIZE[1], SIZE[0]] / 2.0 ** level_of_positions(SIZE, LEVELS)[:, None]
    np.testing.assert_allclose(sides, 2 * 3.0, rtol=0.3)

    logits, deltas, boxes, scores, final = predicted("retinanet")
    num *= len(SIZES) * len(RATIOS)
    assert [x.shape for x in (logits, deltas, boxes)] == [(2, num, 3), (2, num, 4), (2, num, 4)]
    np.testing.assert_array_equal(boxes, final)
    np.testing.assert_allclose(scores, PRIOR, rtol=0.5)


def test_the_boxes_of_retinanet_are_relative_to_its_anchors() -> None:
    _, deltas, boxes, *_ = predicted("retinanet")
    others = anchors(SIZE, LEVELS, sizes=SIZES, ratios=RATIOS)
    sides = others[:, 2:] - others[:, :2]
    middle = (others[:, :2] + others[:, 2:]) / 2 + deltas[..., :2] * sides
    half = np.exp(deltas[..., 2:]) * sides / 2
    np.testing.assert_allclose(boxes, np.concatenate([middle - half, middle + half], axis=-1), atol=1e-5)


def test_the_boxes_of_fcos_are_distances_in_strides() -> None:
    inputs, outputs = detector("fcos", SIZE)
    model = keras.Model(inputs, list(outputs.boxes.values()))
    for level in LEVELS:
        model.get_layer(f"box_scale{level}").set_weights([np.full((1, 1, 4, 1), 2.0), np.array([0.1, 0.2, 0.3, 0.4])])
    raw = keras.Model(inputs, [model.get_layer(f"box_outputs{level}").output for level in LEVELS])
    x = images(SIZE)
    values = np.concatenate(raw(x), axis=1)
    boxes = np.concatenate(model(x), axis=1)
    strides = 2.0 ** level_of_positions(SIZE, LEVELS)[:, None]
    distances = np.exp(2.0 * values + [0.1, 0.2, 0.3, 0.4]) * strides
    middle = centers(SIZE, LEVELS)
    expected = np.concatenate([middle - distances[..., :2], middle + distances[..., 2:]], axis=-1) / [80, 64, 80, 64]
    np.testing.assert_allclose(boxes, expected, atol=1e-5)


def test_boxes_in_square_images() -> None:
    """They have as many columns as rows, and at one level as many as ratios."""
    size = (96, 96)
    keras.utils.set_random_seed(0)
    inputs, outputs = detector("retinanet", size, levels=(3, 4, 5))
    model = keras.Model(inputs, [outputs.trained[1], *outputs.boxes.values()])
    deltas, *levels = (np.asarray(x) for x in model(images(size, 1)))
    others = anchors(size, (3, 4, 5), sizes=SIZES, ratios=RATIOS)
    sides = others[:, 2:] - others[:, :2]
    middle = (others[:, :2] + others[:, 2:]) / 2 + deltas[..., :2] * sides
    half = np.exp(deltas[..., 2:]) * sides / 2
    expected = np.concatenate([middle - half, middle + half], axis=-1)
    np.testing.assert_allclose(np.concatenate(levels, axis=1), expected, atol=1e-5)

    inputs, outputs = detector("fcos", size, levels=(3, 4, 5))
    boxes = np.concatenate(keras.Model(inputs, list(outputs.boxes.values()))(images(size, 1)), axis=1)[0] * 96
    middle = centers(size, (3, 4, 5))
    assert (boxes[:, :2] < middle).all()
    assert (boxes[:, 2:] > middle).all()


@pytest.mark.parametrize(("kind", "normalization"), [("fcos", "group"), ("fcos", "batch"), ("retinanet", "none")])
def test_parameters_of_the_shared_subnets(kind: str, normalization: str) -> None:
    """The weights do not depend on the number of levels, but for batch normalization and the factors of FCOS."""
    counts = []
    for levels in ((3, 4, 5), (3, 4)):
        with without_weights():
            inputs, outputs = detector(kind, levels=levels, num_convs=2, normalization=normalization)
            counts.append(layer_table(keras.Model(inputs, outputs.trained)).trainable)
    of_level = 9 * 8 * 8 + 8  # in the pyramid
    of_level += 8 if kind == "fcos" else 0
    of_level += 4 * 2 * 8 if normalization == "batch" else 0
    assert counts[0] - counts[1] == of_level

    each = 9 * 8 * 8 + (8 if normalization == "none" else 16 if normalization == "group" else 0)
    last = 9 * 8 * (3 + 4 + 1) + 8 if kind == "fcos" else 6 * (9 * 8 * (3 + 4) + 7)
    with without_weights():
        inputs, outputs = detector(kind, levels=(3, 4), num_convs=0, normalization=normalization)
        without = layer_table(keras.Model(inputs, outputs.trained)).trainable
    assert counts[1] - without == 4 * each + 2 * (of_level - 9 * 8 * 8 - 8 - (8 if kind == "fcos" else 0))
    with without_weights():
        inputs, outputs = detector(kind, levels=(3,), num_convs=0)
        model = keras.Model(inputs, outputs.trained)
        heads = [layer for layer in model.layers if layer.name.endswith("outputs_conv")]
        assert sum(layer.count_params() for layer in heads) == last


@pytest.mark.parametrize(("kind", "normalization"), [("fcos", "group"), ("retinanet", "batch")])
def test_every_variable_gets_a_gradient(kind: str, normalization: str) -> None:
    inputs, outputs = detector(kind, SIZE, normalization=normalization)
    model = keras.Model(inputs, outputs.trained)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(2, *x.shape[1:])).astype("float32") for x in outputs.trained]
    with tf.GradientTape() as tape:
        found = model(images(SIZE), training=True)
        loss = tf.add_n([tf.reduce_sum(x * weight) for x, weight in zip(found, weights, strict=True)])
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_group_normalization_needs_whole_groups() -> None:
    with pytest.raises(ValueError, match=r"multiple of 8 channels\. Received 12"):
        group_norm(12, name="norm")
