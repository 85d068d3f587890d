"""DeepFool: repeated steps to the nearest decision boundary of the linearized network.

Moosavi-Dezfooli, Fawzi and Frossard 2016, algorithm 2, in l2.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.attacks.gradient import TINY, Bounds, Logits, MinimalAttack, Tensor, compiled, per_sample

ENLARGED = 1e-4  # added to the length of each step, so that a step that would end just before a boundary crosses it
BEYOND = 0.005  # relative enlargement of the final perturbation: on the boundary itself, rounding decides the class


def deepfool(
    logits: Logits, *, bounds: Bounds, steps: int = 50, candidates: int = 10, overshoot: float = 0.02
) -> MinimalAttack:
    """DeepFool. The perturbation is as small as the attack can make it, and has no bound.

    Args:
        steps: maximum number of steps.
        candidates: number of classes considered: those with the highest logits on the original image.
        overshoot: eta of the paper: the relative enlargement of the perturbation.
    """

    def run(x: Tensor, label: Tensor) -> Tensor:
        first = logits(x)
        num_others = min(candidates, first.shape[1]) - 1
        is_own = tf.one_hot(label, first.shape[1], on_value=True, off_value=False, dtype=tf.bool)
        others = tf.math.top_k(tf.where(is_own, tf.fill(tf.shape(first), -np.inf), first), num_others).indices

        def differences(adversarial: Tensor) -> tuple[Tensor, list[Tensor]]:
            slopes = []
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch(adversarial)
                outputs = logits(adversarial)
                own = tf.gather(outputs, label, batch_dims=1)
                ahead = [tf.gather(outputs, others[:, k], batch_dims=1) - own for k in range(num_others)]
                sums = [tf.reduce_sum(values) for values in ahead]
            for total in sums:
                slopes.append(tape.gradient(total, adversarial))
            return tf.stack(ahead, 1), slopes

        def one_step(number: Tensor, change: Tensor, is_done: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            adversarial = tf.clip_by_value(x + (1 + overshoot) * change, *bounds)
            ahead, slopes = differences(adversarial)
            is_done = tf.logical_or(is_done, tf.reduce_max(ahead, axis=1) > 0)
            flat = tf.stack([tf.reshape(slope, [tf.shape(x)[0], -1]) for slope in slopes], 1)  # [b, others, pixels]
            lengths = tf.maximum(tf.norm(flat, axis=2), TINY)
            distances = tf.abs(ahead) / lengths
            nearest = tf.argmin(distances, axis=1, output_type=tf.int32)
            length = tf.gather(lengths, nearest, batch_dims=1)
            distance = tf.gather(distances, nearest, batch_dims=1) + ENLARGED
            step = tf.reshape(tf.gather(flat, nearest, batch_dims=1), tf.shape(x))
            step *= per_sample(distance / length, x)
            moved = change + tf.where(per_sample(is_done, x), tf.zeros_like(step), step)
            return number + 1, moved, is_done

        _, change, _ = tf.while_loop(
            lambda number, change, is_done: tf.logical_and(number < steps, tf.reduce_any(tf.logical_not(is_done))),
            one_step,
            (tf.constant(0), tf.zeros_like(x), tf.zeros_like(label, tf.bool)),
            parallel_iterations=1,
        )
        return tf.clip_by_value(x + (1 + BEYOND) * (1 + overshoot) * change, *bounds)

    find = compiled(run)

    def attack(x: NDArray[np.float32], label: NDArray[np.int32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = find(x, label).numpy()
        return result

    return attack
