"""Auto-PGD: projected gradient ascent with an adaptive step size (Croce and Hein 2020, algorithm 1)."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.attacks.gradient import (
    Attack,
    Bounds,
    Logits,
    Loss,
    Norm,
    Success,
    Tensor,
    compiled,
    direction,
    gradient,
    is_missed,
    per_sample,
    project,
    worst_of_starts,
)

MOMENTUM = 0.75  # alpha of the paper
RISING = 0.75  # rho: proportion of the steps since the last checkpoint that must increase the loss


def checkpoints(steps: int) -> list[int]:
    """The steps at which the step size may be halved (section 3.1): after 22% of them, then more and more often."""
    positions = [0.0, 0.22]
    while positions[-1] < 1.0:
        positions.append(positions[-1] + max(positions[-1] - positions[-2] - 0.03, 0.06))
    numbers = [int(np.ceil(round(position * steps, 6))) for position in positions if position < 1.0]
    return [*numbers, steps] if numbers[-1] < steps else numbers


def apgd(
    logits: Logits,
    *,
    loss: Loss,
    norm: Norm,
    bounds: Bounds,
    steps: int,
    restarts: int,
    seed: int,
    succeeds: Success = is_missed,
) -> Attack:
    """Auto-PGD. The result is the point with the highest loss on the path.

    Args:
        steps: number of steps per run.
        restarts: number of runs from random starting points; the worst case counts for each sample.
        seed: seed of the starting points, which depend only on it and on the sample's index.
        succeeds: success criterion; a successful run is preferred to any other.
    """
    halving = checkpoints(steps)

    def one_run(x: Tensor, label: Tensor, eps: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ends = tf.constant(halving)
        adversarial = project(x + eps * start, x, eps, norm, bounds)
        losses, slope = gradient(logits, loss, adversarial, label)

        def one_phase(
            phase: Tensor,
            adversarial: Tensor,
            before: Tensor,
            losses: Tensor,
            slope: Tensor,
            best: Tensor,
            highest: Tensor,
            best_slope: Tensor,
            size: Tensor,
            highest_before: Tensor,
            was_halved: Tensor,
        ) -> tuple[Tensor, ...]:
            """The steps from one checkpoint to the next, and what is decided there."""
            first, last = ends[phase], ends[phase + 1]

            def one_step(
                number: Tensor,
                now: Tensor,
                before: Tensor,
                losses: Tensor,
                slope: Tensor,
                best: Tensor,
                highest: Tensor,
                best_slope: Tensor,
                rises: Tensor,
            ) -> tuple[Tensor, ...]:
                moved = project(now + per_sample(size, x) * direction(slope, norm), x, eps, norm, bounds)
                alpha = tf.where(number == 0, 1.0, MOMENTUM)  # the first step has no momentum
                moved = now + alpha * (moved - now) + (1 - alpha) * (now - before)
                moved = project(moved, x, eps, norm, bounds)
                new_losses, new_slope = gradient(logits, loss, moved, label)
                rises += tf.cast(new_losses > losses, tf.float32)
                is_best = new_losses > highest
                best = tf.where(per_sample(is_best, x), moved, best)
                best_slope = tf.where(per_sample(is_best, x), new_slope, best_slope)
                highest = tf.maximum(highest, new_losses)
                return number + 1, moved, now, new_losses, new_slope, best, highest, best_slope, rises

            state = (first, adversarial, before, losses, slope, best, highest, best_slope, tf.zeros_like(losses))
            state = tf.while_loop(lambda number, *_: number < last, one_step, state, parallel_iterations=1)
            _, adversarial, before, losses, slope, best, highest, best_slope, rises = state
            too_few = rises < RISING * tf.cast(last - first, tf.float32)  # condition 1
            no_gain = tf.logical_and(tf.logical_not(was_halved), highest <= highest_before)  # condition 2
            is_halved = tf.logical_or(too_few, no_gain)
            size_now = tf.where(is_halved, size / 2, size)
            adversarial = tf.where(per_sample(is_halved, x), best, adversarial)  # continue from the best point
            slope = tf.where(per_sample(is_halved, x), best_slope, slope)
            losses = tf.where(is_halved, highest, losses)
            return (
                *(phase + 1, adversarial, before, losses, slope, best, highest, best_slope),
                *(size_now, highest, is_halved),
            )

        state = (
            *(tf.constant(0), adversarial, adversarial, losses, slope, adversarial, losses, slope),
            *(tf.fill(tf.shape(losses), 2.0 * eps), losses, tf.zeros_like(losses, tf.bool)),
        )
        # a loop over the phases too: the network is traced once, not once for each phase
        state = tf.while_loop(lambda phase, *_: phase < len(halving) - 1, one_phase, state, parallel_iterations=1)
        best, highest = state[5], state[6]
        return best, highest, succeeds(logits(best), label)

    run = compiled(one_run)

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return worst_of_starts(run, x, label, eps, index, norm=norm, restarts=restarts, seed=seed)

    return attack
