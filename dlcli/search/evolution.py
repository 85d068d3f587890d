"""Evolution by tournament selection, with aging (Real et al. 2019, "Regularized evolution") or without.

The population starts with random individuals. Then, in each cycle, a sample of it is drawn with replacement, the best
of the sample is the parent of a mutated child, and the child joins the population in place of the oldest individual
(aging) or of the worst (without).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.search.method import Choices, Proposal, Space, check_space, random_choices, random_of_trial


@dataclass(frozen=True)
class Individual:
    """A member of the population: its trial, what was chosen, and the score."""

    trial: int
    choices: Choices
    score: float


class Evolution:
    """Evolution of a population by mutation.

    Args:
        space: the number of options at each position.
        population: number of individuals that are kept.
        sample: number of individuals from which a parent is chosen.
        aging: whether the oldest individual is removed, so that each one survives only through its children; otherwise
            the worst one.
        seed: of everything that is drawn.
    """

    def __init__(self, space: Sequence[int], *, population: int, sample: int, aging: bool = True, seed: int) -> None:
        if not 1 <= sample <= population:
            raise ValueError(f"sample must be from 1 to population, {population}. Received {sample}.")
        self._space = check_space(space)
        self._size = population
        self._sample = sample
        self._aging = aging
        self._seed = seed
        self.population: list[Individual] = []  # the oldest first

    def ask(self, trial: int) -> Proposal:
        """A random individual until the population is complete, then a child."""
        random = random_of_trial(self._seed, trial)
        if len(self.population) < self._size:
            return Proposal(random_choices(self._space, random))
        drawn = random.integers(len(self.population), size=self._sample)
        parent = max((self.population[index] for index in drawn), key=lambda one: one.score)
        return Proposal(mutated(parent.choices, self._space, random), parent.trial)

    def tell(self, trial: int, choices: Choices, score: float | None) -> None:
        """Add a trial to the population, and remove an individual if it has become too large.

        A trial without a score does not join, and removes nobody.
        """
        if score is None:
            return
        self.population.append(Individual(trial, choices, score))
        if len(self.population) > self._size:
            oldest = self.population[0]
            self.population.remove(oldest if self._aging else min(self.population, key=lambda one: one.score))


def mutated(choices: Choices, space: Space, random: np.random.Generator) -> Choices:
    """The choices with another option at one position, both drawn uniformly.

    For cells this is the mutation of Real et al. 2019: with equal probability the input or the operation of one of the
    pairs in one of the two cells. Positions with a single option are never drawn; without any other, nothing changes.
    """
    positions = [position for position, options in enumerate(space) if options > 1]
    if not positions:
        return choices
    position = positions[int(random.integers(len(positions)))]
    option = int(random.integers(space[position] - 1))
    option += option >= choices[position]  # any but the present one
    return (*choices[:position], option, *choices[position + 1 :])
