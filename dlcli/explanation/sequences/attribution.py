"""Methods of attribution for sequences: which steps, and which of their features, a score is due to.

Each takes vectors ``[b, steps, width]``, those of sequences without content ``[b, steps, width]`` (unknown tokens, the
mean of a feature) and the choice of an output ``[b, 2]``, as in :class:`dlcli.explanation.sequences.scores.Scores`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.integrated import integrate
from dlcli.explanation.sequences.scores import Scores

Vectors = NDArray[np.float32]
Choices = NDArray[np.int32]


@dataclass(frozen=True)
class Attribution:
    """What a score is due to.

    Attributes:
        shares: float64 ``[b, steps, width]``, signed: positive where a value raises the score.
        facts: values for each sequence ``[b]`` by their names, such as the ``completeness_error``.
    """

    shares: NDArray[np.float64]
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def of_steps(self) -> NDArray[np.float64]:
        """The shares of whole steps ``[b, steps]``."""
        return np.asarray(self.shares.sum(axis=-1))


Method = Callable[[Scores, Vectors, Vectors, Choices], Attribution]


def integrated_gradients(*, steps: int | None) -> Method:
    """Integrated gradients (Sundararajan, Taly and Yan 2017), as :func:`dlcli.explanation.integrated.integrate`.

    Args:
        steps: a fixed number on the way; None for as many as completeness within 1% needs, at most 1024.
    """

    def explain(scores: Scores, points: Vectors, starts: Vectors, choices: Choices) -> Attribution:
        at_once = scores.at_once(points.shape[1])
        shares, facts = integrate(
            scores.scores,
            lambda some, chosen: scores.gradients(some, chosen)[1],
            points,
            starts,
            choices,
            steps=steps,
            at_once=at_once,
            together=True,
        )
        return Attribution(shares, facts)

    return explain


def gradient_x_input(scores: Scores, points: Vectors, starts: Vectors, choices: Choices) -> Attribution:
    """The gradient times the difference from a sequence without content (Shrikumar et al. 2016, section 3).

    It is exact for a score that is linear in the vectors, as integrated gradients and leaving one out are.
    """
    slopes = scores.gradients(points, choices)[1]
    return Attribution((points.astype(np.float64) - starts) * slopes)


def leave_one_out(scores: Scores, points: Vectors, starts: Vectors, choices: Choices) -> Attribution:
    """How far the score falls when one step is replaced by one without content (Li, Monroe and Jurafsky 2016).

    The share of a whole step stands in the first place of its vector; the others are zero.
    """
    shares = np.zeros(points.shape)
    steps = np.arange(points.shape[1])[:, None, None]
    is_left_out = steps == steps.reshape(1, -1, 1)
    shares[..., 0] = left_out(scores, points, starts, choices, is_left_out)
    return Attribution(shares)


def left_out(
    scores: Scores, points: Vectors, starts: Vectors, choices: Choices, parts: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How far the score falls when a part of the values is replaced by those without content, ``[b, parts]``.

    Args:
        parts: the values that belong to each, ``[parts, steps, width]``, or with 1 for either size.
    """
    whole = scores.scores(points, choices).astype(np.float64)
    found = np.empty((len(points), len(parts)))
    for row in range(len(points)):
        changed = np.where(parts, starts[row], points[row])
        found[row] = whole[row] - scores.scores(changed, np.repeat(choices[row : row + 1], len(parts), axis=0))
    return found
