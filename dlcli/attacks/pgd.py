"""Iterative attacks: many small steps, each projected back into the budget.

BIM (Kurakin, Goodfellow and Bengio 2017) starts from the image, PGD (Madry et al. 2018) from random points of the ball;
MI-FGSM (Dong et al. 2018) accumulates gradients with momentum.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.attacks.gradient import (
    TINY,
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


def climb(
    logits: Logits,
    x: Tensor,
    label: Tensor,
    eps: Tensor,
    start: Tensor,
    *,
    loss: Loss,
    norm: Norm,
    bounds: Bounds,
    steps: int,
    step_size: float,
    momentum: float | None = None,
) -> Tensor:
    """Traced: the adversarial pixels of a batch, starting from ``x + eps * start``; see :func:`iterated`."""

    def one_step(number: Tensor, adversarial: Tensor, gathered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slope = gradient(logits, loss, adversarial, label)[1]
        if momentum is not None:
            mean = tf.reduce_mean(tf.abs(slope), axis=list(range(1, slope.shape.rank)))
            slope = gathered = momentum * gathered + slope / per_sample(tf.maximum(mean, TINY), slope)
        moved = adversarial + step_size * eps * direction(slope, norm)
        return number + 1, project(moved, x, eps, norm, bounds), gathered

    _, adversarial, _ = tf.while_loop(
        lambda number, *_: number < steps,
        one_step,
        (tf.constant(0), project(x + eps * start, x, eps, norm, bounds), tf.zeros_like(x)),
        parallel_iterations=1,
    )
    return adversarial


def iterated(
    logits: Logits,
    *,
    loss: Loss,
    norm: Norm,
    bounds: Bounds,
    steps: int,
    step_size: float,
    momentum: float | None = None,
    restarts: int = 0,
    seed: int = 0,
    succeeds: Success = is_missed,
) -> Attack:
    """An iterative attack: BIM, PGD or MI-FGSM.

    Args:
        steps: number of steps per run.
        step_size: size of a step, as a proportion of eps.
        momentum: decay factor of the accumulated gradient, to which each gradient is added divided by its mean absolute
            value (MI-FGSM, equation 6); None to follow the current gradient alone.
        restarts: number of runs from random points of the ball, of which the worst case counts for each sample; 0 for
            one run that starts from the image itself.
        seed: seed of the starting points, which depend only on it and on the sample's index.
        succeeds: success criterion; a successful run is preferred to any other.
    """

    def one_run(x: Tensor, label: Tensor, eps: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        adversarial = climb(
            *(logits, x, label, eps, start),
            loss=loss,
            norm=norm,
            bounds=bounds,
            steps=steps,
            step_size=step_size,
            momentum=momentum,
        )
        outputs = logits(adversarial)
        return adversarial, loss(outputs, label), succeeds(outputs, label)

    run = compiled(one_run)

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        if restarts == 0:
            result: NDArray[np.float32] = run(x, label, np.float32(eps), np.zeros_like(x))[0].numpy()
            return result
        return worst_of_starts(run, x, label, eps, index, norm=norm, restarts=restarts, seed=seed)

    return attack
