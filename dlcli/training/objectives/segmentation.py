"""The objective of semantic segmentation: losses of pixels and of overlaps, pixel accuracy and mean IoU."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.training.objectives.class_losses import CrossEntropy, Term, class_loss
from dlcli.training.objectives.objective import Batch, BatchLoss, Objective, Tally, Tensor
from dlcli.training.objectives.overlap_losses import Tversky, overlap_loss, overlap_sums

IGNORED = 255
"""The label of pixels that do not count."""


def segmentation(
    *,
    num_classes: int,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None,
    terms: Sequence[Term] = (CrossEntropy(),),
    overlaps: Sequence[Tversky] = (),
) -> Objective:
    """The loss, pixel accuracy and mean IoU of float32 logits ``[b, h, w, num_classes]``.

    Labels are ``y["mask"]`` uint8 ``[b, h, w]``; pixels with the label 255 do not count. The losses of pixels are
    summed over the batch and divided by its number of pixels that count, without class weights. To these the losses of
    overlaps are added; one over each image is weighted by the image's share of those pixels.

    Pixel accuracy and mean IoU are computed from one confusion matrix of all pixels of an epoch. Classes without true
    pixels are left out of the mean IoU.

    Args:
        label_smoothing: epsilon in [0, 1), see :func:`class_losses.class_loss`; overlaps are not smoothed.
        class_weights: weight of each class in the losses of pixels in training, in the order of the outputs; None for
            none. Overlaps have no class weights, because each class counts the same in them.
        terms: the losses of pixels that are added up; may be empty if there are overlaps.
        overlaps: the losses of overlaps that are added up.

    Raises:
        ValueError: there is no loss, or the number of class weights is not ``num_classes``.
    """
    if not terms and not overlaps:
        raise ValueError("segmentation needs at least one loss. Received none.")
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must hold one weight for each of {num_classes} classes. Received {len(class_weights)}."
        )
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)
    of_images = [term for term in overlaps if term.over == "image"]
    of_batches = [term for term in overlaps if term.over == "batch"]

    def pixel_loss(logits: Tensor, batch: Batch, class_weights: Tensor | None) -> Tensor:
        labels, weight = _labels(batch), pixel_weight(batch)
        values = tf.zeros_like(weight)
        if terms:
            values = class_loss(
                logits, labels, terms=terms, label_smoothing=label_smoothing, class_weights=class_weights
            )
        if of_images:
            sums = overlap_sums(tf.nn.softmax(logits), labels, weight, per_image=True)
            values += overlap_loss(sums, of_images)[:, None, None]
        return values

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return pixel_loss(logits, batch, None)

    def weighted(logits: Tensor, batch: Batch) -> Tensor:
        return pixel_loss(logits, batch, weights)

    def batch_sums(logits: Tensor, batch: Batch) -> Tensor:
        sums = overlap_sums(tf.nn.softmax(logits), _labels(batch), pixel_weight(batch), per_image=False)
        return tf.reshape(sums, [3 * num_classes])

    def batch_value(sums: Tensor) -> Tensor:
        return overlap_loss(tf.reshape(sums, [3, num_classes]), of_batches)

    def confusions(logits: Tensor, batch: Batch) -> Tensor:
        if not tf.config.list_logical_devices("GPU"):
            cells = _labels(batch) * num_classes + tf.argmax(logits, axis=-1, output_type=tf.int32)
            cells = tf.where(pixel_weight(batch) > 0, cells, num_classes**2)  # beyond the matrix
            size = num_classes**2 + 1
            counts = tf.math.bincount(tf.reshape(cells, [-1]), minlength=size, maxlength=size)
            return tf.cast(counts[:-1], tf.float32)
        # a product of one-hot matrices, because counting by index is not deterministic on a GPU; it takes longer
        true = tf.one_hot(_labels(batch), num_classes) * pixel_weight(batch)[..., None]
        predicted = tf.one_hot(tf.argmax(logits, axis=-1), num_classes)
        flat = [tf.reshape(values, [-1, num_classes]) for values in (true, predicted)]
        return tf.reshape(tf.matmul(*flat, transpose_a=True), [num_classes**2])

    return Objective(
        loss=loss,
        metrics={},
        weight=pixel_weight,
        training_loss=loss if weights is None or not terms else weighted,
        batch_loss=BatchLoss(3 * num_classes, batch_sums, batch_value) if of_batches else None,
        tally=Tally(("pixel_accuracy", "mean_iou"), num_classes**2, confusions, accuracy_and_mean_iou),
    )


def pixel_weight(batch: Batch) -> Tensor:
    """Traced: the weight of each pixel, float32 ``[b, h, w]``: its image's weight, or 0 if the pixel is ignored."""
    counts = tf.cast(tf.not_equal(batch["y"]["mask"], IGNORED), tf.float32)
    return batch["weight"][:, None, None] * counts


def _labels(batch: Batch) -> Tensor:
    """The class of each pixel, int32 ``[b, h, w]``; 0 for ignored pixels, which have no class."""
    mask = tf.cast(batch["y"]["mask"], tf.int32)
    return tf.where(tf.equal(mask, IGNORED), 0, mask)


def accuracy_and_mean_iou(counts: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Pixel accuracy and mean IoU of a flat confusion matrix ``[k * k]``, whose rows are the true classes.

    Classes without true pixels are left out of the mean IoU; without any pixels both are 0.
    """
    size = round(len(counts) ** 0.5)
    matrix = counts.reshape(size, size)
    correct, true, total = np.diag(matrix), matrix.sum(axis=1), float(matrix.sum())
    if total == 0:
        return 0.0, 0.0
    is_present = true > 0
    iou = correct[is_present] / (true + matrix.sum(axis=0) - correct)[is_present]
    return float(correct.sum()) / total, float(iou.mean())
