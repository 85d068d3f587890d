"""Losses of the overlap between predicted and true regions: Dice and Tversky, of whole batches or of each image.

Both are computed from three sums over pixels for each class, of pixels that are not ignored: of ``p * y``, of ``p`` and
of ``y``, where ``p`` is the predicted probability and ``y`` is 1 for pixels of the class, else 0. Classes without true
pixels among those that are summed are left out of the mean over classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from dlcli.training.objectives.objective import Tensor

Over = Literal["batch", "image"]
"""The pixels over which the sums are taken: of the whole batch, or of each image."""


@dataclass(frozen=True)
class Tversky:
    """1 - TP / (TP + alpha FP + beta FN), with soft counts (Salehi et al. 2017, equation 3).

    Attributes:
        alpha: weight of false positives.
        beta: weight of false negatives, above 0.
        over: see `Over`.
        weight: of this loss in the sum.
    """

    alpha: float
    beta: float
    over: Over = "batch"
    weight: float = 1.0


def dice(*, over: Over = "batch", weight: float = 1.0) -> Tversky:
    """The soft Dice loss, 1 - 2 TP / (2 TP + FP + FN): the Tversky loss with alpha = beta = 1/2."""
    return Tversky(alpha=0.5, beta=0.5, over=over, weight=weight)


def overlap_sums(probabilities: Tensor, labels: Tensor, weight: Tensor, *, per_image: bool) -> Tensor:
    """Traced: the sums of ``p * y``, ``p`` and ``y`` over pixels.

    Args:
        probabilities: float32 ``[b, h, w, k]``.
        labels: int32 ``[b, h, w]`` in ``[0, k)``.
        weight: float32 ``[b, h, w]``, 0 for pixels that do not count.
        per_image: whether to sum over the pixels of each image, not of all.

    Returns:
        float32 ``[3, k]``, or ``[b, 3, k]`` for each image.
    """
    true = tf.one_hot(labels, probabilities.shape[-1]) * weight[..., None]
    axes = [1, 2] if per_image else [0, 1, 2]
    of_both, of_predicted, of_true = probabilities * true, probabilities * weight[..., None], true
    return tf.stack([tf.reduce_sum(values, axes) for values in (of_both, of_predicted, of_true)], axis=-2)


def overlap_loss(sums: Tensor, terms: Sequence[Tversky]) -> Tensor:
    """Traced: the weighted sum of losses, each the mean over the classes that have true pixels; 0 if none has.

    Args:
        sums: float32 ``[..., 3, k]``, see :func:`overlap_sums`.

    Returns:
        float32 ``[...]``.
    """
    both, predicted, true = tf.unstack(sums, axis=-2)
    is_present = tf.cast(true > 0.0, tf.float32)
    total = tf.zeros(tf.shape(sums)[:-2])
    for term in terms:
        union = both + term.alpha * (predicted - both) + term.beta * (true - both)
        losses = is_present * (1.0 - tf.math.divide_no_nan(both, union))
        total += term.weight * tf.math.divide_no_nan(tf.reduce_sum(losses, -1), tf.reduce_sum(is_present, -1))
    return total
