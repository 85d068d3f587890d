"""Losses and metrics of training: weighted means of a value per sample (or per step of a sequence, or per pixel), and
what is computed from sums over samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Tensor = Any  # a symbolic or eager tf.Tensor
Batch = Mapping[str, Any]  # {x, y: {…}, weight: float32 [b], index: int64 [b]}, of images also draws: int64 [b, 2]
Targets = Mapping[str, Any]  # tensors with a row for each sample


@dataclass(frozen=True)
class BatchLoss:
    """A loss of sums over a whole batch that is not a mean over its samples, such as the Dice loss of a batch.

    Of a split that is evaluated, the sums are over the whole split, so that its loss does not depend on the batch size.

    Attributes:
        num_sums: number of the sums.
        sums: traced: (model outputs, batch) -> float32 ``[num_sums]``: sums over the samples of a batch, or of a part
            of one. Samples with weight 0 add nothing.
        value: traced: the sums over all samples -> the loss, float32 ``[]``; 0 where all sums are 0.
    """

    num_sums: int
    sums: Callable[[Tensor, Batch], Tensor]
    value: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tally:
    """Metrics computed from sums over all samples of an epoch, such as the mean IoU of a confusion matrix.

    Attributes:
        names: of the metrics.
        num_sums: number of the sums.
        sums: traced: (model outputs, batch) -> float32 ``[num_sums]``: sums over the samples of a batch, or of a part
            of one. Counts are exact up to 2^24 in a batch; over batches they are added up in float64.
        values: float64 ``[num_sums]``, the sums over an epoch -> a value for each name.
    """

    names: tuple[str, ...]
    num_sums: int
    sums: Callable[[Tensor, Batch], Tensor]
    values: Callable[[npt.NDArray[np.float64]], Sequence[float]]


@dataclass(frozen=True)
class Objective:
    """A loss and metrics, and the weights of their means.

    The loss of a batch is ``sum(weight * loss) / sum(weight)`` plus the ``batch_loss``, with all sums over the whole
    batch: over all its parts under gradient accumulation, and over all devices under a strategy. Class weights belong
    to the training loss, not to ``weight``, so that they mean the same at every batch size, as in Keras.

    Attributes:
        loss: (model outputs, batch) -> float32 ``[b]`` (or ``[b, t]``, or ``[b, h, w]``), unweighted.
        metrics: name -> (model outputs, batch) -> float32 of the same shape, unweighted.
        weight: batch -> the weights of loss and metrics, of the loss's shape. Default: ``batch["weight"]``, ``[b]``.
        metric_weights: name -> batch -> weights, for metrics that have weights of their own.
        training_loss: the loss that training minimizes, if it differs from ``loss``, for example by class weights.
        batch_loss: a loss of sums over the whole batch, which is added; None for none.
        tally: metrics of sums over an epoch; None for none.
        further_inputs: batch -> what the model takes besides the samples, such as the ground truth from which the
            second stage of a detector is sampled; None for a model that takes the samples alone.
        targets: batch -> what the loss, the metrics and their weights find under the batch's ``targets``, such as which
            object each anchor of a detector is to predict; None for none.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Batch], Tensor]]
    weight: Callable[[Batch], Tensor] = field(default=lambda batch: batch["weight"])
    metric_weights: Mapping[str, Callable[[Batch], Tensor]] = field(default_factory=dict)
    training_loss: Callable[[Tensor, Batch], Tensor] | None = None
    batch_loss: BatchLoss | None = None
    tally: Tally | None = None
    further_inputs: Callable[[Batch], Sequence[Tensor]] | None = None
    targets: Callable[[Batch], Targets] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values that an epoch reports, in order."""
        return ("loss", *self.metrics, *(self.tally.names if self.tally is not None else ()))

    @property
    def num_sums(self) -> int:
        """The number of sums from which :meth:`results` computes an epoch's values."""
        return 2 * (1 + len(self.metrics)) + (self.tally.num_sums if self.tally is not None else 0)

    def results(self, sums: npt.NDArray[np.float64]) -> dict[str, float]:
        """The values of an epoch by name.

        Args:
            sums: over the epoch, float64 ``[num_sums]``: of weight * loss, of the weights, and :meth:`metric_sums`. A
                mean without weight is 0.
        """
        num_pairs = 1 + len(self.metrics)
        pairs = sums[: 2 * num_pairs].reshape(num_pairs, 2).tolist()
        values = [total / weight if weight else 0.0 for total, weight in pairs]
        if self.tally is not None:
            values += [float(value) for value in self.tally.values(sums[2 * num_pairs :])]
        return dict(zip(self.names, values, strict=True))

    def prepared(self, batch: Batch) -> Batch:
        """Traced: the batch with its ``targets``, which all other functions take. They are computed once, before the
        batch is divided into parts."""
        return batch if self.targets is None else {**batch, "targets": self.targets(batch)}

    def inputs(self, x: Tensor, batch: Batch) -> Any:
        """Traced: what the model is called with.

        Args:
            x: the samples, or the outputs of a frozen front for them.
        """
        return x if self.further_inputs is None else [x, *self.further_inputs(batch)]

    def minimized(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The values of the loss that training minimizes."""
        return (self.training_loss or self.loss)(outputs, batch)

    def metric_sums(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Traced, float32 ``[num_sums - 2]``: for each metric in order, the sum of weight * value over the batch and
        the sum of the weights; then the sums of the tally."""
        sums = []
        for name, metric in self.metrics.items():
            weight = self.metric_weights.get(name, self.weight)(batch)
            sums += [tf.reduce_sum(weight * metric(outputs, batch)), tf.reduce_sum(weight)]
        parts = [tf.stack(sums) if sums else tf.zeros([0])]
        if self.tally is not None:
            parts.append(self.tally.sums(outputs, batch))
        return tf.concat(parts, axis=0)
