"""The objective of two-stage detectors: the losses of the region proposal network and of the box head."""

from collections.abc import Callable

import tensorflow as tf

from dlcli.training.objectives.objective import Batch, Objective, Tensor

PROPOSAL_BETA = 1 / 9
"""Of the smooth L1 loss of proposals: below it the loss is quadratic. Faster R-CNN's code has sigma 3, 1 / sigma^2."""
BOX_BETA = 1.0  # Girshick 2015, "Fast R-CNN", equation 3


def two_stage(*, box_weight: float = 1.0, mask_weight: float | None = None) -> Objective:
    """The losses of Faster R-CNN (Ren et al. 2015, equation 1; Girshick 2015, equation 1).

    Each stage has a cross-entropy over its samples, and a smooth L1 loss of the boxes of its positives. All of them are
    divided by the number of samples of an image, which is fixed, so that every image counts the same however many
    objects it has; the loss of a batch is the mean over its images.

    The network's outputs are a list: of s anchors sampled in each image objectness logits float32 ``[b, s]``, labels
    int32 ``[b, s]`` (1 for objects, 0 for none, -1 for padding), deltas and their targets ``[b, s, 4]``; of r boxes
    sampled in each image class logits ``[b, r, classes + 1]``, labels int32 ``[b, r]`` (the last one for the
    background, -1 for padding), deltas and their targets ``[b, r, 4]``.

    Besides the pixels, the network takes ``y["boxes"]``, ``y["box_class"]`` and the batch's ``draws``.

    With masks (He et al. 2017, "Mask R-CNN", section 3), two more outputs follow, of the m first sampled boxes, which
    are all that can be positives: mask logits float32 ``[b, m, side, side]`` of the box's class, and targets uint8 of
    the same shape. The loss of a positive's mask is the mean binary cross-entropy of its pixels; their sum is divided
    by m. The network also takes ``y["masks"]`` uint8 ``[b, n, height, width]``.

    Args:
        box_weight: of the two losses of boxes.
        mask_weight: of the loss of masks; None for a network without masks.
    """

    def objectness_loss(outputs: Tensor, batch: Batch) -> Tensor:
        logits, labels = outputs[0], outputs[1]
        values = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels == 1, tf.float32), logits)
        return _mean_over_samples(values, labels >= 0)

    def proposal_loss(outputs: Tensor, batch: Batch) -> Tensor:
        labels, deltas, targets = outputs[1:4]
        return _mean_over_samples(smooth_l1(deltas - targets, PROPOSAL_BETA), labels == 1)

    def class_loss(outputs: Tensor, batch: Batch) -> Tensor:
        logits, labels = outputs[4], outputs[5]
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
        return _mean_over_samples(values, labels >= 0)

    def box_loss(outputs: Tensor, batch: Batch) -> Tensor:
        deltas, targets = outputs[6:8]
        return _mean_over_samples(smooth_l1(deltas - targets, BOX_BETA), is_object(outputs))

    def mask_loss(outputs: Tensor, batch: Batch) -> Tensor:
        logits, targets = outputs[8:10]
        values = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets, tf.float32), logits)
        return _mean_over_samples(tf.reduce_mean(values, axis=[2, 3]), is_object(outputs)[:, : logits.shape[1]])

    def is_object(outputs: Tensor) -> Tensor:
        logits, labels = outputs[4:6]
        return (labels >= 0) & (labels < logits.shape[-1] - 1)

    metrics: dict[str, Callable[[Tensor, Batch], Tensor]] = {
        "class_loss": class_loss,
        "box_loss": box_loss,
        "objectness_loss": objectness_loss,
        "proposal_loss": proposal_loss,
    }
    if mask_weight is not None:
        metrics["mask_loss"] = mask_loss

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        of_classes = class_loss(outputs, batch) + objectness_loss(outputs, batch)
        of_boxes = box_weight * (box_loss(outputs, batch) + proposal_loss(outputs, batch))
        return of_classes + of_boxes + (0.0 if mask_weight is None else mask_weight * mask_loss(outputs, batch))

    def ground_truth(batch: Batch) -> list[Tensor]:
        y = batch["y"]
        return [y["boxes"], y["box_class"], batch["draws"], *([] if mask_weight is None else [y["masks"]])]

    return Objective(loss=loss, metrics=metrics, further_inputs=ground_truth)


def smooth_l1(errors: Tensor, beta: float) -> Tensor:
    """The sum over the last axis of ``e^2 / (2 beta)`` where ``|e| < beta``, and of ``|e| - beta / 2`` elsewhere."""
    size = tf.abs(errors)
    return tf.reduce_sum(tf.where(size < beta, size**2 / (2 * beta), size - beta / 2), axis=-1)


def _mean_over_samples(values: Tensor, counts: Tensor) -> Tensor:
    """The sum of the values that count, ``[b]``, divided by the number of all samples ``[b, num]`` of an image."""
    return tf.reduce_sum(tf.where(counts, values, 0.0), axis=1) / tf.cast(tf.shape(values)[1], tf.float32)
