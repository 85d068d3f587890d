"""Grad-CAM and Grad-CAM++: weighted sums of a layer's feature maps, signed, at the size of the image."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.method import Explanation, Method, Targets
from dlcli.explanation.network import Network, NotExplainable, Tensor, traced

Weights = Callable[[Tensor, Tensor], Tensor]
"""(feature maps, their gradients ``[b, h, w, k]``) -> the weight of each map ``[b, k]``."""


def gradcam(network: Network, *, layer: str) -> Method:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2), without the ReLU of equation 2: negative evidence stays.

    With global average pooling and a dense head, the weights are those of the head divided by the number of positions.

    Args:
        layer: the name of a call with feature maps ``[b, h, w, k]``.

    Raises:
        NotExplainable: there is no such layer, or it has no feature maps.
    """
    return _weighted(network, layer, lambda _, slopes: tf.reduce_mean(slopes, axis=[1, 2]))


def gradcam_plus_plus(network: Network, *, layer: str) -> Method:
    """Grad-CAM++ (Chattopadhay et al. 2018, equations 10 and 19, with the exponential of the logit as the score).

    Raises:
        NotExplainable: see :func:`gradcam`.
    """

    def weights(maps: Tensor, slopes: Tensor) -> Tensor:
        total = tf.reduce_sum(maps, axis=[1, 2], keepdims=True)
        denominator = 2 * slopes**2 + total * slopes**3
        alpha = tf.math.divide_no_nan(slopes**2, denominator)
        return tf.reduce_sum(alpha * tf.nn.relu(slopes), axis=[1, 2])

    return _weighted(network, layer, weights)


def _weighted(network: Network, layer: str, weights: Weights) -> Method:
    shape = network.layer(layer).shape
    if len(shape) != 4 or None in shape[1:]:
        raise NotExplainable(
            f"layer '{layer}' has no feature maps height x width x channels. Its shape is {shape[1:]}."
        )
    if shape[1] * shape[2] == 1:
        raise NotExplainable(f"layer '{layer}' has maps of a single position, which say nothing about places.")

    def run(pixels: Tensor, targets: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            scores, found = network.scores(pixels, targets, [layer])
        maps = found[layer]
        slopes = tape.gradient(scores, maps)
        if slopes is None:
            raise NotExplainable(f"layer '{layer}' has no influence on what is explained that a gradient could show.")
        weighted = tf.reduce_sum(maps * weights(maps, slopes)[:, None, None, :], axis=-1, keepdims=True)
        return tf.image.resize(weighted, network.shape[:2])[..., 0]

    function = traced(network, run)

    def explain(images: NDArray[np.float32], targets: Targets) -> Explanation:
        return Explanation(function(images, targets).numpy())

    return explain
