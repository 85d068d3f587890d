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
    under gradient accumulation, and over all devices under a strategy. Class weights belong to the training loss, not
    to ``weight``, so that they mean the same at every batch size, as in Keras.

    Attributes:
        loss: (model outputs, batch) -> float32 ``[b]`` (or ``[b, t]``), unweighted.
        metrics: name -> (model outputs, batch) -> float32 of the same shape, unweighted.
        weight: batch -> the weights of loss and metrics, of the loss's shape. Default: ``batch["weight"]``, ``[b]``.
        metric_weights: name -> batch -> weights, for metrics that have weights of their own.
        training_loss: the loss that training minimizes, if it differs from ``loss``, for example by class weights.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Batch], Tensor]]
    weight: Callable[[Batch], Tensor] = field(default=lambda batch: batch["weight"])
    metric_weights: Mapping[str, Callable[[Batch], Tensor]] = field(default_factory=dict)
    training_loss: Callable[[Tensor, Batch], Tensor] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values that an epoch reports, in order."""
        return ("loss", *self.metrics)

    def minimized(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The values of the loss that training minimizes."""
        return (self.training_loss or self.loss)(outputs, batch)

    def metric_sums(self, outputs: Tensor, batch: Batch) -> list[Tensor]:
        """For each metric in order, the sum of weight * value over the batch and the sum of the weights."""
        sums = []
        for name, metric in self.metrics.items():
            weight = self.metric_weights.get(name, self.weight)(batch)
            sums += [tf.reduce_sum(weight * metric(outputs, batch)), tf.reduce_sum(weight)]
        return sums
