"""What the two stages of a detector are trained on: anchors and proposals that are matched with objects and sampled.

Ren, He, Girshick and Sun 2015, "Faster R-CNN", sections 3.1.2 and 3.1.3, and Girshick 2015, "Fast R-CNN", section 2.3.
The layers belong to the network that is trained; saved models do not have them. What is sampled depends on the seeds of
each sample alone (the ``draws`` of a batch), not on how a batch is divided.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.models.heads.box_coding import encoded

Tensor = Any
PADDING = -1
"""The label of what only fills up a fixed number of samples, and the class of slots without an object."""
NEGATIVE = -1
"""The class of anchors that are to predict no object."""
TINY = 1e-9


class AnchorSampling(keras.layers.Layer):  # type: ignore[misc]
    """Samples anchors for the region proposal network, at most half of them positives.

    Args:
        anchors: rel_xyxy ``[n, 4]``.
        num: number of samples in an image.
        assign: traced: boxes and classes of the objects -> which object each anchor is to predict: ``classes`` int32
            ``[b, n]``, NEGATIVE without an object and less for anchors that do not count, and ``boxes`` ``[b, n, 4]``.
    """

    def __init__(
        self, *, anchors: np.ndarray, num: int, assign: Callable[[Tensor, Tensor], Any], **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.anchors = np.asarray(anchors, np.float32)
        self.num = num
        self.assign = assign

    def call(self, logits: Tensor, deltas: Tensor, boxes: Tensor, classes: Tensor, draws: Tensor) -> list[Tensor]:
        """Labels and targets of the samples, and what was predicted for them.

        Args:
            logits: objectness of each anchor, ``[b, n, 1]``.
            deltas: boxes relative to the anchors, ``[b, n, 4]``.
            boxes: of the objects, rel_xyxy ``[b, m, 4]``.
            classes: of the objects, int32 ``[b, m]``, PADDING where there is none.
            draws: seeds, int64 ``[b, 2]``.

        Returns:
            logits ``[b, num]``; labels int32 ``[b, num]``: 1 for an object, 0 for none, or PADDING; deltas
            ``[b, num, 4]``; and the deltas of the objects, ``[b, num, 4]``, 0 for labels other than 1.
        """
        assigned = self.assign(boxes, classes)
        numbers = uniform(draws, len(self.anchors), salt=0)
        are_kinds = assigned.classes >= 0, assigned.classes == NEGATIVE
        index, labels = sampled(*are_kinds, numbers, num=self.num, max_positive=self.num // 2)
        objects = tf.gather(assigned.boxes, index, batch_dims=1)
        targets = targets_of(objects, tf.gather(self.anchors, index), labels)
        logits, deltas = tf.gather(logits[..., 0], index, batch_dims=1), tf.gather(deltas, index, batch_dims=1)
        return [logits, labels, deltas, targets]

    def compute_output_shape(self, logits_shape: Any, *args: Any, **kwargs: Any) -> list[Any]:
        batch = logits_shape[0]
        return [(batch, self.num), (batch, self.num), (batch, self.num, 4), (batch, self.num, 4)]

    def compute_output_spec(self, logits: Tensor, *args: Any, **kwargs: Any) -> list[Any]:
        return _specs(self.compute_output_shape(logits.shape), ("float32", "int32", "float32", "float32"))


class ProposalSampling(keras.layers.Layer):  # type: ignore[misc]
    """Samples the boxes that the second stage classifies, from the proposals and the objects themselves.

    A box is positive if its intersection over union with an object is at least ``positive_iou``, and negative
    otherwise. Positives come first.

    Args:
        num_classes: of objects; this number is the label of the background.
        num: number of samples in an image.
        max_positive: largest number of positives among them.
    """

    def __init__(self, *, num_classes: int, num: int, max_positive: int, positive_iou: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_classes = num_classes
        self.num = num
        self.max_positive = max_positive
        self.positive_iou = positive_iou

    def call(self, proposals: Tensor, are_kept: Tensor, boxes: Tensor, classes: Tensor, draws: Tensor) -> list[Tensor]:
        """The samples, their classes and targets.

        Args:
            proposals: rel_xyxy ``[b, k, 4]``.
            are_kept: ``[b, k]``, 0 for those that are not to be sampled.
            boxes, classes, draws: as for :class:`AnchorSampling`.

        Returns:
            boxes rel_xyxy ``[b, num, 4]``; labels int32 ``[b, num]``: a class, ``num_classes`` for the background, or
            PADDING; the deltas of the objects relative to the boxes ``[b, num, 4]``, 0 for boxes that are not positive;
            and the object of each box, int32 ``[b, num]``, of any value for boxes that are not positive.
        """
        candidates = tf.stop_gradient(tf.concat([proposals, boxes], axis=1))
        is_candidate = tf.concat([are_kept > 0, classes != PADDING], axis=1)
        overlaps = iou_matrix(candidates, boxes, classes)
        nearest = tf.argmax(overlaps, 2, tf.int32)
        is_positive = is_candidate & (tf.reduce_max(overlaps, axis=2) >= self.positive_iou)
        index, are_positive = sampled(
            is_positive,
            is_candidate & ~is_positive,
            uniform(draws, tf.shape(candidates)[1], salt=1),
            num=self.num,
            max_positive=self.max_positive,
        )
        chosen, objects = tf.gather(candidates, index, batch_dims=1), tf.gather(nearest, index, batch_dims=1)
        targets = targets_of(tf.gather(boxes, objects, batch_dims=1), chosen, are_positive)
        of_objects = tf.gather(classes, objects, batch_dims=1)
        labels = tf.where(are_positive == 1, of_objects, tf.where(are_positive == 0, self.num_classes, PADDING))
        return [chosen, labels, targets, objects]

    def compute_output_shape(self, proposals_shape: Any, *args: Any, **kwargs: Any) -> list[Any]:
        rows = (proposals_shape[0], self.num)
        return [(*rows, 4), rows, (*rows, 4), rows]

    def compute_output_spec(self, proposals: Tensor, *args: Any, **kwargs: Any) -> list[Any]:
        return _specs(self.compute_output_shape(proposals.shape), ("float32", "int32", "float32", "int32"))


def _specs(shapes: list[Any], dtypes: tuple[str, ...]) -> list[keras.KerasTensor]:
    return [keras.KerasTensor(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]


def iou_matrix(boxes: Tensor, objects: Tensor, classes: Tensor) -> Tensor:
    """Intersection over union of each box with each object, ``[b, n, m]``; 0 for slots without an object.

    Args:
        boxes: ``[b, n, 4]``.
        objects: ``[b, m, 4]``.
        classes: of the objects, ``[b, m]``, PADDING where there is none.
    """
    one, other = boxes[:, :, None], objects[:, None]
    sides = tf.minimum(one[..., 2:], other[..., 2:]) - tf.maximum(one[..., :2], other[..., :2])
    common = tf.reduce_prod(tf.nn.relu(sides), axis=-1)
    areas = [tf.reduce_prod(each[..., 2:] - each[..., :2], axis=-1) for each in (one, other)]
    iou = common / tf.maximum(areas[0] + areas[1] - common, TINY)
    return tf.where((classes != PADDING)[:, None], iou, 0.0)


def uniform(draws: Tensor, num: Any, *, salt: int) -> Tensor:
    """Random numbers in [0, 1), float32 ``[b, num]``: a function of ``salt`` and each row of ``draws`` ``[b, 2]``."""
    seeds = draws + tf.constant([salt, 0], draws.dtype)
    signature = tf.TensorSpec([None], tf.float32)
    return tf.map_fn(lambda seed: tf.random.stateless_uniform([num], seed), seeds, fn_output_signature=signature)


def sampled(
    is_positive: Tensor, is_negative: Tensor, numbers: Tensor, *, num: int, max_positive: int
) -> tuple[Tensor, Tensor]:
    """Samples of a fixed number, by the largest of random numbers: positives first, then negatives, then padding.

    Args:
        is_positive, is_negative: bool ``[b, n]``.
        numbers: ``[b, n]`` in [0, 1).
        num: number of samples.
        max_positive: largest number of positives among them.

    Returns:
        index int32 ``[b, num]``, and labels int32 ``[b, num]``: 1, 0 or PADDING.
    """

    def best(candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        padded = tf.pad(tf.where(candidates, numbers, -1.0), [[0, 0], [0, num]], constant_values=-1.0)
        values, index = tf.math.top_k(padded, k)
        return tf.minimum(index, tf.shape(numbers)[1] - 1), values >= 0

    positives, are_positive = best(is_positive, max_positive)
    negatives, are_negative = best(is_negative, num)
    num_positive = tf.reduce_sum(tf.cast(are_positive, tf.int32), axis=1, keepdims=True)
    place = tf.range(num)[None]
    source = tf.where(place < num_positive, place, max_positive + place - num_positive)
    index = tf.gather(tf.concat([positives, negatives], axis=1), source, batch_dims=1)
    labels = tf.concat([tf.where(are_positive, 1, PADDING), tf.where(are_negative, 0, PADDING)], axis=1)
    return index, tf.gather(labels, source, batch_dims=1)


def targets_of(objects: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """The deltas of objects relative to boxes, ``[b, num, 4]``; 0 where the label is not 1."""
    is_positive = (labels == 1)[..., None]
    # both have an area wherever this counts; elsewhere the logarithm must be finite too
    whole = tf.constant([0.0, 0.0, 1.0, 1.0])
    deltas = encoded(tf.where(is_positive, objects, whole), tf.where(is_positive, boxes, whole))
    return tf.stop_gradient(tf.where(is_positive, deltas, 0.0))
