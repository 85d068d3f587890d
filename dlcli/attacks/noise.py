"""Random noise within the budget of an attack: the baseline that every attack must beat."""

import numpy as np
from numpy.typing import NDArray

from dlcli.attacks.gradient import Attack, Bounds, Norm, random_changes


def noise(*, norm: Norm, bounds: Bounds, seed: int) -> Attack:
    """Noise that is uniform in [-eps, eps] for linf, and of norm eps in a uniformly random direction for l2."""

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        changes = random_changes(x.shape[1:], index, norm, seed=seed, on_surface=True)
        result: NDArray[np.float32] = np.clip(x + np.float32(eps) * changes, *bounds)
        return result

    return attack
