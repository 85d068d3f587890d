"""What an attack climbs: losses of the logits, their gradient with respect to the pixels, and steps within a budget.

A classifier is ``logits``: pixels float32 ``[b, height, width, channels]`` -> float32 ``[b, classes]``, in inference
mode. A budget ``eps`` is in units of the pixels, and so are ``bounds``, the smallest and largest value of a pixel.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Tensor = Any
Logits = Callable[[Tensor], Tensor]
Norm = Literal["linf", "l2"]
Bounds = tuple[float, float]
Loss = Callable[[Tensor, Tensor], Tensor]  # logits [b, k], labels int32 [b] -> [b], higher the better the attack does
Attack = Callable[[NDArray[np.float32], NDArray[np.int32], float, NDArray[np.int64]], NDArray[np.float32]]
"""(pixels ``[b, ...]``, labels or targets ``[b]``, eps, the samples' numbers ``[b]``) -> adversarial pixels."""
MinimalAttack = Callable[[NDArray[np.float32], NDArray[np.int32]], NDArray[np.float32]]
"""(pixels, labels) -> the nearest adversarial pixels that are found, however far."""

Success = Callable[[Tensor, Tensor], Tensor]  # logits [b, k], labels int32 [b] -> bool [b]

TINY = 1e-12


class NoGradient(Exception):
    """Why a network cannot be attacked along its gradient, in words that follow "FILE: "."""


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """-log p of the label."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """By how much the best other class is ahead of the label: above 0 where the label is not predicted.

    Its gradient does not vanish on a network that is sure of itself (Carlini and Wagner 2017, f6).
    """
    own = tf.gather(logits, label, batch_dims=1)
    return _best_other(logits, label) - own


def logits_ratio(logits: Tensor, label: Tensor) -> Tensor:
    """The difference of logits ratio, for three classes or more (Croce and Hein 2020, equation 6)."""
    ranked = tf.sort(logits, direction="DESCENDING")
    return margin(logits, label) / (ranked[:, 0] - ranked[:, 2] + TINY)


def _best_other(logits: Tensor, label: Tensor) -> Tensor:
    is_own = tf.one_hot(label, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
    return tf.reduce_max(tf.where(is_own, tf.fill(tf.shape(logits), -np.inf), logits), axis=1)


def is_missed(logits: Tensor, label: Tensor) -> Tensor:
    """Whether another class than the label is predicted."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) != label


def is_reached(logits: Tensor, target: Tensor) -> Tensor:
    """Whether the target of a targeted attack is predicted."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) == target


def toward(loss: Loss) -> Loss:
    """The loss of a targeted attack: the labels are those that the network is to be led to."""
    return lambda logits, target: -loss(logits, target)


def gradient(logits: Logits, loss: Loss, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The losses ``[b]``, and the gradient of their sum ``[b, ...]``: of each sample's own loss, whatever the batch.

    Raises:
        NoGradient: the loss does not depend on the pixels through anything that has a gradient.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        losses = loss(logits(x), label)
        total = tf.reduce_sum(losses)  # of a mean, a part of the batch would vanish in float32
    slope = tape.gradient(total, x)
    if slope is None:
        raise NoGradient(
            "its outputs have no gradient with respect to the pixels: an operation such as rounding or argmax lies "
            "between. Attack it without gradients, with --square."
        )
    return losses, slope


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of batches as one TensorFlow graph, traced once however many samples a batch has.

    The result takes arrays or tensors: those with dimensions have the samples as their first.
    """
    traced: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def call(*arrays: Any) -> Any:
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        specs = tuple(tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype) for t in tensors)
        if specs not in traced:
            traced[specs] = tf.function(function, input_signature=specs, autograph=False)
        return traced[specs](*tensors)

    return call


# Steps ----------------------------------------------------------------------------------------------------------------


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """``[b]`` as ``[b, 1, 1, …]``, to go with what has the rank of ``like``."""
    return tf.reshape(values, tf.concat([tf.shape(values), tf.ones(like.shape.rank - 1, tf.int32)], 0))


def l2_norm(x: Tensor) -> Tensor:
    """Of each sample, ``[b]``."""
    return tf.sqrt(tf.reduce_sum(tf.reshape(x * x, [tf.shape(x)[0], -1]), axis=1))


def direction(slope: Tensor, norm: Norm) -> Tensor:
    """The step of length 1 that raises the loss fastest: the signs for linf, the normalized gradient for l2."""
    if norm == "linf":
        return tf.sign(slope)
    return slope / per_sample(tf.maximum(l2_norm(slope), TINY), slope)


def project(adversarial: Tensor, x: Tensor, eps: Tensor, norm: Norm, bounds: Bounds) -> Tensor:
    """The nearest pixels within the budget around ``x``, and then within the bounds, which hold last."""
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
    """Each sample's worst pixels over runs from random points: the first success, else where the loss is highest.

    Args:
        run: (pixels, labels, eps, start) -> adversarial pixels, their losses ``[b]``, and whether it succeeds ``[b]``.
        restarts: number of runs, at least 1; none is made once all samples are broken.
    """
    best, highest, is_broken = x, np.full(len(x), -np.inf), np.zeros(len(x), bool)
    for draw in range(restarts):
        start = random_changes(x.shape[1:], index, norm, seed=seed, draw=draw)
        found, losses, succeeds = (values.numpy() for values in run(x, label, np.float32(eps), start))
        is_better = ~is_broken & (succeeds | (losses > highest))  # the first success stands, whatever the batch
        best = np.where(is_better.reshape(-1, *[1] * (x.ndim - 1)), found, best)
        highest = np.where(is_better, losses, highest)
        is_broken |= succeeds
        if is_broken.all():
            break
    return best


def random_changes(
    shape: tuple[int, ...], index: NDArray[np.int64], norm: Norm, *, seed: int, draw: int = 0, on_surface: bool = False
) -> NDArray[np.float32]:
    """For each sample a change of a budget of 1, drawn by (seed, draw, the sample's number) alone.

    Uniform in the ball, or on its surface: for linf every pixel uniform in [-1, 1] either way.

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
