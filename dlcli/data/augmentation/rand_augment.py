"""RandAugment (Cubuk, Zoph, Shlens and Le 2020): random transforms out of fourteen, all with the same magnitude.

The ranges are those of AutoAugment (Cubuk et al. 2019, table 6), which the paper adopts; a transform with two
directions uses each with probability 1/2. Transforms that move pixels become part of the image's single warp, which
precedes those that change its colors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.augmentation.affine import Maps, Side, about_center, identity, linear, shift
from dlcli.data.augmentation.color import adjust_brightness, adjust_contrast, adjust_saturation

Tensor = Any

MAX_MAGNITUDE = 30
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLORS = ("brightness", "color", "contrast", "sharpness", "posterize", "solarize", "auto_contrast", "equalize")
TRANSFORMS = ("identity", *MOVES, *COLORS)

MAX_SHEAR = 0.3
MAX_TRANSLATION = 150 / 331  # of a side
MAX_ROTATION = 30.0  # degrees
MAX_CHANGE = 0.9  # of the factor 1 of brightness, color, contrast and sharpness
MIN_BITS = 4  # that posterize leaves


def moves(
    transforms: NDArray[np.int32], signs: NDArray[np.float32], *, magnitude: float, height: Side, width: Side
) -> Maps:
    """The maps of the transforms that move pixels, composed in order.

    Args:
        transforms: index in TRANSFORMS ``[n, k]``.
        signs: -1 or 1 ``[n, k]``.
        magnitude: in [0, MAX_MAGNITUDE].
    """
    num = len(transforms)
    strength = magnitude / MAX_MAGNITUDE * signs.astype(np.float64)  # [n, k]
    maps = identity(num)
    for position in range(transforms.shape[1]):
        chosen, s = transforms[:, position], strength[:, position]
        angle = np.deg2rad(MAX_ROTATION * s)
        candidates = {
            "shear_x": linear(1, MAX_SHEAR * s, 0, 1, num=num),
            "shear_y": linear(1, 0, MAX_SHEAR * s, 1, num=num),
            "translate_x": shift(MAX_TRANSLATION * width * s, 0, num=num),
            "translate_y": shift(0, MAX_TRANSLATION * height * s, num=num),
            "rotate": linear(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle), num=num),
        }
        for name, candidate in candidates.items():
            is_chosen = (chosen == TRANSFORMS.index(name))[:, None, None]
            maps = np.where(is_chosen, maps @ candidate, maps)
    return about_center(maps, height=height, width=width)


def change_colors(images: Tensor, transforms: Tensor, signs: Tensor, *, magnitude: float) -> Tensor:
    """Traced: applies the transforms that change colors, in order; float32 ``[b, height, width, channels]``.

    Each image goes only through its own transforms, which costs less than applying all of them to the whole batch.
    """
    shape = images.shape[1:]

    def change(arguments: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        image, chosen, sign = arguments
        for position in range(transforms.shape[1]):
            strength = magnitude / MAX_MAGNITUDE * sign[position]
            branches = [_branch(name, image, strength) for name in (*COLORS, "identity")]
            first = TRANSFORMS.index(COLORS[0])
            index = tf.where(chosen[position] < first, len(COLORS), chosen[position] - first)
            image = tf.ensure_shape(tf.switch_case(index, branches), shape)
        return image

    signature = tf.TensorSpec(shape, tf.float32)
    change = tf.autograph.experimental.do_not_convert(change)  # AutoGraph would warn that it has nothing to convert
    return tf.map_fn(change, (images, transforms, signs), fn_output_signature=signature)


def _branch(name: str, image: Tensor, strength: Tensor) -> Callable[[], Tensor]:
    """A function that applies a transform to one image ``[height, width, channels]``; ``strength`` is in [-1, 1]."""
    batch, factor = image[None], (1.0 + MAX_CHANGE * strength)[None]
    match name:
        case "brightness":
            return lambda: adjust_brightness(batch, factor)[0]
        case "color":
            return lambda: adjust_saturation(batch, factor)[0]
        case "contrast":
            return lambda: adjust_contrast(batch, factor)[0]
        case "sharpness":
            return lambda: sharpen(image, factor[0])
        case "posterize":
            return lambda: posterize(image, tf.abs(strength))
        case "solarize":
            return lambda: solarize(image, tf.abs(strength))
        case "auto_contrast":
            return lambda: auto_contrast(image)
        case "equalize":
            return lambda: equalize(image)
        case "identity":  # or a transform that moves pixels
            return lambda: image
    raise ValueError(f"the transforms are {', '.join(COLORS)}. Received {name}.")


# Transforms of one image, float32 [height, width, channels] in [0, 255] ---------------------------------------------


def sharpen(image: Tensor, factor: Tensor) -> Tensor:
    """Scales the difference from the smoothed image by ``factor``: 0 is smooth, 1 changes nothing. Borders are kept."""
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    num_channels = image.shape[-1]
    filters = tf.tile(kernel[:, :, None, None], [1, 1, num_channels, 1])
    smooth = tf.nn.depthwise_conv2d(image[None], filters, strides=[1, 1, 1, 1], padding="VALID")[0]
    inner = image[1:-1, 1:-1]
    changed = smooth + (inner - smooth) * factor - inner
    return tf.clip_by_value(image + tf.pad(changed, [[1, 1], [1, 1], [0, 0]]), 0.0, 255.0)


def posterize(image: Tensor, strength: Tensor) -> Tensor:
    """Keeps the upper bits of each value: all 8 at strength 0, MIN_BITS at strength 1."""
    step = tf.pow(2.0, tf.round(strength * (8 - MIN_BITS)))
    return tf.floor(image / step) * step


def solarize(image: Tensor, strength: Tensor) -> Tensor:
    """Inverts the values above a threshold: none at strength 0, all at strength 1."""
    threshold = 256.0 * (1.0 - strength)
    return tf.where(image >= threshold, 255.0 - image, image)


def auto_contrast(image: Tensor) -> Tensor:
    """Stretches each channel's values to [0, 255]; a constant channel is unchanged."""
    low = tf.reduce_min(image, axis=[0, 1], keepdims=True)
    high = tf.reduce_max(image, axis=[0, 1], keepdims=True)
    stretched = tf.math.divide_no_nan(image - low, high - low) * 255.0
    return tf.where(high > low, stretched, image)


def equalize(image: Tensor) -> Tensor:
    """Equalizes each channel's histogram by Pillow's rule (ImageOps.equalize)."""
    channels = [_equalize_channel(channel) for channel in tf.unstack(image, axis=-1)]
    return tf.stack(channels, axis=-1)


def _equalize_channel(channel: Tensor) -> Tensor:
    values = tf.cast(tf.round(channel), tf.int32)
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    largest = tf.reduce_max(values)
    step = (tf.reduce_sum(counts) - counts[largest]) // 255
    before = tf.cumsum(counts, exclusive=True)
    table = tf.clip_by_value((before + step // 2) // tf.maximum(step, 1), 0, 255)
    return tf.where(step > 0, tf.cast(tf.gather(table, values), tf.float32), channel)
