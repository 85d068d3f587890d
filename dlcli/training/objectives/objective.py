"""Losses and metrics of training: weighted means of a value per sample (or per step of a sequence)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

Tensor = Any  # a symbolic or eager tf.Tensor
Batch = Mapping[str, Any]  # {x, y: {…}, weight: float32 [b], index: int64 [b]}


@dataclass(frozen=True)
class Objective:
    """A loss and metrics, and the weights of their means.

    The loss of a batch is ``sum(weight * loss) / sum(weight)``, with both sums over the whole batch: over all its parts
    under gradient accumulation, and over all devices under a strategy.

    Attributes:
        loss: (model outputs, batch) -> float32 ``[b]`` (or ``[b, t]``), unweighted.
        metrics: name -> (model outputs, batch) -> float32 of the same shape, unweighted.
        weight: batch -> the weights of loss and metrics, of the loss's shape. Default: ``batch["weight"]``, ``[b]``.
        metric_weights: name -> batch -> weights, for metrics that have weights of their own.
        loss_weight: batch -> the weights of the training loss, if it has weights of its own, such as class weights.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Batch], Tensor]]
    weight: Callable[[Batch], Tensor] = field(default=lambda batch: batch["weight"])
    metric_weights: Mapping[str, Callable[[Batch], Tensor]] = field(default_factory=dict)
    loss_weight: Callable[[Batch], Tensor] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values that an epoch reports, in order."""
        return ("loss", *self.metrics)

    def training_weight(self, batch: Batch) -> Tensor:
        """The weights of the training loss."""
        return self.weight(batch) if self.loss_weight is None else self.loss_weight(batch)

    def metric_sums(self, outputs: Tensor, batch: Batch) -> list[Tensor]:
        """For each metric in order, the sum of weight * value over the batch and the sum of the weights."""
        sums = []
        for name, metric in self.metrics.items():
            weight = self.metric_weights.get(name, self.weight)(batch)
            sums += [tf.reduce_sum(weight * metric(outputs, batch)), tf.reduce_sum(weight)]
        return sums
