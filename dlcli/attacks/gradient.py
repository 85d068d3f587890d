"""What gradient-based attacks share: losses of the logits, gradients with respect to the pixels, steps in a budget.

A classifier is ``logits``: pixels float32 ``[b, height, width, channels]`` -> float32 ``[b, classes]``, in inference
mode. The budget ``eps`` and ``bounds``, the smallest and largest pixel value, are in the units of the pixels.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.replicas import divided

Tensor = Any
Logits = Callable[[Tensor], Tensor]
Norm = Literal["linf", "l2"]
Bounds = tuple[float, float]
Loss = Callable[[Tensor, Tensor], Tensor]  # logits [b, k], labels int32 [b] -> [b], which the attack maximizes
Attack = Callable[[NDArray[np.float32], NDArray[np.int32], float, NDArray[np.int64]], NDArray[np.float32]]
"""(pixels ``[b, ...]``, labels or targets ``[b]``, eps, indices of the samples ``[b]``) -> adversarial pixels."""
MinimalAttack = Callable[[NDArray[np.float32], NDArray[np.int32]], NDArray[np.float32]]
"""(pixels, labels) -> the nearest adversarial pixels found, at any distance."""

Success = Callable[[Tensor, Tensor], Tensor]  # logits [b, k], labels int32 [b] -> bool [b]

TINY = 1e-12


class NoGradient(Exception):
    """Why a network cannot be attacked by its gradient; the message is written to follow "FILE: "."""


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy: -log p(label)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """The highest logit of another class minus the logit of the label: above 0 if the label is not predicted.

    Its gradient does not vanish where the network is confident (Carlini and Wagner 2017, f6).
    """
    own = tf.gather(logits, label, batch_dims=1)
    return _best_other(logits, label) - own


def logits_ratio(logits: Tensor, label: Tensor) -> Tensor:
    """The difference of logits ratio (DLR), for three classes or more (Croce and Hein 2020, equation 6)."""
    ranked = tf.sort(logits, direction="DESCENDING")
    return margin(logits, label) / (ranked[:, 0] - ranked[:, 2] + TINY)


def _best_other(logits: Tensor, label: Tensor) -> Tensor:
    is_own = tf.one_hot(label, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
    return tf.reduce_max(tf.where(is_own, tf.fill(tf.shape(logits), -np.inf), logits), axis=1)


def is_missed(logits: Tensor, label: Tensor) -> Tensor:
    """Whether a class other than the label is predicted: success of an untargeted attack."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) != label


def is_reached(logits: Tensor, target: Tensor) -> Tensor:
    """Whether the target class is predicted: success of a targeted attack."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) == target


def toward(loss: Loss) -> Loss:
    """The loss of a targeted attack, whose labels are the target classes."""
    return lambda logits, target: -loss(logits, target)


def gradient(logits: Logits, loss: Loss, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The losses ``[b]`` and their gradient ``[b, ...]``: for each sample that of its own loss, whatever the batch.

    Raises:
        NoGradient: the loss has no gradient with respect to the pixels.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        losses = loss(logits(x), label)
        total = tf.reduce_sum(losses)  # the gradient of a mean could underflow in float32
    slope = tape.gradient(total, x)
    if slope is None:
        raise NoGradient(
            "its outputs have no gradient with respect to the pixels, because of an operation such as rounding or "
            "argmax. Attack it without gradients, with --square."
        )
    return losses, slope


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of batches to a TensorFlow graph, traced once for all batch sizes.

    The result takes scalars, and arrays or tensors whose first dimension is the samples.
    """
    traced: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def call(*arrays: Any) -> Any:
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        specs = tuple(tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype) for t in tensors)
        if specs not in traced:
            traced[specs] = tf.function(divided(function), input_signature=specs, autograph=False)
        return traced[specs](*tensors)

    return call


# Steps ----------------------------------------------------------------------------------------------------------------


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshapes ``[b]`` to ``[b, 1, 1, …]`` with the rank of ``like``, for broadcasting."""
    return tf.reshape(values, tf.concat([tf.shape(values), tf.ones(like.shape.rank - 1, tf.int32)], 0))


def l2_norm(x: Tensor) -> Tensor:
    """The l2 norm of each sample, ``[b]``."""
    return tf.sqrt(tf.reduce_sum(tf.reshape(x * x, [tf.shape(x)[0], -1]), axis=1))


def direction(slope: Tensor, norm: Norm) -> Tensor:
    """The direction of steepest ascent, of norm 1: the gradient's signs for linf, the normalized gradient for l2."""
    if norm == "linf":
        return tf.sign(slope)
    return slope / per_sample(tf.maximum(l2_norm(slope), TINY), slope)


def project(adversarial: Tensor, x: Tensor, eps: Tensor, norm: Norm, bounds: Bounds) -> Tensor:
    """Projects onto the ball of radius ``eps`` around ``x``, then clips to the bounds."""
    change = adversarial - x
    if norm == "linf":
        change = tf.clip_by_value(change, -eps, eps)
    else:
        change *= per_sample(tf.minimum(1.0, eps / tf.maximum(l2_norm(change), TINY)), change)
    return tf.clip_by_value(x + change, *bounds)


def worst_of_starts(
    run: Callable[..., Any],
    x: NDArray[np.float32],
    label: NDArray[np.int32],
    eps: float,
    index: NDArray[np.int64],
    *,
    norm: Norm,
    restarts: int,
    seed: int,
) -> NDArray[np.float32]:
    """The worst case of each sample over runs from random starts: the first success, else the highest loss.

    Args:
        run: (pixels, labels, eps, start) -> adversarial pixels, their losses ``[b]``, and whether it succeeds ``[b]``.
        restarts: maximum number of runs, at least 1; no further run is made once all samples are misclassified.
    """
    best, highest, is_broken = x, np.full(len(x), -np.inf), np.zeros(len(x), bool)
    for draw in range(restarts):
        start = random_changes(x.shape[1:], index, norm, seed=seed, draw=draw)
        found, losses, succeeds = (values.numpy() for values in run(x, label, np.float32(eps), start))
        is_better = ~is_broken & (succeeds | (losses > highest))  # a first success is kept, whatever the batch
        best = np.where(is_better.reshape(-1, *[1] * (x.ndim - 1)), found, best)
        highest = np.where(is_better, losses, highest)
        is_broken |= succeeds
        if is_broken.all():
            break
    return best


def random_changes(
    shape: tuple[int, ...], index: NDArray[np.int64], norm: Norm, *, seed: int, draw: int = 0, on_surface: bool = False
) -> NDArray[np.float32]:
    """A random perturbation of norm at most 1 for each sample; depends only on (seed, draw, sample's index).

    It is uniform in the ball or, with ``on_surface``, on its surface; for linf each value is uniform in [-1, 1].

    Returns:
        float32 ``[b, *shape]``.
    """
    changes = np.empty((len(index), *shape), np.float32)
    for position, number in enumerate(index.tolist()):
        generator = np.random.Generator(np.random.PCG64([seed, draw, number]))
        if norm == "linf":
            changes[position] = generator.uniform(-1, 1, shape)
        else:
            drawn = generator.normal(size=shape)
            radius = 1.0 if on_surface else generator.random() ** (1 / drawn.size)
            changes[position] = drawn * (radius / np.linalg.norm(drawn))
    return changes
