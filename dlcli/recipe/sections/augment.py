"""The ``augment`` section: random changes to training images, and what of them makes the network's input."""

from collections.abc import Iterator
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
    """A random part of the image, enlarged to the whole size (Szegedy et al. 2015, section 6)."""

    area: AreaRange = (0.08, 1.0)
    """Smallest and largest area of the part, as proportions of the image's."""
    aspect: Range = (3 / 4, 4 / 3)
    """Narrowest and widest form of the part: its width by its height, where the image's own counts as 1."""


class ColorJitter(Section):
    """Brightness, contrast and saturation by factors from [1 - value, 1 + value], the hue by a turn; in this order."""

    brightness: Change = 0.0
    """0.4 multiplies by a factor from [0.6, 1.4]."""
    contrast: Change = 0.0
    """The same for the distance from the image's mean gray."""
    saturation: Change = 0.0
    """The same for the distance of each color from its gray."""
    hue: HalfTurn = 0.0
    """0.1 turns the hue by up to a tenth of the color circle, either way."""


class RandomErasing(Section):
    """A rectangle of one gray value over a part of the image (Zhong et al. 2020)."""

    probability: Probability = 0.5
    """Proportion of the images that get one."""
    area: AreaRange = (0.02, 0.33)
    """Smallest and largest area of the rectangle, as proportions of the image's."""
    aspect: Range = (0.3, 10 / 3)
    """Narrowest and widest form of the rectangle: its width by its height."""
    value: Pixel = 0.0
    """Its pixels, in [0, 255]."""


class RandAugment(Section):
    """Some of 14 transforms for each image, all of one magnitude (Cubuk et al. 2020)."""

    num_ops: Annotated[int, Ge(1), Le(14)] = 2
    """Transforms one after another."""
    magnitude: Magnitude = 9.0
    """Their strength, from 0 to 30."""


class Augment(Section):
    """Random changes to the images of the training split; validation and test stay as they are.

    Keys from `rotation_range` to `zca_epsilon` have the names and meanings of Keras's ImageDataGenerator.
    """

    rotation_range: Turn = 0.0
    """Degrees: each image is turned by an angle from [-range, range]."""
    width_shift_range: ShiftRange = 0.0
    """Below 1 a proportion of the width, else pixels; a whole number n: whole pixels below n; a list: one of it."""
    height_shift_range: ShiftRange = 0.0
    """The same for the height."""
    brightness_range: Range | None = None
    """Pixels are multiplied by a factor from this range."""
    shear_range: Shear = 0.0
    """Degrees (0.2 is nearly nothing): each image is sheared by an angle from [-range, range]."""
    zoom_range: Proportion | Range = 0.0
    """0.2 means [0.8, 1.2]: each side is sampled by a factor from this range; below 1 enlarges the image."""
    channel_shift_range: Pixel = 0.0
    """A value from [-range, range] is added to all channels, within the image's own smallest and largest value."""
    fill_mode: Literal["nearest", "constant", "reflect", "wrap"] = "nearest"
    """What fills the places that a move leaves empty: the nearest pixel, `cval`, the mirror image, the other side."""
    cval: Pixel = 0.0
    """Value of the pixels that `fill_mode: constant` fills in."""
    horizontal_flip: bool = False
    """Mirror half of the images left to right."""
    vertical_flip: bool = False
    """Mirror half of the images top to bottom."""
    rescale: Scale | None = None
    """The network's input is pixels times this, such as 1/255: another way to set `model.preprocessing`."""
    featurewise_center: bool = False
    """Subtract the training split's mean of each channel, after scaling; in the saved model, as the next four."""
    featurewise_std_normalization: bool = False
    """Divide by the training split's standard deviation of each channel; centring comes with it."""
    samplewise_center: bool = False
    """Subtract each image's own mean."""
    samplewise_std_normalization: bool = False
    """Divide by each image's own standard deviation; centring comes with it."""
    zca_whitening: bool = False
    """Decorrelate all pixels of an image (ZCA, fitted on the training split); featurewise centring comes with it."""
    zca_epsilon: PositiveNumber = 1e-6
    """Added to the singular values, against division by 0."""
    random_crop: RandomCrop | None = None
    """A random part of the image, enlarged to the whole size."""
    color_jitter: ColorJitter | None = None
    """Random changes of brightness, contrast, saturation and hue."""
    random_erasing: RandomErasing | None = None
    """A random rectangle is blotted out."""
    rand_augment: RandAugment | None = None
    """Randomly chosen transforms."""
    mixup: Alpha | None = None
    """MixUp (Zhang et al. 2018), such as 0.2: images and labels of two averaged, by a proportion from Beta(a, a)."""
    cutmix: Alpha | None = None
    """CutMix (Yun et al. 2019), such as 1.0: a rectangle from another image; beside mixup, each batch has one."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.zca_whitening and self.featurewise_std_normalization:
            yield (
                "featurewise_std_normalization",
                "has no meaning beside zca_whitening, which gives every direction the deviation 1; remove one",
            )
        if self.fill_mode != "constant" and "cval" in self.model_fields_set and self.cval != 0:
            yield "cval", f"is for fill_mode: constant. Received fill_mode: {self.fill_mode}."
        if "zca_epsilon" in self.model_fields_set and self.zca_epsilon != 1e-6 and not self.zca_whitening:
            yield "zca_epsilon", "is for zca_whitening, which is off; remove it, or set zca_whitening: true"
        for key in ("width_shift_range", "height_shift_range"):
            value = getattr(self, key)
            if isinstance(value, int) and value == 1:
                yield key, "1 means whole pixels below 1, which is none; write 1.0 for up to 1 pixel either way"
            if isinstance(value, tuple) and any(0 < abs(v) < 1 for v in value) and any(abs(v) >= 1 for v in value):
                yield key, "a list must hold proportions (below 1) or pixels, not both"

    @property
    def centers_features(self) -> bool:
        """Whether each channel's mean is taken off, by itself or because another key needs it."""
        return self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening

    @property
    def input_keys(self) -> tuple[str, ...]:
        """Those keys that are set of those that make the network's input."""
        keys = (
            *("rescale", "featurewise_center", "featurewise_std_normalization"),
            *("samplewise_center", "samplewise_std_normalization", "zca_whitening"),
        )
        return tuple(key for key in keys if getattr(self, key))
