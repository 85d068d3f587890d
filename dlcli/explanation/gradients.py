"""Gradients of what is explained with respect to the pixels: plain, smoothed, and guided.

A map is the sum over the channels: the change of the score for each unit of brightness, signed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.method import Explanation, Method, Targets, batches, num_at_once
from dlcli.explanation.network import Network, NotExplainable, Substitute, Tensor, own_function, traced
from dlcli.explanation.rectifiers import guided, rectifiers, with_rule

NO_GRADIENT = "what is explained has no gradient with respect to the pixels. Use --method occlusion."


def pixel_gradients(network: Network, *, substitute: Substitute = own_function) -> Callable[[Any, Any], Tensor]:
    """The function (pixels ``[b, h, w, c]``, targets) -> (scores ``[b]``, gradients ``[b, h, w, c]``)."""

    def gradients(pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            scores, _ = network.scores(pixels, targets, substitute=substitute)
        slopes = tape.gradient(scores, pixels)
        if slopes is None:
            raise NotExplainable(NO_GRADIENT)
        return scores, slopes

    return traced(network, gradients)


def gradient(network: Network) -> Method:
    """The gradient of the score (Simonyan, Vedaldi and Zisserman 2014, section 3)."""
    run = pixel_gradients(network)
    return lambda images, targets: Explanation(_maps(run(images, targets)[1].numpy()))


def guided_backpropagation(network: Network) -> Method:
    """The gradient in which every ReLU passes on positive gradients alone (Springenberg et al. 2015, section 3.4).

    Raises:
        NotExplainable: the network has no ReLU.
    """
    if not rectifiers(network):
        raise NotExplainable("has no ReLU, which guided backpropagation replaces. Use another --method.")
    run = pixel_gradients(network, substitute=with_rule(guided))
    return lambda images, targets: Explanation(_maps(run(images, targets)[1].numpy()))


def smoothgrad(network: Network, *, num_samples: int = 25, noise: float = 0.15, seed: int = 0) -> Method:
    """The mean gradient over noisy copies of the image (Smilkov et al. 2017, section 3).

    Args:
        num_samples: number of copies; every image gets the same noise, whatever its batch.
        noise: standard deviation of the noise as a share of the image's range of values.
    """
    run = pixel_gradients(network)

    def explain(images: NDArray[np.float32], targets: Targets) -> Explanation:
        axes = (1, 2, 3)
        ranges = images.max(axes, keepdims=True) - images.min(axes, keepdims=True)
        generator = np.random.default_rng(seed)
        total = np.zeros(images.shape, np.float64)
        for _ in range(num_samples):
            changes = generator.normal(size=images.shape[1:]).astype(np.float32)
            for part in batches(len(images), num_at_once(network)):
                noisy = images[part] + noise * ranges[part] * changes
                total[part] += run(noisy, targets[part])[1].numpy()
        return Explanation(_maps(total / num_samples))

    return explain


def _maps(gradients: NDArray[Any]) -> NDArray[np.float32]:
    maps: NDArray[np.float32] = gradients.sum(axis=-1, dtype=np.float64).astype(np.float32)
    return maps
