"""Convolution over sequences: its receptive field."""

import numpy as np
from small_steps import BATCH, CONVOLUTIONAL, STEPS, VALUES, build, run  # type: ignore[import-not-found]

from dlcli.models.sequences import convolutional


def test_a_convolution_sees_what_its_docstring_says() -> None:
    model = build(convolutional.steps, CONVOLUTIONAL, causal=True, kernel_size=2, dilations=(1, 2))
    mask = np.ones((BATCH, STEPS), bool)
    seen = []
    for distance in range(STEPS):
        changed = VALUES.copy()
        changed[:, STEPS - 1 - distance] += 1
        seen.append(bool(np.abs(run(model, changed, mask)[:, -1] - run(model, mask=mask)[:, -1]).max() > 1e-6))
    assert sum(seen) <= 1 + 1 * 3
    assert seen[: 1 + 1 * 3] == [True] * 4
