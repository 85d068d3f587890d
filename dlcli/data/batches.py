"""Batches of one split for training and evaluation, as a function of (seed, epoch, position) alone.

An epoch's data is a *source*: for samples in memory the order of their indices, for files an iterator that decodes
batches beside the training step. Two functions are traced into the step: :meth:`Batches.element` takes the element of
a step from the source, and :meth:`Batches.assemble` completes it to a batch, gathering what is in memory. So samples
in memory never pass through a pipeline, which would cost more than the step of a small network.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.errors import InputError

PREFETCH = 2  # batches decoded ahead of the step: memory is bounded by them, whatever the size of the data set

Load = Callable[[np.ndarray], np.ndarray]  # index int64 [b] -> pixels [b, ...]


class Batches:
    """The batches of one split.

    The last, smaller batch is kept. With a ``seed``, the order of epoch e is a permutation drawn from (seed, e): the
    data of any epoch can be built again from any step on, which is what exact resume rests on.

    Args:
        labels: int32 ``[n]``.
        pixels: the samples in memory, ``[n, ...]``, uint8 or float32; None where ``load`` gives them.
        load: loads a batch of samples by their index; used where ``pixels`` is None.
        shape: of one sample.
        batch_size: samples of a batch.
        seed: of the order; None for the order of the split.
    """

    def __init__(
        self,
        *,
        labels: np.ndarray,
        pixels: np.ndarray | None,
        load: Load,
        shape: tuple[int, ...],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.num_samples = len(labels)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self._seed = seed
        self._shape = shape
        self._load = load
        self.failure: InputError | None = None  # why a sample could not be loaded, where one could not
        self._labels = tf.constant(labels, tf.int32)
        self._pixels = None if pixels is None else tf.constant(pixels)

    def order(self, epoch: int) -> np.ndarray:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        return generator.permutation(self.num_samples).astype(np.int64)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """What :meth:`element` takes the steps of an epoch from, ``first_step`` and those after it, in order."""
        order = self.order(epoch)
        if self._pixels is not None:
            return tf.constant(order)
        batches = tf.data.Dataset.from_tensor_slices(order[first_step * self.batch_size :]).batch(self.batch_size)
        decode = tf.autograph.experimental.do_not_convert(self._decode)
        return iter(batches.map(decode, num_parallel_calls=1).prefetch(PREFETCH))

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the element of a step of the epoch: ``index``, int64 ``[b]``, and for files ``pixels``."""
        if self._pixels is None:
            return dict(source.get_next())
        return {"index": source[step * self.batch_size : (step + 1) * self.batch_size]}

    def _decode(self, index: Any) -> dict[str, Any]:
        # one call a batch: the pictures of a batch are decoded in parallel inside
        pixels = tf.numpy_function(self._load_or_note, [index], tf.uint8, stateful=False)
        pixels.set_shape([None, *self._shape])
        return {"index": index, "pixels": pixels}

    def _load_or_note(self, index: np.ndarray) -> np.ndarray:
        try:
            return self._load(index)
        except InputError as failure:  # TensorFlow passes on the text of an error, in a traceback
            self.failure = failure
            raise

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: completes an element, or a part of one, to a batch.

        Returns ``{x: float32 [b, ...], y: {class: int32 [b]}, weight: float32 [b], index: int64 [b]}``.
        """
        index = element["index"]
        pixels = element["pixels"] if self._pixels is None else tf.gather(self._pixels, index)
        return {
            "x": tf.cast(pixels, tf.float32),
            "y": {"class": tf.gather(self._labels, index)},
            "weight": tf.ones(tf.shape(index), tf.float32),
            "index": index,
        }
