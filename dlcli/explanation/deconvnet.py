"""Deconvnet: the activation of one filter, projected back to the pixels (Zeiler and Fergus 2014, section 2.1).

Backward through the network, a max pooling puts each value where its largest input was (the switches of the image), a
ReLU rectifies what comes back whatever its own input was, and a convolution is transposed. All but the ReLUs is the
gradient: batch normalization is a scale, the branches of an addition get copies, average pooling spreads a value
evenly, and biases do not count.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.method import batches, num_at_once
from dlcli.explanation.network import Network, NotExplainable, Tensor
from dlcli.explanation.rectifiers import rectifiers, with_rule

Projector = Callable[[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""(pixels ``[b, height, width, channels]`` in [0, 255], a filter for each ``[b]``, its position in the feature maps
``[b, 2]``) -> projections of the shape of the pixels."""


def rectified(is_open: Tensor, gradient: Tensor) -> Tensor:
    """The rule of the deconvnet: only positive values pass a ReLU on the way back, and all of them."""
    del is_open
    return tf.nn.relu(gradient)


def deconvnet(network: Network, layer: str) -> Projector:
    """The function that projects single activations of a layer.

    Args:
        layer: the name of a call with feature maps ``[b, h, w, k]``.

    Raises:
        NotExplainable: there is no such layer, it has no feature maps, or no ReLU comes before its outputs.
    """
    check_maps(network, layer)
    needed = names_before(network, layer)
    if not needed & set(rectifiers(network)):
        raise NotExplainable(
            f"has no ReLU up to layer '{layer}', at which a deconvnet rectifies what it projects. Choose a later "
            "layer, or explain images with a --method."
        )
    substitute = with_rule(rectified)

    def run(pixels: Tensor, filters: Tensor, positions: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            maps = network.outputs(pixels, [layer], substitute=substitute)[layer]
            places = tf.concat([positions, filters[:, None]], axis=1)
            values = tf.gather_nd(maps, places, batch_dims=1)
        return tape.gradient(values, pixels, output_gradients=tf.stop_gradient(values))

    signature = [
        tf.TensorSpec([None, *network.shape], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, 2], tf.int32),
    ]
    function = tf.function(run, input_signature=signature, autograph=False)

    def project(
        images: NDArray[np.float32], filters: NDArray[np.int32], positions: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        parts = batches(len(images), num_at_once(network))
        found = [function(images[part], filters[part], positions[part]).numpy() for part in parts]
        return np.concatenate([np.empty((0, *network.shape), np.float32), *found])

    return project


def check_maps(network: Network, layer: str) -> int:
    """The number of feature maps of a layer.

    Raises:
        NotExplainable: there is no such layer, or it has no feature maps.
    """
    shape: Any = network.layer(layer).shape
    if len(shape) != 4 or None in shape[1:]:
        raise NotExplainable(
            f"layer '{layer}' has no feature maps height x width x channels. Its shape is {shape[1:]}."
        )
    return int(shape[3])


def names_before(network: Network, layer: str) -> set[str]:
    """The names of the calls that a layer's output depends on, itself included."""
    needed, names = {id(network.layer(layer))}, set()
    for call in reversed(network.calls):
        if any(id(tensor) in needed for tensor in call.outputs):
            names.add(call.name)
            needed.update(id(tensor) for tensor in call.inputs)
    return names
