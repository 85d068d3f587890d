"""A model that is served: its name, its predictor, what the page shows of it, and the form of its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.tasks.predictor import Predictor

MAX_MESSAGE = 2_000  # characters of a message about a sample, which may quote much of it
NEARLY = 1.05
"""Times that differ by less are equal: the larger batch is predicted."""


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

        A batch is padded to the next size that the network is compiled for. Where that, or a large batch that does not
        fit into the processor's caches, costs more than it gains, fewer samples are taken.
        """
        per_sample = {size: seconds / size for size, seconds in self.seconds.items() if size <= number}
        padded = min((size for size in self.seconds if size >= number), default=None)
        if padded is not None:
            per_sample[number] = self.seconds[padded] / number
        least = min(per_sample.values(), default=0.0)
        return max((size for size, seconds in per_sample.items() if seconds <= NEARLY * least), default=number)

    def public(self, message: object) -> str:
        """A message about a sample without the paths of this machine, and without its end if that is long."""
        path = self.predictor.run.path
        text = str(message)
        for place in (path.resolve(), path.absolute(), path):
            text = text.replace(str(place), self.name)
        return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} …"
