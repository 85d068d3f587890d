"""Augmentation of training images: parameters are drawn for each sample of an epoch and applied batch by batch.

Parameters are a function of (seed, epoch, sample) alone, so that a run can be repeated and resumed exactly. Each
parameter has its own stream of random numbers: enabling a transform does not change the parameters of the others.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.augmentation import color, rand_augment
from dlcli.data.augmentation.affine import (
    FillMode,
    Maps,
    Side,
    about_center,
    identity,
    linear,
    move_boxes,
    shift,
    warp,
)

Tensor = Any
Parameters = dict[str, NDArray[Any]]  # by name, one row for each sample
Range = tuple[float, float]

SHADES = {
    "channel_shift_intensity": color.shift_channels,
    "brightness": color.adjust_brightness,
    "jitter_brightness": color.adjust_brightness,
    "jitter_contrast": color.adjust_contrast,
    "jitter_saturation": color.adjust_saturation,
    "jitter_hue": color.adjust_hue,
}
"""The color transforms by the name of their parameter, in the order in which they are applied."""


@dataclass(frozen=True)
class RandomCrop:
    """A random part of the image, resized to the size of the image."""

    area: Range  # of the part, as a proportion of the image
    aspect: Range  # of the part, width by height, relative to the image's aspect ratio


@dataclass(frozen=True)
class ColorJitter:
    """Factors drawn from [1 - value, 1 + value], and a shift of the hue from [-hue, hue]; applied in this order."""

    brightness: float
    contrast: float
    saturation: float
    hue: float


@dataclass(frozen=True)
class RandomErasing:
    """A random rectangle of the image set to one value (Zhong et al. 2020)."""

    probability: float
    area: Range
    aspect: Range
    value: float


@dataclass(frozen=True)
class RandAugment:
    """``num_ops`` transforms of :mod:`dlcli.data.augmentation.rand_augment`, all with the same magnitude."""

    num_ops: int
    magnitude: float


@dataclass(frozen=True)
class Augmentation:
    """The transforms of each image. The names up to ``vertical_flip`` are those of Keras's ImageDataGenerator.

    Attributes:
        rotation_range: degrees; the angle is drawn from [-range, range].
        width_shift_range: drawn from [-range, range], as a proportion of the width if below 1, else in pixels; for an
            int n, whole pixels from -n + 1 to n - 1; for a tuple, one of its values.
        height_shift_range: the same for the height.
        brightness_range: of the factor.
        shear_range: degrees.
        zoom_range: of the factor for each side: values below 1 enlarge the image.
        channel_shift_range: added to all channels, drawn from [-range, range].
    """

    rotation_range: float
    width_shift_range: float | tuple[float, ...]
    height_shift_range: float | tuple[float, ...]
    brightness_range: Range | None
    shear_range: float
    zoom_range: Range
    channel_shift_range: float
    fill_mode: FillMode
    cval: float
    horizontal_flip: bool
    vertical_flip: bool
    random_crop: RandomCrop | None
    color_jitter: ColorJitter | None
    random_erasing: RandomErasing | None
    rand_augment: RandAugment | None

    # Drawing ----------------------------------------------------------------------------------------------------------

    def draw(self, *, seed: int, epoch: int, num: int, height: Side, width: Side) -> Parameters:
        """The parameters of ``num`` samples in an epoch, for the enabled transforms.

        Args:
            height, width: of all images, or of each.
        """
        drawing = _Drawing(seed, epoch, num)
        found: Parameters = {}
        if self.rotation_range:
            found["theta"] = drawing.uniform("theta", -self.rotation_range, self.rotation_range)
        if _is_on(self.width_shift_range):
            found["tx"] = drawing.shift("tx", self.width_shift_range, width)
        if _is_on(self.height_shift_range):
            found["ty"] = drawing.shift("ty", self.height_shift_range, height)
        if self.shear_range:
            found["shear"] = drawing.uniform("shear", -self.shear_range, self.shear_range)
        if self.zoom_range != (1.0, 1.0):
            found["zx"] = drawing.uniform("zx", *self.zoom_range)
            found["zy"] = drawing.uniform("zy", *self.zoom_range)
        if self.horizontal_flip:
            found["flip_horizontal"] = drawing.random("flip_horizontal") < 0.5
        if self.vertical_flip:
            found["flip_vertical"] = drawing.random("flip_vertical") < 0.5
        if self.random_crop is not None:
            found["crop"] = drawing.boxes("crop", self.random_crop.area, self.random_crop.aspect, height, width)
        if self.channel_shift_range:
            drawn = drawing.uniform("channel_shift", -self.channel_shift_range, self.channel_shift_range)
            found["channel_shift_intensity"] = drawn
        if self.brightness_range is not None:
            found["brightness"] = drawing.uniform("brightness", *self.brightness_range)
        if self.color_jitter is not None:
            found |= self._draw_jitter(drawing, self.color_jitter)
        if self.rand_augment is not None:
            shape = (num, self.rand_augment.num_ops)
            chosen = drawing.random("transforms", shape) * len(rand_augment.TRANSFORMS)
            found["transforms"] = chosen.astype(np.int32)
            found["signs"] = np.where(drawing.random("signs", shape) < 0.5, -1, 1).astype(np.float32)
        if self.random_erasing is not None:
            erasing = self.random_erasing
            boxes = np.rint(drawing.boxes("erased", erasing.area, erasing.aspect, height, width))
            is_erased = drawing.random("is_erased") < erasing.probability
            found["erased"] = np.where(is_erased[:, None], boxes, 0.0)
        return found

    @staticmethod
    def _draw_jitter(drawing: "_Drawing", jitter: ColorJitter) -> Parameters:
        found = {}
        for name in ("brightness", "contrast", "saturation"):
            change = getattr(jitter, name)
            if change:
                found[f"jitter_{name}"] = drawing.uniform(f"jitter_{name}", max(0.0, 1 - change), 1 + change)
        if jitter.hue:
            found["jitter_hue"] = drawing.uniform("jitter_hue", -jitter.hue, jitter.hue)
        return found

    def maps(self, parameters: Parameters, *, height: Side, width: Side) -> Maps | None:
        """The map of each sample, from pixels of the result to positions in its image; None if no pixel is moved.

        Rotation, shift, shear and zoom are composed in ImageDataGenerator's order, about the image's center.
        """
        moving = ("theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical", "crop", "transforms")
        if not any(name in parameters for name in moving):
            return None
        num = len(next(iter(parameters.values())))
        zero, one = np.zeros(num), np.ones(num)
        theta = np.deg2rad(parameters.get("theta", zero))
        shear = np.deg2rad(parameters.get("shear", zero))
        maps = (
            linear(np.cos(theta), -np.sin(theta), np.sin(theta), np.cos(theta), num=num)
            @ shift(parameters.get("tx", zero), parameters.get("ty", zero), num=num)
            @ linear(1, -np.sin(shear), 0, np.cos(shear), num=num)
            @ linear(parameters.get("zx", one), 0, 0, parameters.get("zy", one), num=num)
        )
        maps = about_center(maps, height=height, width=width)
        if "transforms" in parameters:
            assert self.rand_augment is not None
            magnitude = self.rand_augment.magnitude
            chosen, signs = parameters["transforms"], parameters["signs"]
            maps = maps @ rand_augment.moves(chosen, signs, magnitude=magnitude, height=height, width=width)
        if "crop" in parameters:
            maps = _crop_maps(parameters["crop"], height, width) @ maps
        flip_x = np.where(parameters.get("flip_horizontal", zero), -1.0, 1.0)
        flip_y = np.where(parameters.get("flip_vertical", zero), -1.0, 1.0)
        flipped: Maps = maps @ about_center(linear(flip_x, 0, 0, flip_y, num=num), height=height, width=width)
        return flipped

    def move_boxes(
        self, boxes: NDArray[np.float32], parameters: Parameters, *, height: int, width: int
    ) -> NDArray[np.float32]:
        """The boxes of the augmented images, rel_xyxy ``[n, 4]``; NaN if there is none, or nothing of it is left."""
        maps = self.maps(parameters, height=height, width=width)
        if maps is None:
            return boxes
        moved, is_left = move_boxes(boxes, maps, height=height, width=width)
        return np.where(is_left[:, None], moved, np.float32(np.nan))

    def describe(self, parameters: Parameters, position: int) -> str:
        """One sample's parameters as text, such as ``theta 12.1, tx -3.4, flipped left to right``."""
        words = []
        for name, values in parameters.items():
            value = values[position]
            if name in ("flip_horizontal", "flip_vertical"):
                if value:
                    words.append("flipped left to right" if name == "flip_horizontal" else "flipped top to bottom")
            elif name == "transforms":
                words.append(" then ".join(rand_augment.TRANSFORMS[i] for i in value))
            elif name in ("crop", "erased"):
                left, top, right, bottom = value
                if right > left:
                    words.append(f"{name} {right - left:.0f}x{bottom - top:.0f}")
            elif name != "signs":
                words.append(f"{name.removeprefix('jitter_').removesuffix('_intensity')} {value:.3g}")
        return ", ".join(words)

    # Applying ---------------------------------------------------------------------------------------------------------

    def to_tensors(self, parameters: Parameters, *, height: Side, width: Side) -> dict[str, Tensor]:
        """The arguments of :meth:`apply` for all samples of an epoch, with maps instead of the parameters of motion."""
        names = (*SHADES, "erased", "signs")
        tensors = {name: tf.constant(parameters[name], tf.float32) for name in names if name in parameters}
        maps = self.maps(parameters, height=height, width=width)
        if maps is not None:
            tensors["maps"] = tf.constant(maps[:, :2].reshape(-1, 6), tf.float32)
        if "transforms" in parameters:
            tensors["transforms"] = tf.constant(parameters["transforms"], tf.int32)
        return tensors

    def apply(self, pixels: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Traced: the augmented images of a batch.

        Args:
            pixels: uint8 or float32 ``[b, height, width, channels]`` in [0, 255].
            tensors: the batch's rows of the result of :meth:`to_tensors`.

        Returns:
            float32 of the same shape, in [0, 255]; values are not rounded.
        """
        chosen = {name: tensors[name] for name in ("maps", *SHADES) if name in tensors}
        # XLA would compile once more for each size
        change = _move_and_shade if None in pixels.shape[1:] else _move_and_shade_compiled
        images = change(pixels, chosen, self.fill_mode, self.cval)
        images = tf.ensure_shape(images, pixels.shape)
        if self.rand_augment is not None:
            magnitude = self.rand_augment.magnitude
            chosen, signs = tensors["transforms"], tensors["signs"]
            images = rand_augment.change_colors(images, chosen, signs, magnitude=magnitude)
        if self.random_erasing is not None:
            images = color.erase(images, tensors["erased"], self.random_erasing.value)
        return images


def _move_and_shade(pixels: Tensor, tensors: Mapping[str, Tensor], fill_mode: FillMode, cval: float) -> Tensor:
    """The warp and the color transforms whose parameters are given; XLA compiles them into one loop over the pixels."""
    images = tf.cast(pixels, tf.float32)
    if "maps" in tensors:
        images = warp(pixels, tensors["maps"], fill_mode=fill_mode, cval=cval)
    for name, change in SHADES.items():
        if name in tensors:
            images = change(images, tensors[name])
    return images


_move_and_shade_compiled = tf.function(_move_and_shade, autograph=False, jit_compile=True)


def _is_on(shift_range: float | tuple[float, ...]) -> bool:
    return any(shift_range) if isinstance(shift_range, tuple) else shift_range > 0


def _crop_maps(boxes: NDArray[Any], height: Side, width: Side) -> Maps:
    """Maps under which the boxes ``[n, 4]`` (left, top, right, bottom in pixels) fill the whole image."""
    left, top, right, bottom = boxes.T
    scale_x, scale_y = (right - left) / width, (bottom - top) / height
    maps = identity(len(boxes))
    maps[:, 0, 0], maps[:, 0, 2] = scale_x, left + 0.5 * scale_x - 0.5  # edges to edges, not centers to centers
    maps[:, 1, 1], maps[:, 1, 2] = scale_y, top + 0.5 * scale_y - 0.5
    return maps


class _Drawing:
    """Random numbers for every sample of an epoch, by the name of their parameter."""

    def __init__(self, seed: int, epoch: int, num: int) -> None:
        self._seed = seed
        self._epoch = epoch
        self._num = num

    def random(self, name: str, shape: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Uniform in [0, 1); the rows of the first samples do not depend on the number of samples."""
        entropy = [self._seed, self._epoch, zlib.crc32(name.encode())]
        generator = np.random.Generator(np.random.PCG64(entropy))
        return generator.random(shape or (self._num,))

    def uniform(self, name: str, low: float, high: float) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = low + (high - low) * self.random(name)
        return drawn

    def shift(self, name: str, shift_range: float | tuple[float, ...], side: Side) -> NDArray[np.float64]:
        """How many pixels further right, or down, values are sampled."""
        if isinstance(shift_range, tuple):
            choices = np.array(shift_range)
        elif isinstance(shift_range, int):
            choices = np.arange(1 - shift_range, shift_range)
        else:
            return self.uniform(name, -shift_range, shift_range) * (side if shift_range < 1 else 1)
        drawn: NDArray[np.float64] = choices[(self.random(name) * len(choices)).astype(np.int64)]
        return drawn * (side if np.abs(choices).max() < 1 else 1.0)

    def boxes(self, name: str, area: Range, aspect: Range, height: Side, width: Side) -> NDArray[np.float64]:
        """Boxes [n, 4] in the image: left, top, right, bottom in pixels; the aspect's logarithm is uniform."""
        size = self.uniform(f"{name}.area", *area)
        ratio = np.exp(self.uniform(f"{name}.aspect", *np.log(aspect)))
        wide, high = np.minimum(np.sqrt(size * ratio), 1.0) * width, np.minimum(np.sqrt(size / ratio), 1.0) * height
        left = self.random(f"{name}.left") * (width - wide)
        top = self.random(f"{name}.top") * (height - high)
        return np.stack([left, top, left + wide, top + high], axis=1)
