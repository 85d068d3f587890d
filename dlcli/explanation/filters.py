"""The filters of the first convolution as images."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.method import batches, num_at_once
from dlcli.explanation.network import Call, Network, Substitute, own_function, with_activation
from dlcli.explanation.rectifiers import is_relu

KERNEL_RANK = 4


def first_convolution(network: Network) -> Call | None:
    """The first call of a convolution, if it takes maps of as many channels as the image has."""
    for call in network.calls:
        if len(getattr(getattr(call.operation, "kernel", None), "shape", ())) == KERNEL_RANK:
            return call if call.inputs[0].shape[-1] == network.shape[2] else None
    return None


def filters_of_pixels(network: Network, call: Call) -> NDArray[np.float32]:
    """What each filter of the first convolution multiplies the pixels with, preprocessing included.

    It is the gradient of the value at the middle of the filter's map: the kernel, with the colors in the order of the
    image even if the preprocessing changes it.

    Returns:
        float32 ``[filters, height, width, channels]``, zero but for the receptive field.
    """
    _, height, width, num = call.outputs[0].shape
    substitute = _linear(call)

    def run(filters: Any) -> Any:
        pixels = tf.zeros([tf.shape(filters)[0], *network.shape])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            maps = network.outputs(pixels, [call.name], substitute=substitute)[call.name]
            values = tf.gather(maps[:, height // 2, width // 2], filters, batch_dims=1)
        return tape.gradient(values, pixels)

    function = tf.function(run, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    numbers = np.arange(num, dtype=np.int32)
    return np.concatenate([function(numbers[part]).numpy() for part in batches(num, num_at_once(network))])


def _linear(call: Call) -> Substitute:
    """The substitute that leaves out the activation of a call."""

    def substitute(other: Call) -> Any:
        if other is call and is_relu(getattr(call.operation, "activation", None)):
            return with_activation(call.operation, lambda x: x)
        return own_function(other)

    return substitute
