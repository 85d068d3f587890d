"""Argmax for formats that lack the operations of Keras's."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def plain_argmax() -> Iterator[None]:
    """Context in which Keras takes TensorFlow's argmax; its own looks at the bits of floats, for negative zeros, for
    which ONNX and LiteRT have no operation."""
    numpy = keras.src.backend.numpy
    saved = numpy.argmax

    def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        x = tf.reshape(x, [-1]) if axis is None else x
        index = tf.argmax(x, axis=0 if axis is None else axis, output_type=tf.int32)
        return tf.expand_dims(index, axis) if keepdims else index

    numpy.argmax = argmax
    try:
        yield
    finally:
        numpy.argmax = saved
