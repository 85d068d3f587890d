"""Insertion and deletion on tokens: whether those that an explanation ranks first decide an output.

As for the pixels of images (:mod:`dlcli.explanation.checks.pixel_order`): a token is replaced by an unknown one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dlcli.explanation.checks.pixel_order import NUM_STEPS, areas_of_sample
from dlcli.explanation.sequences.attribution import Vectors
from dlcli.explanation.sequences.scores import Scores

Measure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The scores of versions of a sample -> what is measured of each, on the curve."""


def probability(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of an output whose scores are log-odds."""
    return np.asarray(expit(scores))


def recovered(whole: float, distance: float) -> Measure:
    """The share of a predicted number that is recovered: ``1 - |number - whole| / distance``.

    Args:
        whole: the prediction from all tokens.
        distance: above 0, of the prediction from that of unknown tokens alone, typically.
    """
    return lambda scores: 1 - np.abs(scores - whole) / distance


def token_areas(
    scores: Scores,
    points: Vectors,
    starts: Vectors,
    choice: NDArray[np.int32],
    ranks: NDArray[np.float64],
    *,
    is_free: NDArray[np.bool_],
    measure: Measure,
    seed: int = 0,
) -> tuple[float, float]:
    """The areas below the curves of insertion (high is good) and of deletion (low is good) for one output of a sample.

    Args:
        points, starts: the vectors of the tokens, and of unknown ones in their place, ``[tokens, width]``.
        choice: the numbers of the output and of its value ``[2]``.
        ranks: of the tokens ``[tokens]``: high ones come first, equal ones in random order.
        is_free: the tokens that are hidden, at least one ``[tokens]``; the others stay as they are.
    """

    def curve(versions: NDArray[Any]) -> NDArray[Any]:
        changed = np.repeat(points[None], len(versions), axis=0)
        changed[:, is_free] = versions
        choices = np.repeat(choice[None], len(versions), axis=0)
        return measure(scores.scores(changed, choices).astype(np.float64))

    num_steps = min(NUM_STEPS, int(is_free.sum()))
    return areas_of_sample(curve, points[is_free], starts[is_free], ranks[is_free], num_steps=num_steps, seed=seed)
