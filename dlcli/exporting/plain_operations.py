"""Operations of Keras in the terms of others, for formats that lack its own."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def plain_operations() -> Iterator[None]:
    """Context in which Keras's argmax and GELU consist of operations that ONNX and LiteRT have.

    Keras's argmax looks at the bits of floats, for negative zeros; TensorFlow's GELU uses erfc, which ONNX lacks.
    """
    numpy, nn = keras.src.backend.numpy, keras.src.backend.nn
    own_argmax, own_gelu = numpy.argmax, nn.gelu

    def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        x = tf.reshape(x, [-1]) if axis is None else x
        index = tf.argmax(x, axis=0 if axis is None else axis, output_type=tf.int32)
        return tf.expand_dims(index, axis) if keepdims else index

    def gelu(x: Any, approximate: bool = True) -> Any:
        x = tf.convert_to_tensor(x)
        return own_gelu(x) if approximate else 0.5 * x * (1.0 + tf.math.erf(x / math.sqrt(2.0)))

    numpy.argmax, nn.gelu = argmax, gelu
    try:
        yield
    finally:
        numpy.argmax, nn.gelu = own_argmax, own_gelu
