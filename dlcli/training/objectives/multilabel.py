"""The objective of multilabel classification: losses of each label by itself, and F1 at a threshold of 0.5."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.training.objectives.class_losses import LEAST_REST
from dlcli.training.objectives.objective import Batch, Objective, Tally, Tensor


@dataclass(frozen=True)
class LabelCrossEntropy:
    """Cross-entropy of a sigmoid, ``-y log p - (1 - y) log(1 - p)``.

    Attributes:
        weight: of this term in the sum.
    """

    weight: float = 1.0

    def values(self, logits: Tensor, labels: Tensor, positive_weights: Tensor) -> Tensor:
        """Traced: the loss ``[b, l]``; see :func:`multilabel`."""
        return tf.nn.weighted_cross_entropy_with_logits(labels=labels, logits=logits, pos_weight=positive_weights)


@dataclass(frozen=True)
class LabelFocal:
    """Focal loss of a sigmoid, ``-alpha_t (1 - p_t)^gamma log p_t`` (Lin et al. 2017, equation 5), where ``p_t`` is the
    probability of what is true.

    Attributes:
        gamma: how much less a sample counts that is classified well.
        alpha: ``alpha_t`` of samples to which the label applies; of the others it is ``1 - alpha``.
        weight: of this term in the sum.
    """

    gamma: float
    alpha: float
    weight: float = 1.0

    def values(self, logits: Tensor, labels: Tensor, positive_weights: Tensor) -> Tensor:
        """Traced: the loss ``[b, l]``; see :func:`multilabel`."""
        log_p, log_rest = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
        p, rest = (tf.maximum(tf.exp(values), LEAST_REST) for values in (log_p, log_rest))
        positive = self.alpha * positive_weights * rest**self.gamma * log_p
        negative = (1.0 - self.alpha) * p**self.gamma * log_rest
        return -(labels * positive + (1.0 - labels) * negative)


LabelTerm = LabelCrossEntropy | LabelFocal


def multilabel(
    *,
    num_labels: int,
    positive_weights: tuple[float, ...] | None,
    terms: Sequence[LabelTerm] = (LabelCrossEntropy(),),
) -> Objective:
    """The loss, micro and macro F1 of float32 logits ``[b, num_labels]``.

    Labels are ``y["labels"]`` float32 ``[b, num_labels]``: 1 where a label applies, 0 where it does not, and what lies
    between for mixed samples; NaN where it is unknown. The loss of a batch is summed over samples and labels and
    divided by the number of known entries, without the weights of positives. A mixed sample counts in F1 by its rounded
    labels. Labels that apply to no sample are left out of the macro F1.

    Args:
        positive_weights: factor of the loss of samples to which a label applies, in training, in the order of the
            outputs; None for none.
        terms: the losses that are added up.

    Raises:
        ValueError: the number of weights is not ``num_labels``.
    """
    if positive_weights is not None and len(positive_weights) != num_labels:
        raise ValueError(
            f"positive_weights must hold one weight for each of {num_labels} labels. Received {len(positive_weights)}."
        )
    ones = tf.ones([num_labels])
    weights = None if positive_weights is None else tf.constant(positive_weights, tf.float32)

    def total(logits: Tensor, batch: Batch, positive: Tensor) -> Tensor:
        return tf.add_n([term.weight * term.values(logits, _labels(batch), positive) for term in terms])

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return total(logits, batch, ones)

    def weighted(logits: Tensor, batch: Batch) -> Tensor:
        return total(logits, batch, weights)

    def counts(logits: Tensor, batch: Batch) -> Tensor:
        weight = label_weight(batch)
        applies = weight * tf.cast(_labels(batch) > 0.5, tf.float32)
        predicted = weight * tf.cast(logits >= 0.0, tf.float32)
        hits = applies * tf.cast(logits >= 0.0, tf.float32)
        return tf.concat([tf.reduce_sum(values, axis=0) for values in (hits, predicted, applies)], axis=0)

    return Objective(
        loss=loss,
        metrics={},
        weight=label_weight,
        training_loss=loss if weights is None else weighted,
        tally=Tally(("micro_f1", "macro_f1"), 3 * num_labels, counts, micro_and_macro_f1),
    )


def label_weight(batch: Batch) -> Tensor:
    """Traced: the weight of each entry, float32 ``[b, l]``: its sample's weight, or 0 if the label is unknown."""
    is_known = tf.logical_not(tf.math.is_nan(batch["y"]["labels"]))
    return batch["weight"][:, None] * tf.cast(is_known, tf.float32)


def _labels(batch: Batch) -> Tensor:
    """The labels, float32 ``[b, l]``; 0 for unknown ones, which have no weight."""
    labels = batch["y"]["labels"]
    return tf.where(tf.math.is_nan(labels), tf.zeros_like(labels), labels)


def micro_and_macro_f1(sums: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Micro and macro F1 of the counts of correct predictions, of predictions, and of samples to which each label
    applies, one after another ``[3 * l]``; 0 without any."""
    hits, predicted, true = sums.reshape(3, -1)
    total, present = float(predicted.sum() + true.sum()), true > 0
    micro = 2 * float(hits.sum()) / total if total else 0.0
    macro = float((2 * hits / np.maximum(predicted + true, 1.0))[present].mean()) if present.any() else 0.0
    return micro, macro
