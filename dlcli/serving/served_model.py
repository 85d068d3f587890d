"""A model that is served: its name, its predictor, what the page shows of it, and the form of its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.tasks.predictor import Predictor


@dataclass(frozen=True)
class ServedModel:
    """A run's model.

    Attributes:
        name: in the address, unique on the server.
        predictor: reads samples and predicts them.
        card: plain values that the page shows: task, data, metrics.
        example: the predictions of one sample, from which the names and types of outputs are known; empty if the
            sample could not be predicted.
        seconds: that a batch of each size takes, as measured before the first request, for sizes that the network is
            compiled for; empty if that was not possible.
    """

    name: str
    predictor: Predictor
    card: Mapping[str, Any] = field(default_factory=dict)
    example: Sequence[Mapping[str, Any]] = ()
    seconds: Mapping[int, float] = field(default_factory=dict)

    def best_batch(self, number: int) -> int:
        """How many of so many samples to predict at once, to predict the most per second.

        A batch is padded to the next size that the network is compiled for; where that would cost more than it gains,
        fewer samples are taken.
        """
        sizes = sorted(self.seconds)
        if not sizes or number <= sizes[0] or number in self.seconds:
            return number
        if number > sizes[-1]:
            return sizes[-1]
        below = max(size for size in sizes if size < number)
        above = min(size for size in sizes if size > number)
        return number if self.seconds[above] / number <= self.seconds[below] / below else below

    def public(self, message: object) -> str:
        """A message about a sample without the paths of this machine."""
        path = self.predictor.run.path
        text = str(message)
        for place in (path.resolve(), path.absolute(), path):
            text = text.replace(str(place), self.name)
        return text
