"""Random search: the baseline of every other method."""

from collections.abc import Sequence

from dlcli.search.method import Choices, Proposal, check_space, random_choices, random_of_trial


class RandomSearch:
    """Each trial is drawn uniformly and independently, with replacement."""

    def __init__(self, space: Sequence[int], *, seed: int) -> None:
        self._space = check_space(space)
        self._seed = seed

    def ask(self, trial: int) -> Proposal:
        return Proposal(random_choices(self._space, random_of_trial(self._seed, trial)))

    def tell(self, trial: int, choices: Choices, score: float | None) -> None:
        """Nothing is learned."""
