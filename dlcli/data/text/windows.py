"""Windows of a long text for language models."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import Index

Ids = NDArray[np.int32]


class TextWindows:
    """Batches of windows of one text: what stands there, and what follows each token.

    Args:
        ids: the text's tokens, int32 ``[n]``, n at least 2.
        window: tokens of a window at most.
        batch_size: windows of a batch.
        places: as :func:`one_after_another`, :func:`side_by_side` and :func:`overlapping` give them.
        seed: of drawn places; None where they are fixed.
        is_carried: whether batches begin in the state in which the last one ended, but for an epoch's first.
    """

    def __init__(
        self,
        ids: Ids,
        *,
        window: int,
        batch_size: int,
        places: "Places",
        seed: int | None = None,
        is_carried: bool = False,
    ) -> None:
        self.num_samples = len(places.starts)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self.num_tokens = len(ids)
        self._ids = tf.constant(ids)
        self._within = tf.range(window, dtype=tf.int64)
        self._places = places
        self._seed = seed
        self._is_carried = is_carried

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """What :meth:`element` takes the steps of an epoch from."""
        places = self._places if self._seed is None else self._places.drawn(self._seed, epoch)
        return {name: tf.constant(getattr(places, name)) for name in ("starts", "counted", "ends")}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: where a step's windows begin, from where on they count, and where they end, int64 ``[b]``."""
        part = {name: values[step * self.batch_size : (step + 1) * self.batch_size] for name, values in source.items()}
        if self._is_carried:
            part["is_first"] = tf.fill(tf.shape(part["starts"]), tf.equal(step, 0))
        return part

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: ``{x: int32 [b, t], y: {tags: int32 [b, t], mask: float32 [b, t]}, weight: float32 [b]}``.

        With carried states x is ``{ids: int32 [b, t], is_first: bool [b]}``. Where a window ends before the others x is
        padded with 0.
        """
        starts, ends = element["starts"][:, None], element["ends"][:, None]
        width = tf.reduce_max(element["ends"] - element["starts"])
        at = starts + self._within[: tf.maximum(width, 1)]
        is_there = at < ends
        at = tf.where(is_there, at, 0)
        x = tf.where(is_there, tf.gather(self._ids, at), 0)
        counts = tf.logical_and(is_there, at >= element["counted"][:, None])
        tags = tf.where(is_there, tf.gather(self._ids, tf.where(is_there, at + 1, 0)), 0)
        return {
            "x": {"ids": x, "is_first": element["is_first"]} if self._is_carried else x,
            "y": {"tags": tags, "mask": tf.cast(counts, tf.float32)},
            "weight": tf.ones(tf.shape(element["starts"]), tf.float32),
        }


@dataclass(frozen=True)
class Places:
    """Windows of a text, int64 ``[windows]`` each.

    Attributes:
        starts: where they begin.
        counted: from where on their tokens count.
        ends: where they end; what follows their last token stands there.
        last: the last token that can be of a window.
    """

    starts: Index
    counted: Index
    ends: Index
    last: int

    def drawn(self, seed: int, epoch: int) -> "Places":
        """The same windows, all moved forward by one draw of (seed, epoch), in an order drawn of it."""
        generator = np.random.Generator(np.random.PCG64([seed, epoch]))
        room = min(self.last + 1 - int(self.ends.max()), int((self.ends - self.starts).max()) - 1)
        shift = int(generator.integers(0, room + 1))
        order = generator.permutation(len(self.starts))
        return Places(self.starts[order] + shift, self.counted[order] + shift, self.ends[order] + shift, self.last)


def one_after_another(num_tokens: int, *, window: int) -> Places:
    """Whole windows, and room to move them by up to one window; one that is shorter where there is no more text.

    A text of n tokens has n - 1 that another one follows.
    """
    number = max(1, (num_tokens - window) // window)
    starts = np.arange(number, dtype=np.int64) * window
    return Places(starts, starts, np.minimum(starts + window, num_tokens - 1), num_tokens - 2)


def side_by_side(num_tokens: int, *, window: int, streams: int) -> Places:
    """The text in as many streams of one length, whose windows are taken in turn: those of a batch stand at the same
    place of each, and the next batch goes on behind them. The last stream may end earlier.
    """
    length = -(-(num_tokens - 1) // streams)
    steps = -(-length // window)
    first = np.arange(streams, dtype=np.int64) * length
    starts = (np.arange(steps, dtype=np.int64)[:, None] * window + first).reshape(-1)
    ends = np.minimum.reduce([starts + window, np.tile(first + length, steps), np.full(len(starts), num_tokens - 1)])
    return Places(starts, starts, np.maximum(ends, starts), num_tokens - 2)


def overlapping(num_tokens: int, *, window: int) -> Places:
    """Windows that begin half a window apart, of which the second half counts: each token has half a window before it,
    or all that stands before it.
    """
    stride = max(1, window // 2)
    number = 1 + max(0, -(-(num_tokens - 1 - window) // stride))
    starts = np.arange(number, dtype=np.int64) * stride
    ends = np.minimum(starts + window, num_tokens - 1)
    counted = np.concatenate([[0], ends[:-1]])
    return Places(starts, counted, ends, num_tokens - 2)
