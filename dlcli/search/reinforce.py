"""Policy gradient: REINFORCE with a moving baseline (Williams 1992; Zoph and Le 2017), a softmax for each position.

The positions are independent. :mod:`dlcli.search.controller` has the recurrent controller of the paper, in which a
choice depends on those before it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.search.method import Choices, Proposal, check_space, random_of_trial

Vector = NDArray[np.float64]


class Reward:
    """The advantage of a score over the moving average of earlier ones, in units of how much scores have varied.

    The scale makes one learning rate fit scores of any range. A trial without a score counts as the lowest one so far.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._mean: float | None = None
        self._square = 0.0  # moving average of the squared differences from the mean
        self._lowest: float | None = None

    def advantage(self, score: float | None) -> float:
        """The advantage of a score, which then becomes part of the averages; 0 for the first one."""
        if score is None:
            score = self._lowest
        if score is None:
            return 0.0
        self._lowest = score if self._lowest is None else min(self._lowest, score)
        if self._mean is None:
            self._mean = score
            return 0.0
        difference = score - self._mean
        self._square = self._decay * self._square + (1 - self._decay) * difference**2
        self._mean += (1 - self._decay) * difference
        return float(difference / np.sqrt(self._square)) if self._square > 0 else 0.0


class Reinforce:
    """REINFORCE with independent logits.

    Args:
        space: the number of options at each position.
        learning_rate: of a step of gradient ascent on advantage times log-probability, in logits.
        decay: of the moving averages of the scores.
        seed: of everything that is drawn.
    """

    def __init__(self, space: Sequence[int], *, learning_rate: float, decay: float, seed: int) -> None:
        self._space = check_space(space)
        self._rate = learning_rate
        self._reward = Reward(decay)
        self._seed = seed
        self.logits: list[Vector] = [np.zeros(options) for options in self._space]

    def ask(self, trial: int) -> Proposal:
        """Draw from the policy as it is now."""
        random = random_of_trial(self._seed, trial)
        return Proposal(tuple(drawn(softmax(logits), random) for logits in self.logits))

    def tell(self, trial: int, choices: Choices, score: float | None) -> None:
        """Take a step along the gradient of the advantage times the log-probability of the choices."""
        advantage = self._reward.advantage(score)
        for logits, choice in zip(self.logits, choices, strict=True):
            gradient = -softmax(logits)
            gradient[choice] += 1
            logits += self._rate * advantage * gradient


def softmax(logits: Vector) -> Vector:
    """The probabilities of the options at one position, ``[options]``."""
    exponentials = np.exp(logits - logits.max())
    probabilities: Vector = exponentials / exponentials.sum()
    return probabilities


def drawn(probabilities: Vector, random: np.random.Generator) -> int:
    """The index of an option drawn with these probabilities."""
    return min(int(np.searchsorted(np.cumsum(probabilities), random.random(), side="right")), len(probabilities) - 1)
