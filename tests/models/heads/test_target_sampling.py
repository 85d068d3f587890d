"""Matching and sampling of anchors and proposals, against loops over NumPy arrays."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.models.heads.target_sampling import AnchorSampling, ProposalSampling, uniform
from dlcli.training.objectives.detection_targets import NEGATIVE, assign_anchors

RNG = np.random.default_rng(3)
BATCH, NUM_ANCHORS, NUM_PROPOSALS, SLOTS, NUM_CLASSES = 4, 60, 30, 5, 3


def random_boxes(*shape: int) -> np.ndarray:
    middle, sides = RNG.uniform(0.2, 0.8, (*shape, 2)), RNG.uniform(0.1, 0.35, (*shape, 2))
    return np.concatenate([middle - sides / 2, middle + sides / 2], axis=-1).astype(np.float32)


ANCHORS = random_boxes(NUM_ANCHORS)
OBJECTS = random_boxes(BATCH, SLOTS)
OBJECTS[0, 1] = ANCHORS[7]  # a perfect anchor
CLASSES = RNG.integers(0, NUM_CLASSES, (BATCH, SLOTS)).astype(np.int32)
CLASSES[1, 2:], CLASSES[2] = -1, -1  # an image with fewer objects, and one without any
OBJECTS[CLASSES < 0] = 0
PROPOSALS = random_boxes(BATCH, NUM_PROPOSALS)
PROPOSALS[:, ::3] = np.clip(OBJECTS[:, RNG.integers(0, SLOTS, 10)] + RNG.normal(0, 0.02, (BATCH, 10, 4)), 0, 1)
ARE_KEPT = (np.arange(NUM_PROPOSALS) < 25).astype(np.float32) * np.ones((BATCH, 1), np.float32)
DRAWS = np.stack([np.full(BATCH, 12345), np.arange(BATCH) + 7], axis=1).astype(np.int64)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (areas[0] + areas[1] - width * height))


def delta(box: np.ndarray, other: np.ndarray) -> np.ndarray:
    sides, other_sides = box[2:] - box[:2], other[2:] - other[:2]
    return np.concatenate(
        [((box[:2] + box[2:]) - (other[:2] + other[2:])) / 2 / other_sides, np.log(sides / other_sides)]
    )


def numpy(values: Any) -> list[np.ndarray]:
    return [np.asarray(value) for value in values]


def test_samples_of_anchors() -> None:
    assign = functools.partial(assign_anchors, anchors=ANCHORS, positive_iou=0.5, negative_iou=0.2)
    layer = AnchorSampling(anchors=ANCHORS, num=20, assign=assign)
    logits, deltas = RNG.normal(size=(2, BATCH, NUM_ANCHORS, 4)).astype(np.float32)
    arguments = [tf.constant(values) for values in (logits[..., :1], deltas, OBJECTS, CLASSES, DRAWS)]
    found, labels, predicted, targets = numpy(layer(*arguments))
    assigned = assign(*arguments[2:4])
    is_positive, is_negative = (np.asarray(assigned.classes) >= 0, np.asarray(assigned.classes) == NEGATIVE)
    assert 10 < is_positive.sum() < is_negative.sum()
    for image in range(BATCH):
        index = [int(np.flatnonzero(logits[image, :, 0] == value)[0]) for value in found[image]]
        positives = [n for n, label in zip(index, labels[image], strict=True) if label == 1]
        negatives = [n for n, label in zip(index, labels[image], strict=True) if label == 0]
        assert len(set(positives)) == len(positives) == min(10, is_positive[image].sum())
        assert len(set(negatives)) == len(negatives) == min(20 - len(positives), is_negative[image].sum())
        assert all(is_positive[image, positives])
        assert all(is_negative[image, negatives])
        numbers = np.asarray(uniform(tf.constant(DRAWS), NUM_ANCHORS, salt=0))[image]
        chosen = set(np.flatnonzero(is_positive[image])[np.argsort(-numbers[is_positive[image]])[:10]])
        assert set(positives) == chosen  # those with the largest random numbers
        for sample, n in enumerate(index):
            np.testing.assert_array_equal(predicted[image, sample], deltas[image, n])
            expected = (
                delta(np.asarray(assigned.boxes)[image, n], ANCHORS[n]) if labels[image, sample] == 1 else np.zeros(4)
            )
            np.testing.assert_allclose(targets[image, sample], expected, atol=1e-4)


def test_samples_of_proposals() -> None:
    layer = ProposalSampling(num_classes=NUM_CLASSES, num=16, max_positive=4, positive_iou=0.5)
    boxes, labels, targets, objects = numpy(layer(PROPOSALS, ARE_KEPT, OBJECTS, CLASSES, DRAWS))
    for image in range(BATCH):
        slots = [slot for slot in range(SLOTS) if CLASSES[image, slot] >= 0]
        candidates = [*PROPOSALS[image][:25], *OBJECTS[image][slots]]
        best = [max([(iou(box, OBJECTS[image, s]), -s) for s in slots], default=(0.0, 0)) for box in candidates]
        positive = sum(overlap >= 0.5 for overlap, _ in best)
        num_positive = min(4, positive)
        assert (labels[image] < NUM_CLASSES).sum() == num_positive + (labels[image] == -1).sum()
        assert (labels[image][:num_positive] < NUM_CLASSES).all()  # first of all
        assert (labels[image] == NUM_CLASSES).sum() == min(16 - num_positive, len(candidates) - positive)
        for box, label, target, obj in zip(boxes[image], labels[image], targets[image], objects[image], strict=True):
            if label == -1:
                continue
            (overlap, slot), *_ = [b for c, b in zip(candidates, best, strict=True) if np.array_equal(c, box)]
            assert (overlap >= 0.5) == (label < NUM_CLASSES)
            if label < NUM_CLASSES:
                assert (obj, label) == (-slot, CLASSES[image, -slot])
                np.testing.assert_allclose(target, delta(OBJECTS[image, -slot], box), atol=1e-4)
            else:
                assert not target.any()
    assert (labels[2] == NUM_CLASSES).all()  # an image without objects


def test_few_candidates_are_padded() -> None:
    layer = ProposalSampling(num_classes=NUM_CLASSES, num=50, max_positive=12, positive_iou=0.5)
    boxes, labels, targets, _ = numpy(layer(PROPOSALS, ARE_KEPT, OBJECTS, CLASSES, DRAWS))
    assert boxes.shape == (BATCH, 50, 4)
    assert (labels == -1).any()
    assert np.isfinite(targets).all()
    none = numpy(layer(PROPOSALS, 0 * ARE_KEPT, OBJECTS, 0 * CLASSES - 1, DRAWS))
    assert (none[1] == -1).all()
    assert np.isfinite(none[2]).all()


def test_samples_depend_on_the_seeds_of_the_sample_alone() -> None:
    layer = ProposalSampling(num_classes=NUM_CLASSES, num=8, max_positive=2, positive_iou=0.5)
    together = numpy(layer(PROPOSALS, ARE_KEPT, OBJECTS, CLASSES, DRAWS))
    alone = numpy(layer(*(values[2:3] for values in (PROPOSALS, ARE_KEPT, OBJECTS, CLASSES, DRAWS))))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one[2:3], other)
    of_other_epoch = numpy(layer(PROPOSALS, ARE_KEPT, OBJECTS, CLASSES, DRAWS + np.array([1000, 0])))
    assert not np.array_equal(together[0], of_other_epoch[0])
