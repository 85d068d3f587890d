"""The losses of classes: terms computed from logits and labels for each sample, step or pixel, and their weighted sum.

Labels are int32 ``[...]``, or float32 ``[..., k]`` for mixed samples: the proportion of each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from dlcli.training.objectives.objective import Tensor

LEAST_REST = 1e-7  # smallest 1 - p in the focal factor, whose power has no finite gradient at 0


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, ``-log p`` of the label.

    Attributes:
        weight: of this term in the sum.
    """

    weight: float = 1.0

    def values(self, logits: Tensor, label: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
        """Traced: the loss ``[...]``; see :func:`class_loss`."""
        if is_mixed(logits, label) and class_weights is not None:
            targets = _targets(logits, label, label_smoothing, class_weights)
            return -tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=-1)
        if is_mixed(logits, label):
            cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels=label, logits=logits)
        else:
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
        if label_smoothing != 0.0:
            # sum over classes of -log p / k, computed from the logits
            uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
            cross_entropy = (1.0 - label_smoothing) * cross_entropy + label_smoothing * uniform
        return cross_entropy if class_weights is None else tf.gather(class_weights, label) * cross_entropy


@dataclass(frozen=True)
class Focal:
    """Focal loss, ``-alpha (1 - p)^gamma log p`` of the label (Lin et al. 2017, equation 5), of a softmax.

    Attributes:
        gamma: how much less a sample counts that is classified well; 0 is cross-entropy times alpha.
        alpha: factor of the loss.
        weight: of this term in the sum.
    """

    gamma: float
    alpha: float
    weight: float = 1.0

    def values(self, logits: Tensor, label: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
        """Traced: the loss ``[...]``; see :func:`class_loss`."""
        log_p = tf.nn.log_softmax(logits)
        rest = tf.maximum(-tf.math.expm1(log_p), LEAST_REST)  # 1 - p
        targets = _targets(logits, label, label_smoothing, class_weights)
        return -self.alpha * tf.reduce_sum(targets * rest**self.gamma * log_p, axis=-1)


Term = CrossEntropy | Focal


def class_loss(
    logits: Tensor,
    label: Tensor,
    *,
    terms: Sequence[Term],
    label_smoothing: float,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Traced: the weighted sum of the terms, float32 ``[...]``.

    Args:
        logits: float32 ``[..., k]``.
        label_smoothing: epsilon in [0, 1): the target is ``1 - epsilon`` on the label plus ``epsilon / k`` on every
            class (Szegedy et al. 2016, section 7).
        class_weights: float32 ``[k]``: the loss of a sample is multiplied by the weight of its class; of a mixed
            sample, the loss for each of its classes by that class's weight. None for no weights.
    """
    values = [
        term.values(logits, label, label_smoothing, class_weights) * term.weight
        if term.weight != 1.0
        else term.values(logits, label, label_smoothing, class_weights)
        for term in terms
    ]
    return values[0] if len(values) == 1 else tf.add_n(values)


def accuracy(logits: Tensor, label: Tensor) -> Tensor:
    """Traced: 1 where the most probable class is the label, or the dominant class of a mixed sample; float32
    ``[...]``."""
    if is_mixed(logits, label):
        label = tf.argmax(label, axis=-1, output_type=tf.int32)
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), label), tf.float32)


def is_mixed(logits: Tensor, label: Tensor) -> bool:
    """Whether labels are proportions of the classes, not indices."""
    return bool(label.shape.rank == logits.shape.rank)


def _targets(logits: Tensor, label: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
    """The factor of each class's ``-log p``, float32 ``[..., k]``: smoothed, and multiplied by the class weights."""
    num_classes = logits.shape[-1]
    if not is_mixed(logits, label):
        label = tf.one_hot(label, num_classes)
    if class_weights is not None:
        label = label * class_weights
    if label_smoothing == 0.0:
        return label
    return (1.0 - label_smoothing) * label + label_smoothing / num_classes * tf.reduce_sum(label, -1, keepdims=True)
