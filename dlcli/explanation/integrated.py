"""Integrated gradients, with as many steps as their completeness needs (Sundararajan, Taly and Yan 2017)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.gradients import pixel_gradients
from dlcli.explanation.method import Baseline, Explanation, Method, Targets, batches, num_at_once
from dlcli.explanation.network import Network, traced

Function = Callable[[NDArray[np.float32], NDArray[Any]], NDArray[Any]]
"""(points ``[n, ...]``, what is scored of each ``[n, ...]``) -> an array ``[n, ...]``."""

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
        shares, facts = integrate(
            lambda pixels, chosen: scores(pixels, chosen).numpy(),
            lambda pixels, chosen: gradients(pixels, chosen)[1].numpy(),
            images,
            baseline(images),
            targets,
            steps=steps,
            at_once=num_at_once(network),
        )
        return Explanation(shares.sum(axis=-1).astype(np.float32), facts)

    return explain


def integrate(
    scores: Function,
    gradients: Function,
    inputs: NDArray[np.float32],
    starts: NDArray[np.float32],
    targets: NDArray[Any],
    *,
    steps: int | None,
    at_once: int,
    together: bool = False,
) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """The share of each value of inputs ``[b, ...]`` in the difference between their scores and those of the starts.

    Args:
        scores: of points ``[n, ...]``, ``[n]``.
        gradients: of the scores, of the shape of the points.
        starts: of the shape of the inputs.
        targets: what is scored, for each input ``[b, ...]``.
        steps: a fixed number; None to double it until the shares are complete.
        at_once: points whose gradients are computed in one call.
        together: put points of several inputs in one call; else an input's shares do not depend on the others at all,
            not even by rounding.

    Returns:
        The shares, of the shape of the inputs, and the facts of :func:`integrated_gradients`.
    """
    whole, empty = (
        np.concatenate([scores(points[part], targets[part]) for part in batches(len(points), at_once)])
        for points in (inputs, starts)
    )
    differences = whole.astype(np.float64) - empty.astype(np.float64)
    shares = np.zeros(inputs.shape)
    errors, num_steps = np.full(len(inputs), np.inf), np.zeros(len(inputs), np.int64)
    rows, number = np.arange(len(inputs)), steps or FIRST_STEPS
    while len(rows) and number <= (steps or MOST_STEPS):
        for part in batches(len(rows), max(1, at_once // number) if together else 1):
            some = rows[part]
            shares[some] = _shares(gradients, inputs[some], starts[some], targets[some], number, at_once)
        totals = shares[rows].reshape(len(rows), -1).sum(axis=1)
        errors[rows] = np.abs(totals - differences[rows]) / np.maximum(np.abs(differences[rows]), TINY)
        num_steps[rows] = number
        rows = rows[errors[rows] > TOLERANCE]
        number *= 2
    return shares, {"completeness_error": errors, "steps": num_steps, "difference": differences}


def _shares(
    gradients: Function,
    inputs: NDArray[np.float32],
    starts: NDArray[np.float32],
    targets: NDArray[Any],
    steps: int,
    size: int,
) -> NDArray[np.float64]:
    """The difference of the values times the mean gradient on the way ``[b, ...]``, ``size`` points at once."""
    way = inputs.astype(np.float64) - starts
    total = np.zeros(inputs.shape)
    shares = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * (inputs.ndim - 1))
    for part in batches(steps, max(1, size // len(inputs))):
        share = shares[part]
        points = np.concatenate(
            [(start + share * step).astype(np.float32) for start, step in zip(starts, way, strict=True)]
        )
        slopes = gradients(points, np.repeat(targets, len(share), axis=0))
        total += slopes.reshape(len(inputs), len(share), *inputs.shape[1:]).sum(axis=1, dtype=np.float64)
    result: NDArray[np.float64] = way * total / steps
    return result
