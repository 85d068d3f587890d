"""Batches of pairs of texts, with teacher forcing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.sequences.batches import drawn_order, padded
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import Index

SALT = 7919  # makes the tokens drawn for teacher forcing independent of the order of the samples


class PairBatches:
    """Batches of pairs as a function of (seed, epoch, position) alone; pairs of similar length are batched together.

    Args:
        given: token ids of the source texts, int32.
        wanted: token ids of the target texts, each followed by the end's id, 0.
        begin: id that precedes each target text in the decoder's input.
        batch_size: samples in a batch.
        seed: of the order; None for the order of the split.
        forcing: the probability, in an epoch, that the decoder receives the true previous token; None for always.
    """

    def __init__(
        self,
        *,
        given: Ragged,
        wanted: Ragged,
        begin: int,
        batch_size: int,
        seed: int | None = None,
        forcing: Callable[[int], float] | None = None,
    ) -> None:
        self.num_samples = len(given)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self.lengths = given.lengths
        self.answer_lengths = wanted.lengths
        self.steps, self.answers = given.flat, wanted.flat
        self._seed, self._forcing, self._begin = seed, forcing, begin
        self._given = {"flat": tf.constant(given.flat), "starts": tf.constant(given.starts)}
        self._wanted = {"flat": tf.constant(wanted.flat), "starts": tf.constant(wanted.starts)}
        self._given["lengths"], self._wanted["lengths"] = tf.constant(given.lengths), tf.constant(wanted.lengths)

    @property
    def longest(self) -> int:
        """Tokens of the longest source or target, including the end."""
        return max(int(self.lengths.max()), int(self.answer_lengths.max()))

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def order(self, epoch: int) -> Index:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        lengths = self.lengths + self.answer_lengths
        return drawn_order(lengths, self.batch_size, seed=self._seed, epoch=epoch, buckets=True)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """The source of :meth:`element` for an epoch."""
        source = {"order": tf.constant(self.order(epoch)), "epoch": tf.constant(epoch, tf.int64)}
        if self._forcing is not None:
            source["forcing"] = tf.constant(self._forcing(epoch), tf.float32)
        return source

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: ``index`` int64 ``[b]``, and ``forced`` float32 ``[b, longest target]``: 1 where the decoder receives
        the true previous token."""
        index = source["order"][step * self.batch_size : (step + 1) * self.batch_size]
        shape = [tf.shape(index)[0], int(self.answer_lengths.max())]
        if self._forcing is None:
            return {"index": index, "forced": tf.ones(shape, tf.float32)}
        seeds = tf.stack([tf.constant((self._seed or 0) * SALT, tf.int64), source["epoch"] * 2**32 + step])
        drawn = tf.random.stateless_uniform(shape, seeds)
        return {"index": index, "forced": tf.cast(drawn < source["forcing"], tf.float32)}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: the batch of an element's samples.

        Returns ``{x: {given: int32 [b, s], before: int32 [b, t], forced: float32 [b, t]}, y: {tags: int32 [b, t], mask:
        float32 [b, t]}, weight: float32 [b], index: int64 [b]}``.
        """
        index = element["index"]
        given, _ = _rows(self._given, index)
        wanted, is_token = _rows(self._wanted, index)
        begin = tf.fill([tf.shape(index)[0], 1], self._begin)
        return {
            "x": {
                "given": given,
                "before": tf.concat([begin, wanted[:, :-1]], axis=1),
                "forced": element["forced"][:, : tf.shape(wanted)[1]],
            },
            "y": {"tags": wanted, "mask": tf.cast(is_token, tf.float32)},
            "weight": tf.ones(tf.shape(index), tf.float32),
            "index": index,
        }


def _rows(sequences: dict[str, Any], index: Any) -> tuple[Any, Any]:
    """Some sequences ``[b, steps]``, padded with 0, and where they have tokens, bool ``[b, steps]``."""
    starts, lengths = tf.gather(sequences["starts"], index), tf.gather(sequences["lengths"], index)
    positions = tf.range(tf.reduce_max(lengths))
    is_token = positions < lengths[:, None]
    return padded(sequences["flat"], tf.where(is_token, starts[:, None] + positions, 0), is_token, 0), is_token
