"""How a batch is divided: into parts that are computed one after another, and among the replicas of a strategy.

A part is the unit of computation. Its dropout and its share of batch normalization's averages depend on its number
alone, and not on the replica that computes it. So any number of replicas that divides the number of parts gives the
same result up to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

Tensor = Any  # a symbolic or eager tf.Tensor

State = tuple[list[Tensor], list[Tensor]]  # of a model's layers: random generators, averages

SEED = "seed_generator_state"  # the name that Keras gives to the state of each random generator
SEED_STRIDE = 1_000_003  # between the seeds of two parts; a seed is moved by far less when it is chosen by hand


@dataclass(frozen=True)
class Division:
    """The parts of one batch, and those of one replica among them; traced int32 scalars.

    Samples are divided evenly: part ``i`` of ``k`` has samples ``i * n // k`` to ``(i + 1) * n // k - 1``. A batch with
    fewer samples than parts has a part for each sample.

    Attributes:
        num_samples: of the batch.
        num_parts: of the batch, at most ``num_samples``.
        first, last: this replica's parts are ``first`` to ``last - 1``. A replica that would have none gets the first
            part, whose samples have no weight there, because an empty batch has no gradient.
        has_own: whether this replica has parts of its own.
    """

    num_samples: Tensor
    num_parts: Tensor
    first: Tensor
    last: Tensor
    has_own: Tensor

    def start_of(self, part: Tensor) -> Tensor:
        """The first sample of a part in the batch."""
        return part * self.num_samples // self.num_parts

    @property
    def samples(self) -> slice:
        """This replica's samples."""
        return slice(self.start_of(self.first), self.start_of(self.last))

    def samples_of(self, part: Tensor) -> slice:
        """A part's samples among this replica's."""
        start = self.start_of(self.first)
        return slice(self.start_of(part) - start, self.start_of(part + 1) - start)


def divide(num_samples: Tensor, num_parts: int, num_replicas: int, replica: Tensor | int) -> Division:
    """Divides a batch into parts, and these among replicas."""
    parts = tf.minimum(num_parts, num_samples)
    first, last = replica * parts // num_replicas, (replica + 1) * parts // num_replicas
    has_own = last > first
    first = tf.where(has_own, first, 0)
    return Division(num_samples, parts, first, tf.where(has_own, last, 1), has_own)


def share_of(num_samples: int, num_parts: int, num_replicas: int, replica: int) -> slice:
    """The samples of a batch that a replica computes, as :attr:`Division.samples`."""
    parts = min(num_parts, num_samples)
    first, last = replica * parts // num_replicas, (replica + 1) * parts // num_replicas
    if last == first:
        first, last = 0, 1
    return slice(first * num_samples // parts, last * num_samples // parts)


def _updated(model: keras.Model) -> Iterator[Any]:
    """The variables that layers change themselves: not those of frozen layers."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _updated(layer)
        elif layer.trainable:
            yield from layer.non_trainable_variables


class LayerState:
    """What the layers of a model keep from step to step besides weights: averages and random generators.

    Every part of a batch starts from the state before the batch. Afterwards the averages have changed by the mean of
    their changes in the parts, and the generators have advanced as by one part.
    """

    def __init__(self, model: keras.Model) -> None:
        self._seeds = [v.value for v in model.non_trainable_variables if v.name == SEED]
        self._averages = [v.value for v in _updated(model) if v.name != SEED]

    def read(self) -> State:
        """The state before a batch."""
        return [tf.identity(v) for v in self._seeds], [tf.identity(v) for v in self._averages]

    def start_part(self, before: State, part: Tensor) -> None:
        """Sets the state of a part. The generators of the first one continue as those of a batch in one part."""
        seeds, averages = before
        for variable, value in zip(self._seeds, seeds, strict=True):
            variable.assign(value + tf.stack([tf.cast(part, value.dtype) * SEED_STRIDE, tf.zeros([], value.dtype)]))
        for variable, value in zip(self._averages, averages, strict=True):
            variable.assign(value)

    def changes(self, before: State) -> list[Tensor]:
        """How a part has changed each average."""
        return [variable - value for variable, value in zip(self._averages, before[1], strict=True)]

    def no_changes(self) -> list[Tensor]:
        return [tf.zeros_like(variable) for variable in self._averages]

    def finish(self, before: State, mean_changes: Sequence[Tensor]) -> None:
        """Sets the state after a batch."""
        seeds, averages = before
        for variable, value in zip(self._seeds, seeds, strict=True):
            variable.assign(tf.stack([value[0], variable[1]]))
        for variable, value, change in zip(self._averages, averages, mean_changes, strict=True):
            variable.assign(value + change)
