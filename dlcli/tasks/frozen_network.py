"""A network whose weights are constants, so that TensorFlow computes with them ahead: batch normalization becomes part
of the convolution before it."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

MAX_BYTES = 2**28  # of weights: constants are a second copy of them


def is_freezable(network: keras.Model) -> bool:
    """Whether a network has weights of a size that memory is sure to suffice for twice, and one device."""
    num_bytes = sum(weight.value.shape.num_elements() * weight.value.dtype.size for weight in network.weights)
    is_single: bool = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return is_single and bool(num_bytes <= MAX_BYTES)


def frozen(network: keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """The network's outputs, flattened, for batches of any size, in inference mode.

    They differ from those of the network by the rounding of float32. Weights that change afterwards have no effect.
    """
    x = network.inputs[0]
    function = tf.function(lambda x: tf.nest.flatten(network(x, training=False)), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]], x.dtype))
    constant: Callable[[tf.Tensor], Any] = convert_variables_to_constants_v2(concrete)
    return lambda x: tf.nest.flatten(constant(x))
