"""Windows over long sequences: each is encoded by itself, and their vectors are pooled."""

from typing import Any, Literal

import keras

from dlcli.models.sequences.pooling import lengths, pooled

Tensor = Any  # a symbolic keras.KerasTensor


def windows(x: Tensor, mask: Tensor, *, length: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """The windows of sequences, which start every ``stride`` steps.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end, and at least for the first step.
        length: steps of a window.
        stride: steps from the start of a window to that of the next, at most ``length``.

    Returns:
        The steps of all windows as a batch of their own ``[windows, length, features]``, shorter if all sequences are;
        their mask; and the position of each sequence's windows in that batch, int32 ``[batch, most]``. A window of
        nothing but padding has a true first step, so that it can be encoded; :func:`pooled_windows` leaves it out.
    """
    ops = keras.ops
    position = ops.cumsum(ops.cast(ops.ones_like(mask), "int32"), axis=1) - 1
    starts = position[:, ::stride]  # [batch, most]
    width = position[:, -1:] + 1
    first = ops.cumsum(width, axis=0) - width  # of each sequence among the steps of all
    origin, rest, room = (
        ops.reshape(of_window, (-1, 1)) for of_window in (first + starts, lengths(mask) - starts, width - 1 - starts)
    )
    offset = position[:1, :length]  # a batch of short sequences has short windows
    steps = ops.take(ops.reshape(x, (-1, x.shape[-1])), origin + ops.minimum(offset, room), axis=0)
    is_step = ops.logical_or(ops.less(offset, rest), ops.equal(offset, 0))
    one = ops.ones_like(starts)
    number = ops.sum(one, axis=1, keepdims=True)
    return steps, is_step, ops.cumsum(number, axis=0) - number + ops.cumsum(one, axis=1) - 1


def pooled_windows(
    vectors: Tensor, index: Tensor, mask: Tensor, *, length: int, stride: int, pool: Literal["mean", "max"]
) -> Tensor:
    """The mean or the maximum of the vectors of each sequence's windows: ``[batch, units]``.

    Windows that hold no step that the one before lacks do not count. A mean of vectors gives the mean of the windows'
    logits, which are linear in them.

    Args:
        vectors: of all windows, ``[windows, units]``.
        index: of :func:`windows`.
        mask: of the sequences, ``[batch, steps]``.
        length, stride: as for :func:`windows`.
        pool: the mean or the maximum.
    """
    ops = keras.ops
    of_sequences = ops.take(vectors, index, axis=0)  # [batch, most, units]
    starts = (ops.cumsum(ops.ones_like(index), axis=1) - 1) * stride
    has_new = ops.logical_or(ops.equal(starts, 0), ops.less(starts - stride + length, lengths(mask)))
    return pooled(of_sequences, has_new, pooling=pool)
