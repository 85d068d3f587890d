"""The ``augment`` section: random augmentation of training images, and standardization of the network's input."""

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, Field

from dlcli.recipe.language.fields import (
    Expected,
    FractionsAllowed,
    NonNegativeNumber,
    Number,
    PositiveNumber,
    Proportion,
    Section,
)


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"{value[0]:g} is above {value[1]:g}")
    return value


Factor = Annotated[float, Ge(0.01), Le(100), FractionsAllowed()]
Range = Annotated[
    tuple[Factor, Factor], AfterValidator(_rising), Expected("a list of 2 numbers in [0.01, 100], the smaller first")
]
UpToOne = Annotated[float, Gt(0), Le(1), FractionsAllowed()]
AreaRange = Annotated[
    tuple[UpToOne, UpToOne], AfterValidator(_rising), Expected("a list of 2 numbers in (0, 1], the smaller first")
]
Probability = Annotated[float, Ge(0), Le(1), FractionsAllowed()]
Pixel = Annotated[float, Ge(0), Le(255), FractionsAllowed()]
HalfTurn = Annotated[float, Ge(0), Le(0.5), FractionsAllowed()]
Change = Annotated[float, Ge(0), Le(10), FractionsAllowed()]
Turn = Annotated[float, Ge(0), Le(360), FractionsAllowed()]
Shear = Annotated[float, Ge(0), Lt(90), FractionsAllowed()]
Scale = Annotated[float, Ge(1e-6), Le(1), FractionsAllowed()]
Alpha = Annotated[float, Ge(0.001), Le(1000), FractionsAllowed()]
Magnitude = Annotated[float, Ge(0), Le(30), FractionsAllowed()]
ShiftRange = Annotated[
    Annotated[int, Ge(0)] | NonNegativeNumber | Annotated[tuple[Number, ...], Field(min_length=1, max_length=1000)],
    Expected("a proportion below 1, a number of pixels, or a list of either"),
]


class RandomCrop(Section):
    """A random crop, resized to the size of the image (Szegedy et al. 2015, section 6)."""

    area: AreaRange = (0.08, 1.0)
    """Minimum and maximum area of the crop, as proportions of the image's."""
    aspect: Range = (3 / 4, 4 / 3)
    """Minimum and maximum aspect ratio of the crop, width / height, relative to that of the image."""


class ColorJitter(Section):
    """Random changes of brightness, contrast and saturation by factors from [1 - value, 1 + value], then of the hue."""

    brightness: Change = 0.0
    """0.4 multiplies the pixels by a factor from [0.6, 1.4]."""
    contrast: Change = 0.0
    """The same for the difference of each pixel from the image's mean gray value."""
    saturation: Change = 0.0
    """The same for the difference of each color from its gray value."""
    hue: HalfTurn = 0.0
    """0.1 rotates the hue by up to a tenth of the color wheel in either direction."""


class RandomErasing(Section):
    """A random rectangle of the image is filled with one value (Zhong et al. 2020)."""

    probability: Probability = 0.5
    """Probability that an image gets a rectangle."""
    area: AreaRange = (0.02, 0.33)
    """Minimum and maximum area of the rectangle, as proportions of the image's."""
    aspect: Range = (0.3, 10 / 3)
    """Minimum and maximum aspect ratio of the rectangle, width / height."""
    value: Pixel = 0.0
    """Value of its pixels, in [0, 255]."""


class RandAugment(Section):
    """Transforms drawn from a set of 14 for each image, all of one magnitude (Cubuk et al. 2020)."""

    num_ops: Annotated[int, Ge(1), Le(14)] = 2
    """Number of transforms applied in sequence."""
    magnitude: Magnitude = 9.0
    """Magnitude of the transforms, from 0 to 30."""


class Augment(Section):
    """Random augmentation of the training split; validation and test are not augmented.

    Keys from `rotation_range` to `zca_epsilon` have the names and meanings of Keras's ImageDataGenerator.
    """

    rotation_range: Turn = 0.0
    """Degrees: each image is rotated by an angle from [-range, range]."""
    width_shift_range: ShiftRange = 0.0
    """Below 1 a proportion of the width, else pixels; a whole number n: whole pixels below n; a list: one of its
    values."""
    height_shift_range: ShiftRange = 0.0
    """The same for the height."""
    brightness_range: Range | None = None
    """Each image's pixels are multiplied by a factor from this range."""
    shear_range: Shear = 0.0
    """Degrees (so 0.2 is almost no shear): each image is sheared by an angle from [-range, range]."""
    zoom_range: Proportion | Range = 0.0
    """0.2 means [0.8, 1.2]: each side is scaled by a factor from this range; below 1 zooms in."""
    channel_shift_range: Pixel = 0.0
    """A value from [-range, range] is added to all channels, clipped to the image's own minimum and maximum."""
    fill_mode: Literal["nearest", "constant", "reflect", "wrap"] = "nearest"
    """What fills pixels from outside the image: the nearest pixel, `cval`, the mirror image, or the opposite side."""
    cval: Pixel = 0.0
    """Value that `fill_mode: constant` fills in."""
    horizontal_flip: bool = False
    """Flip images left to right with probability 0.5."""
    vertical_flip: bool = False
    """Flip images top to bottom with probability 0.5."""
    rescale: Scale | None = None
    """Factor on the pixels in the network's input, such as 1/255: an alternative to `model.preprocessing`."""
    featurewise_center: bool = False
    """Subtract the mean of each channel over the training split, after scaling. This and the next four are part of the
    saved model."""
    featurewise_std_normalization: bool = False
    """Divide by the standard deviation of each channel over the training split; implies centering."""
    samplewise_center: bool = False
    """Subtract each image's own mean."""
    samplewise_std_normalization: bool = False
    """Divide by each image's own standard deviation; implies centering."""
    zca_whitening: bool = False
    """ZCA whitening, fitted on the training split: decorrelates the pixels; implies featurewise centering."""
    zca_epsilon: PositiveNumber = 1e-6
    """Added to the singular values for numerical stability."""
    random_crop: RandomCrop | None = None
    """A random crop, resized to the size of the image."""
    color_jitter: ColorJitter | None = None
    """Random changes of brightness, contrast, saturation and hue."""
    random_erasing: RandomErasing | None = None
    """A random rectangle is erased."""
    rand_augment: RandAugment | None = None
    """Randomly chosen transforms."""
    mosaic: Probability = 0.0
    """Probability that a training image is composed of parts of four, around a random point (Bochkovskiy et al. 2020),
    before the other transforms."""
    copy_paste: Probability = 0.0
    """Probability that objects of another training image are pasted into an image along their masks, each with
    probability 1/2, after the other transforms (Ghiasi et al. 2021)."""
    mixup: Alpha | None = None
    """MixUp (Zhang et al. 2018) with this alpha, such as 0.2: a weighted mean of two images and of their labels, with a
    weight from Beta(alpha, alpha)."""
    cutmix: Alpha | None = None
    """CutMix (Yun et al. 2019) with this alpha, such as 1.0: a rectangle is pasted from another image. With mixup too,
    each batch gets one of the two."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.zca_whitening and self.featurewise_std_normalization:
            yield (
                "featurewise_std_normalization",
                "cannot be combined with zca_whitening, which scales every direction to deviation 1; remove one",
            )
        if self.fill_mode != "constant" and "cval" in self.model_fields_set and self.cval != 0:
            yield "cval", f"is for fill_mode: constant. Received fill_mode: {self.fill_mode}."
        if "zca_epsilon" in self.model_fields_set and self.zca_epsilon != 1e-6 and not self.zca_whitening:
            yield "zca_epsilon", "is for zca_whitening; remove it, or set zca_whitening: true"
        for key in ("width_shift_range", "height_shift_range"):
            value = getattr(self, key)
            if isinstance(value, int) and value == 1:
                yield (
                    key,
                    "1 means whole pixels below 1, which is no shift; write 1.0 for up to 1 pixel in either direction",
                )
            if isinstance(value, tuple) and any(0 < abs(v) < 1 for v in value) and any(abs(v) >= 1 for v in value):
                yield key, "a list must hold proportions (below 1) or pixels, not both"

    @property
    def centers_features(self) -> bool:
        """Whether the mean of each channel is subtracted, by its own key or because another one implies it."""
        return self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening

    @property
    def input_keys(self) -> tuple[str, ...]:
        """The keys that are set among those that standardize the network's input."""
        keys = (
            *("rescale", "featurewise_center", "featurewise_std_normalization"),
            *("samplewise_center", "samplewise_std_normalization", "zca_whitening"),
        )
        return tuple(key for key in keys if getattr(self, key))


COMPOSITION = {
    "mosaic": "task: detection and instance_segmentation, whose images have any number of objects",
    "copy_paste": "task: instance_segmentation, whose objects have masks",
}
"""The keys that compose images of several, and what they are for."""


def rules_of_composition(augment: Augment | None, *, allowed: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """The rules of tasks whose images cannot be composed of several, but by the keys that are allowed."""
    for key, tasks in COMPOSITION.items():
        if augment is not None and getattr(augment, key) and key not in allowed:
            yield f"augment.{key}", f"is for {tasks}; remove it"
