"""Integrated gradients, with as many steps as their completeness needs (Sundararajan, Taly and Yan 2017)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.gradients import pixel_gradients
from dlcli.explanation.method import Baseline, Explanation, Method, Targets, batches, num_at_once
from dlcli.explanation.network import Network, traced

TOLERANCE = 0.01
FIRST_STEPS, MOST_STEPS = 16, 1024
TINY = 1e-12


def integrated_gradients(network: Network, *, baseline: Baseline, steps: int | None = None) -> Method:
    """The gradients on the straight way from a baseline to the image, times the difference of the pixels.

    Equation 1, by the midpoint rule, in float64: it has no point at the baseline itself, where flat areas leave ReLUs
    and max pooling without a defined gradient. The maps of an image add up to the difference between its score and
    that of the baseline (proposition 1, completeness). The steps of an image are doubled until the sum is off by at
    most 1% of that difference, or 1024 steps are done.

    Args:
        baseline: gives the image to start from.
        steps: a fixed number of steps instead.

    The facts are the ``completeness_error``, relative to the difference of the scores, the ``steps``, and the
    ``difference``.
    """
    gradients = pixel_gradients(network)
    scores = traced(network, lambda pixels, targets: network.scores(pixels, targets)[0])

    def explain(images: NDArray[np.float32], targets: Targets) -> Explanation:
        starts = baseline(images)
        whole, empty = (scores(pixels, targets).numpy().astype(np.float64) for pixels in (images, starts))
        differences = whole - empty
        shares = np.zeros(images.shape)  # of each pixel and channel
        errors, num_steps = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
        rows, number = np.arange(len(images)), steps or FIRST_STEPS
        while len(rows) and number <= (steps or MOST_STEPS):
            for row in rows:
                shares[row] = _shares(gradients, images[row], starts[row], targets[row], number, num_at_once(network))
            totals = shares[rows].sum(axis=(1, 2, 3))
            errors[rows] = np.abs(totals - differences[rows]) / np.maximum(np.abs(differences[rows]), TINY)
            num_steps[rows] = number
            rows = rows[errors[rows] > TOLERANCE]
            number *= 2
        facts = {"completeness_error": errors, "steps": num_steps, "difference": differences}
        return Explanation(shares.sum(axis=-1).astype(np.float32), facts)

    return explain


def _shares(
    gradients: Callable[[Any, Any], Any],
    image: NDArray[np.float32],
    start: NDArray[np.float32],
    target: Any,
    steps: int,
    size: int,
) -> NDArray[np.float64]:
    """The difference of the pixels times the mean gradient on the way ``[h, w, c]``, ``size`` points at once."""
    way = image.astype(np.float64) - start
    total = np.zeros(image.shape)
    for part in batches(steps, size):
        points = (np.arange(steps)[part, None, None, None] + 0.5) / steps
        pixels = (start + points * way).astype(np.float32)
        slopes = gradients(pixels, np.repeat(np.asarray(target)[None], len(pixels), axis=0))[1].numpy()
        total += slopes.sum(axis=0, dtype=np.float64)
    result: NDArray[np.float64] = way * total / steps
    return result
