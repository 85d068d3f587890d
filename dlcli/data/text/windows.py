"""Windows of a long text for language models."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import Index

Ids = NDArray[np.int32]


class TextWindows:
    """Batches of windows of one text: the tokens of each window, and the token that follows each of them.

    Args:
        ids: the text's token ids, int32 ``[n]``, n at least 2.
        window: the largest number of tokens in a window.
        batch_size: windows in a batch.
        places: from :func:`one_after_another`, :func:`side_by_side` or :func:`overlapping`.
        seed: of random places; None for the places as they are.
        is_carried: whether each batch, except an epoch's first, starts from the state in which the last one ended.
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
        """The source of :meth:`element` for an epoch."""
        places = self._places if self._seed is None else self._places.drawn(self._seed, epoch)
        return {name: tf.constant(getattr(places, name)) for name in ("starts", "counted", "ends")}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: ``starts``, ``counted`` and ``ends`` of a step's windows, int64 ``[b]`` each; see :class:`Places`."""
        part = {name: values[step * self.batch_size : (step + 1) * self.batch_size] for name, values in source.items()}
        if self._is_carried:
            part["is_first"] = tf.fill(tf.shape(part["starts"]), tf.equal(step, 0))
        return part

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: ``{x: int32 [b, t], y: {tags: int32 [b, t], mask: float32 [b, t]}, weight: float32 [b]}``.

        With carried states x is ``{ids: int32 [b, t], is_first: bool [b]}``. Shorter windows are padded with 0.
        """
        starts, ends = element["starts"][:, None], element["ends"][:, None]
        width = tf.reduce_max(element["ends"] - element["starts"])
        at = starts + self._within[: tf.maximum(width, 1)]
        is_token = at < ends
        at = tf.where(is_token, at, 0)
        x = tf.where(is_token, tf.gather(self._ids, at), 0)
        counts = tf.logical_and(is_token, at >= element["counted"][:, None])
        tags = tf.where(is_token, tf.gather(self._ids, tf.where(is_token, at + 1, 0)), 0)
        return {
            "x": {"ids": x, "is_first": element["is_first"]} if self._is_carried else x,
            "y": {"tags": tags, "mask": tf.cast(counts, tf.float32)},
            "weight": tf.ones(tf.shape(element["starts"]), tf.float32),
        }


@dataclass(frozen=True)
class Places:
    """Windows of a text, int64 ``[windows]`` each.

    Attributes:
        starts: the position of the first token.
        counted: the position of the first token that enters the loss.
        ends: the position after the last token, which is that token's target.
        last: the last position that can be in a window.
    """

    starts: Index
    counted: Index
    ends: Index
    last: int

    def drawn(self, seed: int, epoch: int) -> "Places":
        """The same windows, shifted forward by one random offset and shuffled, both drawn from (seed, epoch)."""
        generator = np.random.Generator(np.random.PCG64([seed, epoch]))
        room = min(self.last + 1 - int(self.ends.max()), int((self.ends - self.starts).max()) - 1)
        shift = int(generator.integers(0, room + 1))
        order = generator.permutation(len(self.starts))
        return Places(self.starts[order] + shift, self.counted[order] + shift, self.ends[order] + shift, self.last)


def one_after_another(num_tokens: int, *, window: int) -> Places:
    """Consecutive full windows, with room to shift them by up to one window; one shorter window if the text is short.

    A text of n tokens has n - 1 with a next token.
    """
    number = max(1, (num_tokens - window) // window)
    starts = np.arange(number, dtype=np.int64) * window
    return Places(starts, starts, np.minimum(starts + window, num_tokens - 1), num_tokens - 2)


def side_by_side(num_tokens: int, *, window: int, streams: int) -> Places:
    """The text in ``streams`` parts of equal length: a batch has the window at the same position of each part, and the
    next batch continues after it. The last part may be shorter.
    """
    length = -(-(num_tokens - 1) // streams)
    steps = -(-length // window)
    first = np.arange(streams, dtype=np.int64) * length
    starts = (np.arange(steps, dtype=np.int64)[:, None] * window + first).reshape(-1)
    ends = np.minimum.reduce([starts + window, np.tile(first + length, steps), np.full(len(starts), num_tokens - 1)])
    return Places(starts, starts, np.maximum(ends, starts), num_tokens - 2)


def overlapping(num_tokens: int, *, window: int) -> Places:
    """Windows that start half a window apart, and of which the second half counts: each token has half a window of
    context, or all the text before it.
    """
    stride = max(1, window // 2)
    number = 1 + max(0, -(-(num_tokens - 1 - window) // stride))
    starts = np.arange(number, dtype=np.int64) * stride
    ends = np.minimum(starts + window, num_tokens - 1)
    counted = np.concatenate([[0], ends[:-1]])
    return Places(starts, counted, ends, num_tokens - 2)
