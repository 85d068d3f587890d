"""What every method of search offers: ask for the next trial, and tell its score.

A space is a list of choices: the number of options at each position. A method is deterministic in its seed and in the
scores that were reported to it, in their order: replaying a log gives the same method again. What it draws for a trial
depends on the number of the trial, not on how often it was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Space = tuple[int, ...]
"""The number of options at each position, each at least 1."""

Choices = tuple[int, ...]
"""The index of the option that is chosen at each position of a space."""


@dataclass(frozen=True)
class Proposal:
    """What is to be tried next.

    Attributes:
        choices: an option for each position.
        parent: the number of the trial that it is a mutation of; None if it was drawn without one.
    """

    choices: Choices
    parent: int | None = None


class Method(Protocol):
    """A method of search. Trials may end in another order than they were asked for, and some never."""

    def ask(self, trial: int) -> Proposal:
        """Propose what to try as this trial; asking changes nothing."""

    def tell(self, trial: int, choices: Choices, score: float | None) -> None:
        """Report a trial.

        Args:
            score: higher is better; None for a trial that failed or was refused.
        """


def check_space(space: Sequence[int]) -> Space:
    """The space as a tuple.

    Raises:
        ValueError: it is empty, or a position has no options.
    """
    if not space or min(space) < 1:
        raise ValueError(f"a space needs at least one position, each with at least one option. Received {space}.")
    return tuple(space)


def random_of_trial(seed: int, trial: int) -> np.random.Generator:
    """The random generator of a trial, the same however often and in which process the trial is asked for."""
    return np.random.default_rng([seed, trial])


def random_choices(space: Space, random: np.random.Generator) -> Choices:
    """An option for each position, uniformly and independently."""
    return tuple(int(random.integers(options)) for options in space)
