"""Learning rates as functions of the step within a stage, computed inside the compiled step."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Rate = Callable[[Any], Any]  # int64 step in the stage, from 0 -> float32 learning rate


def constant(*, learning_rate: float) -> Rate:
    """The same rate at every step."""
    return lambda step: tf.constant(learning_rate, tf.float32)


def step_decay(*, learning_rate: float, every: float, factor: float, steps_per_epoch: int) -> Rate:
    """``learning_rate * factor ** floor(epoch / every)``, with fractional epochs."""
    interval = max(1, round(every * steps_per_epoch))

    def rate(step: Any) -> Any:
        return learning_rate * tf.pow(tf.constant(factor, tf.float32), tf.cast(step // interval, tf.float32))

    return rate


def exponential(*, learning_rate: float, factor: float, steps_per_epoch: int) -> Rate:
    """``learning_rate * factor ** epoch``, with fractional epochs."""

    def rate(step: Any) -> Any:
        return learning_rate * tf.pow(tf.constant(factor, tf.float32), tf.cast(step, tf.float32) / steps_per_epoch)

    return rate


def cosine(*, learning_rate: float, final: float, num_steps: int) -> Rate:
    """Half a cosine from ``learning_rate`` at step 0 to ``final * learning_rate`` at the last of ``num_steps`` steps.

    Source: Loshchilov and Hutter 2017, equation 5, without restarts.
    """

    def rate(step: Any) -> Any:
        progress = tf.minimum(tf.cast(step, tf.float32) / max(1, num_steps - 1), 1.0)
        return learning_rate * (final + (1.0 - final) * 0.5 * (1.0 + tf.cos(math.pi * progress)))

    return rate


def with_warmup(rate: Rate, *, warmup_steps: int) -> Rate:
    """Linear warm-up to the schedule's first value over ``warmup_steps`` steps, followed by the schedule itself.

    Step k of the warm-up has ``(k + 1) / (warmup_steps + 1)`` of the full rate, so that no step has rate 0.
    """
    if warmup_steps == 0:
        return rate

    def warmed(step: Any) -> Any:
        rising = rate(tf.zeros_like(step)) * tf.cast(step + 1, tf.float32) / (warmup_steps + 1)
        return tf.where(step < warmup_steps, rising, rate(tf.maximum(step - warmup_steps, 0)))

    return warmed
