"""The processes that train together, as the training loop sees them."""

from typing import Any, Protocol


class Team(Protocol):
    """One or several processes that take the same steps at the same time, each with its share of every batch.

    One of them is the chief, which alone writes. All call :meth:`exchange` at the same places, so that they decide
    alike how many steps the next call has, when a checkpoint is due, and whether to stop: two clocks would decide
    differently, and then the processes would wait for each other for good.
    """

    @property
    def is_chief(self) -> bool:
        """Whether this process writes metrics and checkpoints."""

    def exchange(self, value: Any) -> list[Any]:
        """The values of all processes, the chief's first; each is anything that JSON can express."""


class Alone:
    """A single process."""

    is_chief = True

    def exchange(self, value: Any) -> list[Any]:
        return [value]
