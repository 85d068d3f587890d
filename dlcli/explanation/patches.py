"""The images that excite a filter most, and the patches of them that it sees."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.deconvnet import check_maps
from dlcli.explanation.network import Network, Tensor
from dlcli.explanation.rectifiers import before_activation

Span = tuple[int, int] | None
"""The first position and the one after the last along an axis, beyond the image where padding is; None for all."""


@dataclass(frozen=True)
class Strongest:
    """The largest activations of some filters, each in another image.

    Attributes:
        values: float32 ``[filters, n]`` before the activation, in falling order; n is the number asked for, or of the
            images if it is less.
        images: int64 ``[filters, n]``, the numbers of the images.
        positions: int64 ``[filters, n, 2]``, row and column in the feature maps.
        active_share: ``[filters]``, the share of the images in which a filter is positive anywhere.
    """

    values: NDArray[np.float32]
    images: NDArray[np.int64]
    positions: NDArray[np.int64]
    active_share: NDArray[np.float64]


def strongest(
    network: Network,
    layer: str,
    filters: Sequence[int],
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    *,
    num: int = 9,
) -> Strongest:
    """Find the images in which filters have their largest activations (Zeiler and Fergus 2014, figure 2).

    They are compared before the activation: a ReLU6 has the same value for all that exceeds 6.

    Args:
        layer: the name of a call with feature maps ``[b, h, w, k]``.
        filters: numbers of maps.
        batches: pairs of the images' numbers ``[b]`` and pixels ``[b, height, width, channels]`` in [0, 255]. Of equal
            activations the first image is taken, and in an image the first position.

    Raises:
        NotExplainable: there is no such layer, or it has no feature maps.
    """
    check_maps(network, layer)
    width = int(network.layer(layer).shape[2])

    substitute = before_activation(network, layer)

    def run(pixels: Tensor) -> Any:
        maps = tf.gather(network.outputs(pixels, [layer], substitute=substitute)[layer], list(filters), axis=3)
        flat = tf.reshape(maps, [tf.shape(maps)[0], -1, len(filters)])
        return tf.cast(tf.reduce_max(flat, axis=1), tf.float32), tf.argmax(flat, axis=1)

    signature = [tf.TensorSpec([None, *network.shape], tf.float32)]
    function = tf.function(run, input_signature=signature, autograph=False)
    values = np.empty((0, len(filters)), np.float32)
    images, places = np.empty((0, len(filters)), np.int64), np.empty((0, len(filters)), np.int64)
    num_active, total = np.zeros(len(filters)), 0
    for index, pixels in batches:
        found, where = (part.numpy() for part in function(pixels))
        num_active += (found > 0).sum(axis=0)
        total += len(index)
        values = np.concatenate([values, found])
        images = np.concatenate([images, np.repeat(np.asarray(index)[:, None], len(filters), axis=1)])
        places = np.concatenate([places, where])
        order = np.argsort(-values, axis=0, kind="stable")[:num]
        values = np.take_along_axis(values, order, axis=0)
        images, places = (np.take_along_axis(part, order, axis=0) for part in (images, places))
    positions = np.stack(np.divmod(places.T, width), axis=-1)
    return Strongest(values.T, images.T, positions, num_active / max(total, 1))


def window_of(span: Span, side: int) -> tuple[int, int]:
    """The part of an axis that is cut: a span that is shorter than the image as it is, beyond the image where padding
    is; else the whole image."""
    return (0, side) if span is None or span[1] - span[0] >= side else span


def cut(image: NDArray[Any], rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.float32]:
    """A patch float32 ``[rows, columns, channels]`` of an image ``[height, width, channels]``, NaN beyond the image."""
    patch = np.full((rows[1] - rows[0], columns[1] - columns[0], image.shape[2]), np.nan, np.float32)
    top, left = max(rows[0], 0), max(columns[0], 0)
    inside = image[top : max(rows[1], 0), left : max(columns[1], 0)]
    patch[top - rows[0] :, left - columns[0] :][: inside.shape[0], : inside.shape[1]] = inside
    return patch
