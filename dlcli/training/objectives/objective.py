"""What training lowers, and what it reports: weighted means of one value for each sample (or step of a sequence)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

Tensor = Any  # a symbolic or eager tf.Tensor
Batch = Mapping[str, Any]  # {x, y: {…}, weight: float32 [b], index: int64 [b]}


@dataclass(frozen=True)
class Objective:
    """A loss, the weights of its mean, and metrics of the same samples.

    The result of a batch is ``sum(weight * loss) / sum(weight)``, with both sums taken over the whole batch: over all
    its parts under gradient accumulation, over all devices under a strategy.

    Attributes:
        loss: (model outputs, batch) -> float32 ``[b]`` (or ``[b, t]``), not yet weighted.
        metrics: by name, (model outputs, batch) -> float32 of the same shape.
        weight: batch -> the weights of loss and metrics, of the loss's shape. Default: the batch's own, ``[b]``.
        metric_weights: of those metrics that have other weights, by name.
        loss_weight: batch -> the weights of the loss in training, where they are others.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Batch], Tensor]]
    weight: Callable[[Batch], Tensor] = field(default=lambda batch: batch["weight"])
    metric_weights: Mapping[str, Callable[[Batch], Tensor]] = field(default_factory=dict)
    loss_weight: Callable[[Batch], Tensor] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What an epoch reports, in order."""
        return ("loss", *self.metrics)

    def training_weight(self, batch: Batch) -> Tensor:
        """The weights of the loss in training."""
        return self.weight(batch) if self.loss_weight is None else self.loss_weight(batch)

    def metric_sums(self, outputs: Tensor, batch: Batch) -> list[Tensor]:
        """For each metric in turn the sum of weight * value over the batch, and the sum of the weights."""
        sums = []
        for name, metric in self.metrics.items():
            weight = self.metric_weights.get(name, self.weight)(batch)
            sums += [tf.reduce_sum(weight * metric(outputs, batch)), tf.reduce_sum(weight)]
        return sums
