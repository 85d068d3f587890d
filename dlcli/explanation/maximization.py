"""Activation maximization: an image that excites a filter as much as possible.

Small images are optimized pixel by pixel, with jitter and a penalty on their total variation (Mahendran and Vedaldi
2016). Photos are optimized by their Fourier coefficients, with the amplitudes of natural images and uncorrelated colors
(Olah, Mordvintsev and Schubert 2017, "Feature visualization"), which needs no penalty.

What is maximized is the filter's value at the middle of its map, before the activation: a ReLU that is closed has no
gradient, and a ReLU6 ends at 6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.deconvnet import check_maps
from dlcli.explanation.network import Network, Tensor
from dlcli.explanation.rectifiers import before_activation

LEARNING_RATE = 0.05
VARIATION_WEIGHT = 0.0125
"""Of each absolute difference of adjacent pixels in [0, 1], beside activations that are divided by a scale."""
FIRST_SPREAD = 0.05
"""Standard deviation of the random pixels that optimization starts from, before the sigmoid."""


@dataclass(frozen=True)
class Maximized:
    """Images that excite filters.

    Attributes:
        images: float32 ``[filters, height, width, channels]`` in [0, 255].
        first: the filters' values for the random images that optimization started from, float32 ``[filters]``.
        last: and for those that it ended with, both without jitter.
    """

    images: NDArray[np.float32]
    first: NDArray[np.float32]
    last: NDArray[np.float32]


def maximize(
    network: Network,
    layer: str,
    filters: Sequence[int],
    *,
    scale: NDArray[np.float32],
    colors: NDArray[np.float64] | None = None,
    jitter: int = 1,
    steps: int = 256,
    seed: int = 0,
) -> Maximized:
    """Optimize an image for each filter.

    Args:
        layer: the name of a call with feature maps ``[b, h, w, k]``.
        filters: numbers of maps.
        scale: a typical large value of each filter ``[filters]``, such as its largest in a split.
        colors: how colors vary, ``[channels, channels]``: a root of the covariance of pixels in [0, 1], for photos;
            None for small images.
        jitter: the image is moved by at most so many pixels at each step; far less than the receptive field.
        steps: of Adam.

    Raises:
        NotExplainable: there is no such layer, or it has no feature maps.
    """
    check_maps(network, layer)
    objective = _objective(network, layer, filters)
    image_of, start = _pixels(network, len(filters)) if colors is None else _spectrum(network, len(filters), colors)
    generator = np.random.default_rng(seed)
    coefficients = tf.Variable(generator.normal(0, FIRST_SPREAD, start).astype(np.float32))
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build([coefficients])
    weights = tf.constant(1 / np.maximum(np.abs(scale), 1e-6), tf.float32)

    def step(shift: Tensor) -> None:
        with tf.GradientTape() as tape:
            images = image_of(coefficients)
            loss = -tf.reduce_sum(objective(255 * tf.roll(images, shift, axis=[1, 2])) * weights)
            if colors is None:
                loss += VARIATION_WEIGHT * _variation(images)
        optimizer.apply([tape.gradient(loss, coefficients)], [coefficients])

    def current() -> Any:
        images = 255 * image_of(coefficients)
        return images, objective(images)

    take_step, evaluate = (tf.function(function, autograph=False) for function in (step, current))
    first = evaluate()[1].numpy()
    for shift in generator.integers(-jitter, jitter + 1, (steps, 2)).astype(np.int32):
        take_step(tf.constant(shift))
    images, last = evaluate()
    return Maximized(images.numpy(), first, last.numpy())


def color_root(images: NDArray[Any]) -> NDArray[np.float64]:
    """The symmetric root ``[channels, channels]`` of the covariance of the pixels of images ``[..., channels]`` in
    [0, 255], as a share of the range: it gives independent colors the correlations of the images'."""
    pixels = images.reshape(-1, images.shape[-1]).astype(np.float64) / 255
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False).reshape(pixels.shape[1], -1))
    root: NDArray[np.float64] = vectors * np.sqrt(values.clip(1e-6)) @ vectors.T
    return root


def _objective(network: Network, layer: str, filters: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """The function of pixels ``[filters, height, width, channels]`` that gives each filter's value in its image."""
    substitute = before_activation(network, layer)
    _, height, width, _ = network.layer(layer).shape
    places = tf.constant([[height // 2, width // 2, number] for number in filters])
    return lambda pixels: tf.gather_nd(
        network.outputs(pixels, [layer], substitute=substitute)[layer], places, batch_dims=1
    )


def _pixels(network: Network, num: int) -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    """Images in [0, 1] by their pixels, and the shape of the coefficients."""
    return tf.sigmoid, (num, *network.shape)


def _spectrum(
    network: Network, num: int, colors: NDArray[np.float64]
) -> tuple[Callable[[Tensor], Tensor], tuple[int, ...]]:
    """Images in [0, 1] by their Fourier coefficients, divided by the frequency, and the shape of the coefficients."""
    height, width, channels = network.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    amplitude = 1 / np.maximum(frequency, 1 / max(height, width))
    amplitude /= np.sqrt((amplitude**2).mean())
    scales = tf.constant(amplitude * np.sqrt(height * width), tf.float32)
    mixing = tf.constant(colors / np.linalg.norm(colors, axis=1).max(), tf.float32)

    def image_of(coefficients: Tensor) -> Tensor:
        spectrum = tf.complex(coefficients[..., 0], coefficients[..., 1]) * tf.cast(scales, tf.complex64)
        independent = tf.transpose(tf.signal.irfft2d(spectrum, [height, width]), [0, 2, 3, 1])
        return tf.sigmoid(independent @ mixing)

    return image_of, (num, channels, height, width // 2 + 1, 2)


def _variation(images: Tensor) -> Tensor:
    """The sum of the absolute differences of adjacent pixels."""
    down = tf.abs(images[:, 1:] - images[:, :-1])
    right = tf.abs(images[:, :, 1:] - images[:, :, :-1])
    return tf.reduce_sum(down) + tf.reduce_sum(right)
