"""DeepFool on a linear network, where the nearest boundary is known."""

import numpy as np
import pytest
from networks import BOUNDS, WEIGHTS, gray, linear  # type: ignore[import-not-found]

from dlcli.attacks.deepfool import deepfool


def test_deepfool_on_a_linear_network_goes_straight_to_the_nearest_boundary() -> None:
    x, y, _ = gray()
    found = deepfool(linear, bounds=BOUNDS, overshoot=0.02)(x, y)
    z = np.asarray(linear(x), np.float64)
    for i in range(len(x)):
        distances = [
            (z[i, y[i]] - z[i, k]) / np.linalg.norm((WEIGHTS[:, k] - WEIGHTS[:, y[i]]) / 255)
            for k in range(3)
            if k != y[i]
        ]
        assert np.linalg.norm(found[i] - x[i]) == pytest.approx(1.005 * 1.02 * min(distances), rel=1e-3)
    assert (np.asarray(linear(found)).argmax(1) != y).all()
