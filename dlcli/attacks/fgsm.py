"""The fast gradient sign method: one step (Goodfellow, Shlens and Szegedy 2015, section 4)."""

import numpy as np
from numpy.typing import NDArray

from dlcli.attacks.gradient import Attack, Bounds, Logits, Loss, Norm, Tensor, compiled, direction, gradient, project


def fgsm(logits: Logits, *, loss: Loss, norm: Norm, bounds: Bounds) -> Attack:
    """FGSM: ``x + eps * sign(gradient)``; for l2 ``x + eps * gradient / |gradient|``."""

    def step(x: Tensor, label: Tensor, eps: Tensor) -> Tensor:
        slope = gradient(logits, loss, x, label)[1]
        return project(x + eps * direction(slope, norm), x, eps, norm, bounds)

    run = compiled(step)

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        result: NDArray[np.float32] = run(x, label, np.float32(eps)).numpy()
        return result

    return attack
