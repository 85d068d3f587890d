"""The ``model`` section for detection: one-stage networks that predict boxes at each position of a feature pyramid."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import Field

from dlcli.recipe.language.fields import (
    Count,
    NonNegativeNumber,
    PositiveNumber,
    PositiveProportion,
    Section,
    WholeNumber,
)
from dlcli.recipe.sections.backbone import DenseBackbone, rules_of_backbone

Level = Annotated[int, WholeNumber(), Ge(2), Le(7)]
GROUP_SIZE = 8  # channels in a group of group normalization


class PyramidDetector(Section):
    """The keys that one-stage detectors share."""

    kind: str
    """Family of networks."""
    backbone: DenseBackbone
    """Network whose feature maps are used: an image model section with `weights`."""
    levels: Annotated[tuple[Level, ...], MinLen(1)] = (3, 4, 5, 6, 7)
    """Levels of the feature pyramid on which boxes are predicted: level l has a stride of 2^l pixels. The backbone
    must have feature maps at the strides from the finest level to 32."""
    channels: Count = 64
    """Number of channels of the pyramid and of the subnets; 256 in the papers."""
    num_convs: Annotated[int, Ge(0), Le(8)] = 2
    """Number of 3x3 convolutions in each of the two subnets, for classes and for boxes; 4 in the papers."""
    normalization: Literal["group", "batch", "none"] = "group"
    """Normalization of the subnets' convolutions: of groups of 8 channels, which does not depend on the batch, of the
    batch, with statistics of its own at each level, or none."""
    focal_gamma: NonNegativeNumber = 2.0
    """Gamma of the focal loss of classes: how much less a position counts that is classified well."""
    focal_alpha: PositiveProportion = 0.25
    """Alpha of the focal loss: the weight of positives; negatives have 1 - alpha."""
    box_weight: PositiveNumber = 1.0
    """Weight of the loss of boxes."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_backbone(self.backbone)
        if any(finer + 1 != coarser for finer, coarser in pairwise(self.levels)):
            yield "levels", f"must be consecutive, from the finest on. Received {list(self.levels)}"
        elif self.levels[0] > 5:
            yield "levels", f"must start at 5 or less. Received {list(self.levels)}"
        if self.normalization == "group" and self.channels % GROUP_SIZE:
            yield "channels", f"must be a multiple of {GROUP_SIZE} with group normalization. Received {self.channels}"


class Fcos(PyramidDetector):
    """FCOS (Tian et al. 2019): a box at each position, without anchors."""

    kind: Literal["fcos"]
    """Family of networks."""
    center_radius: PositiveNumber = 1.5
    """Positions closer to the center of an object than this, in strides along each axis, are its positives."""
    largest_distance: PositiveNumber = 8.0
    """Largest distance in strides from a position to a side of its object; objects that need more belong to a coarser
    level. The coarsest level has no bound."""
    centerness_weight: PositiveNumber = 1.0
    """Weight of the loss of the centerness."""


class Retinanet(PyramidDetector):
    """RetinaNet (Lin et al. 2017): boxes relative to anchors."""

    kind: Literal["retinanet"]
    """Family of networks."""
    anchor_sizes: Annotated[tuple[PositiveNumber, ...], MinLen(1)] = (4.0, 5.04, 6.35)
    """Sizes of the anchors at each position: the square roots of their areas, in strides of their level."""
    anchor_ratios: Annotated[tuple[PositiveNumber, ...], MinLen(1)] = (0.5, 1.0, 2.0)
    """Widths of the anchors divided by their heights; there is an anchor of each size and ratio."""
    positive_iou: PositiveProportion = 0.5
    """Intersection over union with an object from which on an anchor is its positive. The best anchors of each object
    always are."""
    negative_iou: PositiveProportion = 0.4
    """Intersection over union with all objects below which an anchor is a negative. Those between are ignored."""
    box_loss: Literal["smooth_l1", "giou"] = "smooth_l1"
    """Loss of boxes: smooth L1 of their coordinates relative to the anchor, or 1 - GIoU."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.negative_iou > self.positive_iou:
            yield (
                "negative_iou",
                f"must not be above positive_iou: {self.positive_iou}. Received {self.negative_iou}",
            )


DetectionModel = Annotated[Fcos | Retinanet, Field(discriminator="kind")]
