"""Batches of sequences, padded to the longest of each batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.sampling import draw_balanced
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import Index, Labels

OWN_OUTPUT = -1  # in place of the tag of the step before, for a network that is fed its own output


class SequenceBatches:
    """The batches of one split, as a function of (seed, epoch, position) alone; all in memory.

    Each batch is as long as its longest sequence. With a seed, samples of similar length are batched together: an
    epoch's permutation, drawn from (seed, epoch), is sorted by length within pools of many batches, and the batches are
    then shuffled.

    Args:
        inputs: int32 token ids, padded with 0, or float32 ``[features]`` for each step, padded with NaN.
        targets: by name, what is to be predicted: ``class`` int32 or ``value`` float32 ``[n]``, or for each step
            ``tags``.
        batch_size: samples in a batch; the last one may have fewer.
        seed: of the order; None for the order of the split.
        buckets: sort by length as described; otherwise batches follow the permutation.
        balanced_by: the class of each sample ``[n]``, if each epoch draws samples with replacement so that classes are
            equally frequent; needs a seed.
        is_forced: for networks that also take the tag of the step before: True for the true one (teacher forcing),
            False for `OWN_OUTPUT`; None for other networks.
    """

    def __init__(
        self,
        *,
        inputs: Ragged,
        targets: Mapping[str, NDArray[Any] | Ragged],
        batch_size: int,
        seed: int | None = None,
        buckets: bool = True,
        balanced_by: Labels | None = None,
        is_forced: bool | None = None,
    ) -> None:
        self.num_samples = len(inputs)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self._seed = seed
        self._buckets = buckets
        self._balanced_by = balanced_by
        self._is_forced = is_forced
        self.lengths = inputs.lengths
        self.steps = inputs.flat
        self._flat = tf.constant(inputs.flat)
        self._starts = tf.constant(inputs.starts)
        self._lengths = tf.constant(inputs.lengths)
        self._targets = {
            name: tf.constant(values.flat if isinstance(values, Ragged) else values) for name, values in targets.items()
        }
        self._by_step = frozenset(name for name, values in targets.items() if isinstance(values, Ragged))
        self._padding = 0 if inputs.flat.dtype.kind == "i" else float("nan")

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def order(self, epoch: int) -> Index:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        if self._balanced_by is not None:
            drawn = draw_balanced(self._balanced_by, seed=self._seed, epoch=epoch)
            lengths = self.lengths[drawn]
            return drawn[drawn_order(lengths, self.batch_size, seed=self._seed, epoch=epoch, buckets=self._buckets)]
        return drawn_order(self.lengths, self.batch_size, seed=self._seed, epoch=epoch, buckets=self._buckets)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """The source of :meth:`element` for an epoch."""
        return {"order": tf.constant(self.order(epoch))}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the indices of a step's samples, int64 ``[b]``."""
        return {"index": source["order"][step * self.batch_size : (step + 1) * self.batch_size]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: the batch of an element's samples.

        Returns ``{x: [b, steps(, features)], y: {class: int32 [b]}, {value: float32 [b]} or {tags: int32 [b, steps],
        mask: float32 [b, steps]}, weight: float32 [b], index: int64 [b]}``; with ``is_forced``, ``x`` is ``{words: [b,
        steps], before: int32 [b, steps]}``.
        """
        index = element["index"]
        starts, lengths = tf.gather(self._starts, index), tf.gather(self._lengths, index)
        positions = tf.range(tf.reduce_max(lengths))
        is_step = positions < lengths[:, None]
        at = tf.where(is_step, starts[:, None] + positions, 0)
        x = padded(self._flat, at, is_step, self._padding)
        y = {}
        for name, values in self._targets.items():
            y[name] = padded(values, at, is_step, 0) if name in self._by_step else tf.gather(values, index)
        if self._by_step:
            y["mask"] = tf.cast(is_step, tf.float32)
        if self._is_forced is not None:
            before = tf.fill(tf.shape(is_step), OWN_OUTPUT)
            if self._is_forced:
                before = tf.concat([before[:, :1], y["tags"][:, :-1]], axis=1)
            x = {"words": x, "before": before}
        return {"x": x, "y": y, "weight": tf.ones(tf.shape(index), tf.float32), "index": index}


POOL = 64  # batches whose samples are sorted by length together


def drawn_order(lengths: Index, batch_size: int, *, seed: int, epoch: int, buckets: bool) -> Index:
    """A permutation drawn from (seed, epoch), int64 ``[n]``; with buckets, samples of similar length are batched."""
    generator = np.random.Generator(np.random.PCG64([seed, epoch]))
    order: Index = generator.permutation(len(lengths)).astype(np.int64)
    if not buckets:
        return order
    whole = len(lengths) // batch_size * batch_size  # the rest stays the last, smaller batch
    pools = [order[start : min(start + POOL * batch_size, whole)] for start in range(0, whole, POOL * batch_size)]
    pools = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    batches = np.concatenate([*pools, order[:0]]).reshape(-1, batch_size)
    return np.concatenate([batches[generator.permutation(len(batches))].ravel(), order[whole:]])


def padded(flat: Any, at: Any, is_step: Any, padding: float) -> Any:
    """Traced: the steps of a flat array at some positions ``[b, steps, ...]``, with padding elsewhere.

    Args:
        at: positions in ``flat``, ``[b, steps]``.
        is_step: bool ``[b, steps]``, False for padding.
    """
    steps = tf.gather(flat, at)
    for _ in range(flat.shape.rank - 1):
        is_step = is_step[..., None]
    return tf.where(is_step, steps, tf.cast(padding, steps.dtype))


def by_length(lengths: NDArray[np.int64], batch_size: int) -> list[Index]:
    """Positions of samples in batches of similar length, for purposes that need no order."""
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
