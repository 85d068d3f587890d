"""The cross-entropy of classifiers."""

import tensorflow as tf

from dlcli.training.objectives.objective import Batch, Objective, Tensor


def classification(*, num_classes: int, label_smoothing: float, class_weights: tuple[float, ...] | None) -> Objective:
    """Cross-entropy and accuracy of float32 logits ``[b, num_classes]`` with labels ``y["class"]``.

    Labels are int32 ``[b]``, or float32 ``[b, num_classes]`` for mixed samples, whose accuracy is that of their
    dominant class.

    Args:
        label_smoothing: epsilon in [0, 1): the target is ``1 - epsilon`` on the label plus ``epsilon / num_classes`` on
            every class (Szegedy et al. 2016, section 7).
        class_weights: weight of each class in the training loss, in the order of the outputs; None for equal weights.

    Raises:
        ValueError: the number of class weights is not ``num_classes``.
    """

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels=label, logits=logits)
        else:
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
        if label_smoothing == 0.0:
            return cross_entropy
        # sum over classes of -log p / num_classes, computed from the logits
        uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
        return (1.0 - label_smoothing) * cross_entropy + label_smoothing * uniform

    def accuracy(logits: Tensor, batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            label = tf.argmax(label, axis=-1, output_type=tf.int32)
        return tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), label), tf.float32)

    if class_weights is None:
        return Objective(loss=loss, metrics={"accuracy": accuracy})
    if len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must hold one weight for each of {num_classes} classes. Received {len(class_weights)}."
        )
    weight_of_class = tf.constant(class_weights, tf.float32)

    def loss_weight(batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            return batch["weight"] * tf.linalg.matvec(label, weight_of_class)
        return batch["weight"] * tf.gather(weight_of_class, label)

    return Objective(loss=loss, metrics={"accuracy": accuracy}, loss_weight=loss_weight)
