"""The objective of classifiers."""

from collections.abc import Sequence

import tensorflow as tf

from dlcli.training.objectives.class_losses import CrossEntropy, Term, accuracy, class_loss
from dlcli.training.objectives.objective import Batch, Objective, Tensor


def classification(
    *,
    num_classes: int,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None,
    terms: Sequence[Term] = (CrossEntropy(),),
) -> Objective:
    """The loss and accuracy of float32 logits ``[b, num_classes]`` with labels ``y["class"]``.

    Labels are int32 ``[b]``, or float32 ``[b, num_classes]`` for mixed samples, whose accuracy is that of their
    dominant class.

    Args:
        label_smoothing: epsilon in [0, 1), see :func:`class_losses.class_loss`.
        class_weights: weight of each class in the training loss, in the order of the outputs; None for none.
        terms: the losses that are added up.

    Raises:
        ValueError: the number of class weights is not ``num_classes``.
    """
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must hold one weight for each of {num_classes} classes. Received {len(class_weights)}."
        )
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return class_loss(logits, batch["y"]["class"], terms=terms, label_smoothing=label_smoothing)

    def weighted(logits: Tensor, batch: Batch) -> Tensor:
        return class_loss(
            *(logits, batch["y"]["class"]), terms=terms, label_smoothing=label_smoothing, class_weights=weights
        )

    return Objective(
        loss=loss,
        metrics={"accuracy": lambda logits, batch: accuracy(logits, batch["y"]["class"])},
        training_loss=loss if weights is None else weighted,
    )
