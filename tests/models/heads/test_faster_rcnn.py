"""Faster R-CNN: proposals and final boxes against plain computations, gradients, memorizing a batch, saving."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from segmenters import resnet18  # type: ignore[import-not-found]

from dlcli.data.boxes.object_targets import ObjectsTarget
from dlcli.data.images.batches import Batches
from dlcli.data.splits import NO_LABEL
from dlcli.models.heads.anchors import anchors
from dlcli.models.heads.detection_outputs import detection_outputs
from dlcli.models.heads.faster_rcnn import DELTA_SCALE, BoxHead, final_boxes, ground_truth, trained_outputs
from dlcli.models.heads.feature_pyramid import feature_pyramid
from dlcli.models.heads.region_proposal import Proposals, region_proposals
from dlcli.models.heads.target_sampling import AnchorSampling, ProposalSampling
from dlcli.models.images.taps import taps
from dlcli.training import schedule
from dlcli.training.objectives.detection_targets import assign_anchors
from dlcli.training.objectives.two_stage import two_stage
from dlcli.training.step import TrainStep

SIZE, LEVELS, NUM_CLASSES = (64, 80), (3, 4, 5, 6), 3
ANCHORS: dict[str, Any] = {"sizes": (3.0,), "ratios": (0.5, 1.0, 2.0)}


def detector(channels: int = 8, width: float = 0.0625) -> tuple[keras.Model, keras.Model, Proposals, Any]:
    """The saved model, the trained one, the proposals, and the scores and boxes of the second stage."""
    inputs = keras.Input((*SIZE, 3))
    pyramid = feature_pyramid(taps(inputs, resnet18(inputs, width)), size=SIZE, levels=LEVELS, channels=channels)
    proposals = region_proposals(
        pyramid, size=SIZE, channels=channels, num_candidates=60, iou=0.7, num_proposals=50, **ANCHORS
    )
    maps = {level: pyramid[level] for level in (3, 4, 5)}
    head = BoxHead(bins=3, channels=channels, units=(16,), num_classes=NUM_CLASSES)
    truth, every = ground_truth(), anchors(SIZE, LEVELS, **ANCHORS)
    assign = functools.partial(assign_anchors, anchors=every, positive_iou=0.6, negative_iou=0.3)
    outputs, _ = trained_outputs(
        *(maps, proposals, head, truth),
        size=SIZE,
        anchors=AnchorSampling(anchors=every, num=32, assign=assign, name="anchors"),
        sampling=ProposalSampling(num_classes=NUM_CLASSES, num=16, max_positive=4, positive_iou=0.5, name="sampling"),
    )
    scores, boxes = final_boxes(maps, proposals, head, size=SIZE)
    options: dict[str, Any] = {"score": 0.05, "iou": 0.5, "nms": "greedy", "max_boxes": 10, "num_candidates": 40}
    final = detection_outputs({0: scores}, {0: boxes}, class_agnostic=False, **options)
    return keras.Model(inputs, final), keras.Model([inputs, *truth.inputs], outputs), proposals, (scores, boxes)


@functools.cache
def small() -> tuple[keras.Model, keras.Model, Proposals, Any]:
    keras.utils.set_random_seed(0)
    return detector()


def batch(epoch: int = 0) -> dict[str, Any]:
    """Two images with bright rectangles, the channel of which is the class, and one without any."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 0.2, (3, *SIZE, 3)).astype(np.float32)
    boxes, classes = np.zeros((3, 2, 4), np.float32), np.full((3, 2), -1, np.int32)
    for image, slot, box in ((0, 0, (4, 8, 36, 40)), (0, 1, (44, 20, 70, 60)), (1, 0, (20, 10, 60, 30))):
        left, top, right, bottom = box
        x[image, top:bottom, left:right, slot] = 1
        boxes[image, slot] = np.array(box) / [80, 64, 80, 64]
        classes[image, slot] = slot
    draws = np.stack([np.full(3, epoch), np.arange(3)], axis=1)
    y = {"boxes": tf.constant(boxes), "box_class": tf.constant(classes)}
    return {"x": tf.constant(x), "y": y, "weight": tf.ones(3), "draws": tf.constant(draws)}


def test_proposals_are_those_of_greedy_suppression() -> None:
    model, _, proposals, _ = small()
    logits, deltas, found, kept = (
        np.asarray(values, np.float64)
        for values in keras.Model(model.inputs, [*proposals.trained, proposals.boxes, proposals.are_kept])(batch()["x"])
    )
    others = anchors(SIZE, LEVELS, **ANCHORS)
    sides = others[:, 2:] - others[:, :2]
    middle = (others[:, :2] + others[:, 2:]) / 2 + deltas[..., :2] * sides
    half = np.exp(deltas[..., 2:]) * sides / 2
    boxes = np.concatenate([middle - half, middle + half], axis=-1).clip(0, 1)
    for image in range(3):
        expected: list[np.ndarray] = []
        for box in boxes[image][np.argsort(-logits[image, :, 0], kind="stable")[:60]]:
            if (box[2:] > box[:2]).all() and all(iou(box, other) <= 0.7 for other in expected):
                expected.append(box)
        expected = expected[:50]
        assert kept[image].sum() == len(expected) > 5
        np.testing.assert_allclose(found[image, : len(expected)], expected, atol=1e-5)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = np.prod(np.maximum(sides, 0))
    return float(common / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common))


def test_final_boxes_are_relative_to_the_proposals() -> None:
    model, _, proposals, outputs = small()
    biases = {"box_deltas": [1.0, -2.0, 0.5, 1.5], "class_logits": [3.0, 0.0, 0.0, 1.0]}
    before = {name: model.get_layer(name).get_weights() for name in biases}
    for name, values in biases.items():
        model.get_layer(name).set_weights([0 * before[name][0], np.float32(values)])
    parts = keras.Model(model.inputs, [proposals.boxes, proposals.are_kept, *outputs])
    others, kept, scores, boxes = (np.asarray(values) for values in parts(batch()["x"]))
    for name, weights in before.items():
        model.get_layer(name).set_weights(weights)
    sides = others[..., 2:] - others[..., :2]
    deltas = np.array([1.0, -2.0, 0.5, 1.5]) * DELTA_SCALE
    middle = (others[..., :2] + others[..., 2:]) / 2 + deltas[:2] * sides
    half = np.exp(deltas[2:]) * sides / 2
    np.testing.assert_allclose(boxes, np.concatenate([middle - half, middle + half], axis=-1), atol=1e-5)
    odds = np.exp([3.0, 0.0, 0.0])
    np.testing.assert_allclose(scores[kept == 1], np.tile(odds / (odds.sum() + np.e), (int(kept.sum()), 1)), rtol=1e-5)
    assert not scores[kept == 0].any()
    assert (kept == 0).any()


def test_every_variable_gets_a_gradient_and_images_without_objects_are_learned_from() -> None:
    _, trained, _, _ = small()
    objective, everything = two_stage(), batch()
    variables = trained.trainable_variables

    def gradients(data: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            loss = objective.loss(trained(objective.inputs(data["x"], data), training=True), data)
        return loss, tape.gradient(loss, [variable.value for variable in variables])

    for variable, gradient in zip(variables, gradients(everything)[1], strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path
    none = {**everything, "y": {"boxes": tf.zeros((3, 1, 4)), "box_class": tf.fill((3, 1), -1)}}
    loss, of_negatives = gradients(none)
    assert np.isfinite(loss).all()
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in of_negatives)
    assert not np.asarray(of_negatives[-1]).any()  # of the boxes' bias
    assert variables[-1].path == "box_deltas/bias"


@pytest.mark.slow
def test_a_batch_can_be_memorized() -> None:
    keras.utils.set_random_seed(0)
    model, trained, _, _ = detector(channels=32, width=0.25)
    objective, optimizer = two_stage(), keras.optimizers.Adam(1e-3)
    optimizer.build(trained.trainable_variables)

    @tf.function
    def step(draws: Any) -> None:
        data = {**batch(), "draws": draws}
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(objective.loss(trained(objective.inputs(data["x"], data), training=True), data))
        optimizer.apply(tape.gradient(loss, trained.trainable_variables), trained.trainable_variables)

    for epoch in range(250):
        step(batch(epoch)["draws"])
    found = {name: np.asarray(values) for name, values in model(batch()["x"]).items()}
    truth = {name: np.asarray(values) for name, values in batch()["y"].items()}
    for image in range(3):
        best = found["scores"][image] > 0.5
        objects = truth["box_class"][image] >= 0
        assert sorted(found["classes"][image][best]) == sorted(truth["box_class"][image][objects])
        for box, name in zip(truth["boxes"][image][objects], truth["box_class"][image][objects], strict=True):
            (same,) = found["boxes"][image][best & (found["classes"][image] == name)]
            assert iou(box, same) > 0.7


LOAD = """
import sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1], safe_mode=True)
assert not any(name.split(".")[0] == "dlcli" for name in sys.modules)
np.savez(sys.argv[3], **model(np.load(sys.argv[2])))
"""


@pytest.mark.slow
def test_saved_models_load_without_this_program(tmp_path: Path) -> None:
    model, *_ = small()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", batch()["x"])
    command = [sys.executable, "-c", LOAD, *(str(tmp_path / name) for name in ("model.keras", "x.npy", "found.npz"))]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with np.load(tmp_path / "found.npz") as found:
        for name, values in model(batch()["x"]).items():
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        assert found["count"].min() > 0


def make_batches(seed: int | None) -> Batches:
    """Six images with the boxes of :func:`batch`, in batches of four."""
    one = batch()
    slots = {
        name: np.tile(np.asarray(values), (2, *(1 for _ in values.shape[1:]))) for name, values in one["y"].items()
    }
    is_object = slots["box_class"] >= 0
    target = ObjectsTarget(
        boxes=slots["boxes"][is_object],
        labels=slots["box_class"][is_object],
        visible=np.ones(int(is_object.sum()), np.float32),
        positions=np.nonzero(is_object)[1].astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(is_object.sum(axis=1))]),
        slots=3,
        min_visible=0.3,
    )
    pixels = np.tile(np.asarray(one["x"]), (2, 1, 1, 1))
    labels = np.full(6, NO_LABEL, np.int32)
    keys: dict[str, Any] = {"labels": labels, "shape": pixels.shape[1:], "targets": (target,)}
    return Batches(pixels=pixels, load=lambda index: pixels[index], batch_size=4, seed=seed, **keys)


def trained_weights(num_parts: int, *, stop_after: int = 4) -> list[np.ndarray]:
    """The weights after two epochs of two steps each; the step is made again after ``stop_after`` steps."""
    keras.utils.set_random_seed(0)
    _, trained, _, _ = detector()
    for layer in trained.layers:  # the statistics of a batch depend on its parts
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(trained.trainable_variables)
    data = make_batches(seed=5)
    for number in range(4):
        if number in (0, stop_after):
            step = TrainStep(
                model=trained,
                optimizer=optimizer,
                objective=two_stage(),
                data=data,
                rate=schedule.constant(learning_rate=0.05),
                clipping=None,
                num_parts=num_parts,
                loss_scaling=False,
            )
        epoch, position = divmod(number, 2)
        assert step.run(data.source(epoch, position), position, 1)
    return [variable.numpy() for variable in trained.variables if "seed" not in variable.path]


@pytest.mark.slow
def test_training_depends_neither_on_stops_nor_on_the_parts_of_a_batch() -> None:
    whole = trained_weights(1)
    for one, other in zip(whole, trained_weights(1, stop_after=3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # the first run in a process may round otherwise
    for one, other in zip(whole, trained_weights(2), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
