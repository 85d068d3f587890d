"""The ``model`` section for detection: networks that predict boxes at each position of a feature pyramid, and two-stage
networks, which classify proposals."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import Field

from dlcli.recipe.language.fields import (
    Count,
    NonNegativeNumber,
    NullForDefault,
    PositiveNumber,
    PositiveProportion,
    Section,
    WholeNumber,
)
from dlcli.recipe.sections.backbone import DenseBackbone, rules_of_backbone

FINEST_LEVEL = 2
Level = Annotated[int, WholeNumber(), Ge(FINEST_LEVEL), Le(7)]
COARSEST_BACKBONE_LEVEL = 5  # of stride 32
GROUP_SIZE = 8  # channels in a group of group normalization


def rules_of_levels(levels: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Rules on the levels of a pyramid."""
    if any(finer + 1 != coarser for finer, coarser in pairwise(levels)):
        yield "levels", f"must be consecutive, from the finest on. Received {list(levels)}"
    elif levels[0] > COARSEST_BACKBONE_LEVEL:
        yield "levels", f"must start at {COARSEST_BACKBONE_LEVEL} or less. Received {list(levels)}"


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
        yield from rules_of_levels(self.levels)
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


class TwoStageDetector(Section):
    """The keys of detectors that propose boxes, which a second stage classifies and corrects."""

    kind: str
    """Family of networks."""
    backbone: DenseBackbone
    """Network whose feature maps are used: an image model section with `weights`."""
    pyramid: bool = True
    """A feature pyramid on the backbone (Lin et al. 2017). Otherwise the backbone's own maps of one level are used, as
    in the paper."""
    levels: Annotated[tuple[Level, ...], MinLen(1), NullForDefault("[3, 4, 5, 6]; [4] without a pyramid")] = (
        3,
        4,
        5,
        6,
    )
    """Levels of the feature maps on which boxes are proposed: level l has a stride of 2^l pixels. The second stage uses
    those up to 5. The backbone must have feature maps at the strides from the finest level to 32; without a pyramid,
    only at that of the level."""
    channels: Count = 64
    """Number of channels of the pyramid and of the region proposal network; 256 in the paper of the pyramid."""
    anchor_sizes: Annotated[
        tuple[PositiveNumber, ...], MinLen(1), NullForDefault("[3, 5]; [3, 6, 12] without a pyramid")
    ] = (3.0, 5.0)
    """Sizes of the anchors at each position: the square roots of their areas, in strides of their level."""
    anchor_ratios: Annotated[tuple[PositiveNumber, ...], MinLen(1)] = (0.5, 1.0, 2.0)
    """Widths of the anchors divided by their heights; there is an anchor of each size and ratio."""
    anchor_positive_iou: PositiveProportion = 0.7
    """Intersection over union with an object from which on an anchor is its positive. The best anchors of each object
    always are."""
    anchor_negative_iou: PositiveProportion = 0.3
    """Intersection over union with all objects below which an anchor is a negative. Those between are ignored."""
    sampled_anchors: Annotated[int, Ge(2), Le(10_000)] = 256
    """Number of anchors of an image that the region proposal network is trained on, at most half of them positives."""
    proposal_candidates: Count = 300
    """Number of the most probable boxes from which non-maximum suppression chooses the proposals; its time grows with
    their square."""
    proposal_iou: PositiveProportion = 0.7
    """Intersection over union above which a proposal removes less probable ones."""
    num_proposals: Count = 100
    """Largest number of proposals in an image; 2,000 in training and 300 later in the paper."""
    sampled_boxes: Annotated[int, Ge(4), Le(10_000)] = 64
    """Number of boxes of an image that the second stage is trained on: proposals, and the objects' own boxes."""
    positive_share: PositiveProportion = 0.25
    """Largest proportion of positives among them."""
    positive_iou: PositiveProportion = 0.5
    """Intersection over union with an object from which on such a box is its positive. All others are background."""
    bins: Annotated[int, Ge(1), Le(32)] = 7
    """Number of bins along each side into which RoIAlign divides a box."""
    dense: tuple[Count, ...] = (256, 256)
    """Units of the dense layers of the second stage; [1024, 1024] in the paper of the pyramid."""
    box_weight: PositiveNumber = 1.0
    """Weight of the losses of boxes."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {} if values.get("pyramid") is not False else {"levels": (4,), "anchor_sizes": (3.0, 6.0, 12.0)}

    @property
    def box_levels(self) -> tuple[int, ...]:
        """The levels that the second stage uses: the backbone's."""
        return tuple(level for level in self.levels if level <= COARSEST_BACKBONE_LEVEL)

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_backbone(self.backbone)
        yield from rules_of_levels(self.levels)
        if not self.pyramid and len(self.levels) > 1:
            yield "levels", f"must be one level without a pyramid. Received {list(self.levels)}"
        if self.anchor_negative_iou > self.anchor_positive_iou:
            yield (
                "anchor_negative_iou",
                f"must not be above anchor_positive_iou: {self.anchor_positive_iou}. "
                f"Received {self.anchor_negative_iou}",
            )
        if self.proposal_candidates < self.num_proposals:
            yield (
                "proposal_candidates",
                f"must be at least num_proposals: {self.num_proposals}. Received {self.proposal_candidates}",
            )


class FasterRcnn(TwoStageDetector):
    """Faster R-CNN (Ren et al. 2015): proposals of boxes, which a second stage classifies and corrects."""

    kind: Literal["faster_rcnn"]
    """Family of networks."""


class MaskRcnn(TwoStageDetector):
    """Mask R-CNN (He et al. 2017): Faster R-CNN with a mask for each box."""

    kind: Literal["mask_rcnn"]
    """Family of networks."""
    mask_convs: Annotated[int, Ge(0), Le(8)] = 2
    """Number of 3x3 convolutions before the transposed convolution of the masks, all with `channels` channels; 4 in the
    paper."""
    mask_weight: PositiveNumber = 1.0
    """Weight of the loss of masks."""


DetectionModel = Annotated[Fcos | Retinanet | FasterRcnn, Field(discriminator="kind")]
AnyDetector = DetectionModel | MaskRcnn
"""The network of any task that detects objects."""
