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
    auxiliary: float = 0.0,
) -> Objective:
    """The loss and accuracy of float32 logits ``[b, num_classes]`` with labels ``y["class"]``.

    Of a network with an auxiliary classifier, the outputs are a list of two such logits, of which the second only adds
    to the loss that training minimizes.

    Labels are int32 ``[b]``, or float32 ``[b, num_classes]`` for mixed samples, whose accuracy is that of their
    dominant class.

    Args:
        label_smoothing: epsilon in [0, 1), see :func:`class_losses.class_loss`.
        class_weights: weight of each class in the training loss, in the order of the outputs; None for none.
        terms: the losses that are added up.
        auxiliary: weight of the loss of an auxiliary classifier; 0 for a network without one.

    Raises:
        ValueError: the number of class weights is not ``num_classes``.
    """
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must hold one weight for each of {num_classes} classes. Received {len(class_weights)}."
        )
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def weighted(logits: Tensor, batch: Batch) -> Tensor:
        return class_loss(
            *(logits, batch["y"]["class"]), terms=terms, label_smoothing=label_smoothing, class_weights=weights
        )

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        return class_loss(_first(outputs), batch["y"]["class"], terms=terms, label_smoothing=label_smoothing)

    def training_loss(outputs: Tensor, batch: Batch) -> Tensor:
        total = weighted(_first(outputs), batch)
        return total + auxiliary * weighted(outputs[1], batch) if auxiliary else total

    return Objective(
        loss=loss,
        metrics={"accuracy": lambda outputs, batch: accuracy(_first(outputs), batch["y"]["class"])},
        training_loss=loss if weights is None and not auxiliary else training_loss,
    )


def _first(outputs: Tensor) -> Tensor:
    """The logits of the classifier that is kept."""
    return outputs[0] if isinstance(outputs, list) else outputs
