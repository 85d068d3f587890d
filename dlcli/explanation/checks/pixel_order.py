"""Deletion and insertion: whether the pixels that a map ranks first are those the prediction depends on.

Petsiuk, Das and Saenko 2018, "RISE", section 4.3: pixels are replaced by a baseline, or put into it, in the order of a
map, and the area below the probability of the class is measured.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.logits import Classifier, chosen
from dlcli.explanation.method import Baseline, batches, num_at_once
from dlcli.explanation.network import traced

NUM_STEPS = 50


def areas(
    network: Classifier,
    images: NDArray[np.float32],
    classes: NDArray[np.int32],
    scores: NDArray[Any],
    *,
    baseline: Baseline,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The areas below the curves of insertion (high is good) and of deletion (low is good), both ``[b]`` in [0, 1].

    A curve has 51 points: from no pixel to all of them, by the trapezoidal rule.

    Args:
        scores: ``[b, height, width]``: pixels with high scores come first, equal ones in random order.
        baseline: what pixels are replaced by.
    """

    def probability(pixels: Any, labels: Any) -> Any:
        return chosen(network.probabilities(network(pixels)), labels)

    run = traced(network, probability)
    fill = baseline(images)
    inserted, deleted = np.empty(len(images)), np.empty(len(images))
    for row, (image, empty) in enumerate(zip(images, fill, strict=True)):

        def probabilities(pixels: NDArray[Any], label: int = int(classes[row])) -> NDArray[Any]:
            labels = np.full(len(pixels), label, np.int32)
            parts = batches(len(pixels), num_at_once(network))
            return np.concatenate([run(pixels[part], labels[part]).numpy() for part in parts])

        inserted[row], deleted[row] = areas_of_sample(probabilities, image, empty, scores[row], seed=seed)
    return inserted, deleted


def areas_of_sample(
    curve: Callable[[NDArray[Any]], NDArray[Any]],
    sample: NDArray[Any],
    empty: NDArray[Any],
    scores: NDArray[Any],
    *,
    num_steps: int = NUM_STEPS,
    seed: int = 0,
) -> tuple[float, float]:
    """The areas below the curves of insertion and of deletion of one sample.

    Args:
        curve: versions of the sample ``[num_steps + 1, ...]`` -> the value of each on the curve ``[num_steps + 1]``.
        sample, empty: the sample and what its parts are replaced by, of the same shape.
        scores: of the parts: one for each value, or of the first axes of the sample alone, such as the pixels.
    """
    position = np.argsort(order_of(scores, seed))  # of each part in the order
    shares = np.linspace(0, 1, num_steps + 1)
    is_first = position < (shares * position.size).round()[:, None]
    is_first = is_first.reshape(len(shares), *scores.shape, *[1] * (sample.ndim - scores.ndim))
    versions = np.where(is_first, sample, empty), np.where(is_first, empty, sample)
    inserted, deleted = (float(np.trapezoid(curve(some).astype(np.float64), shares)) for some in versions)
    return inserted, deleted


def order_of(scores: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """The positions of the values of a map, such as ``[height, width]``, flattened: high ones first, ties at random."""
    ties = np.random.default_rng(seed).random(scores.size)
    return np.lexsort((ties, -scores.reshape(-1).astype(np.float64)))
