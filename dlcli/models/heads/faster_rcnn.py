"""Faster R-CNN: Ren, He, Girshick and Sun 2015, "Faster R-CNN: Towards real-time object detection with region proposal
networks"; on a pyramid as in Lin et al. 2017, "Feature pyramid networks for object detection", section 4.

Proposals are the same in training and in the saved model. Of the second stage there are two: in training it takes a
sample of proposals and objects, in the saved model all proposals; the layers with weights are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.models.heads.anchors import Size
from dlcli.models.heads.box_coding import decoded
from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.region_proposal import Proposals
from dlcli.models.heads.roi_align import RoiAlign, box_levels, roi_align
from dlcli.models.heads.target_sampling import AnchorSampling, ProposalSampling
from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor

DELTA_SCALE = np.array([0.1, 0.1, 0.2, 0.2], np.float32)
"""The typical size of a proposal's error, by which the box head's outputs are multiplied: Girshick 2015, "Fast R-CNN",
section 2.3, normalizes the targets."""


@dataclass(frozen=True)
class GroundTruth:
    """Inputs of the network that is trained.

    Attributes:
        boxes: rel_xyxy ``[b, m, 4]``.
        classes: int32 ``[b, m]``, -1 where there is no object.
        draws: seeds of what is sampled, int64 ``[b, 2]``.
    """

    boxes: Tensor
    classes: Tensor
    draws: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        return [self.boxes, self.classes, self.draws]


def ground_truth() -> GroundTruth:
    """New inputs for any number of objects."""
    return GroundTruth(
        keras.Input((None, 4), name="truth_boxes"),
        keras.Input((None,), dtype="int32", name="truth_classes"),
        keras.Input((2,), dtype="int64", name="draws"),
    )


class BoxHead:
    """The second stage: dense layers on the features of a box, its classes and its position (Ren 2015, figure 2; Lin
    2017, section 4.2, has two dense layers of 1,024 units).

    The box is predicted once for all classes.

    Args:
        units: of each dense layer.
        num_classes: number of classes, without background.
    """

    def __init__(self, *, bins: int, channels: int, units: tuple[int, ...], num_classes: int) -> None:
        self.bins = bins
        self.num_classes = num_classes
        self._flat = keras.layers.Reshape((-1, bins * bins * channels), name="box_flat")
        self._dense = [
            keras.layers.Dense(
                size, activation="relu", kernel_initializer=kernel_initializer("relu"), name=f"box_dense{number}"
            )
            for number, size in enumerate(units, start=1)
        ]
        self._logits = self._output(num_classes + 1, stddev=0.01, name="class_logits")
        self._deltas = self._output(4, stddev=0.001, name="box_deltas")

    @staticmethod
    def _output(values: int, *, stddev: float, name: str) -> keras.layers.Layer:
        initializer = keras.initializers.RandomNormal(stddev=stddev)  # Girshick 2015, section 4.2
        return keras.layers.Dense(values, kernel_initializer=initializer, dtype="float32", name=name)

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[b, n, num_classes + 1]``, the background's last, and deltas relative to the boxes ``[b, n, 4]``, in
        DELTA_SCALE.

        Args:
            features: ``[b, n, bins, bins, channels]``.
        """
        x = self._flat(features)
        for layer in self._dense:
            x = layer(x)
        return self._logits(x), self._deltas(x)


@dataclass(frozen=True)
class SampledBoxes:
    """The boxes of the second stage in training, see `target_sampling.ProposalSampling`: positives first."""

    boxes: Tensor
    labels: Tensor
    targets: Tensor
    objects: Tensor

    def first(self, num: int) -> "SampledBoxes":
        """The first ones, such as all that can be positives."""
        return SampledBoxes(*(values[:, :num] for values in (self.boxes, self.labels, self.targets, self.objects)))


def trained_outputs(
    pyramid: Pyramid,
    proposals: Proposals,
    head: BoxHead,
    truth: GroundTruth,
    *,
    size: Size,
    anchors: AnchorSampling,
    sampling: ProposalSampling,
) -> tuple[list[Tensor], SampledBoxes]:
    """What the loss is taken from, see `training.objectives.two_stage`: of sampled anchors objectness logits, labels,
    deltas and their targets; of sampled boxes class logits, labels, deltas and their targets.

    Args:
        pyramid: maps by level that boxes are sampled from.
    """
    first = anchors(*proposals.trained, *truth.inputs)
    sampled = SampledBoxes(*sampling(proposals.boxes, proposals.are_kept, *truth.inputs))
    levels = box_levels(sampled.boxes, size=size, levels=list(pyramid))
    features = RoiAlign(size=size, bins=head.bins, name="sampled_features")(pyramid, sampled.boxes, levels)
    logits, deltas = head(features)
    return [*first, logits, sampled.labels, deltas, sampled.targets / DELTA_SCALE], sampled


def final_boxes(
    pyramid: Mapping[int, Tensor], proposals: Proposals, head: BoxHead, *, size: Size
) -> tuple[Tensor, Tensor]:
    """The scores of each proposal's classes ``[b, k, num_classes]``, and its box, rel_xyxy ``[b, k, 4]``, which may
    extend beyond the image."""
    levels = box_levels(proposals.boxes, size=size, levels=list(pyramid))
    logits, deltas = head(roi_align(pyramid, proposals.boxes, levels, size=size, bins=head.bins))
    scores = keras.ops.softmax(logits)[..., :-1] * proposals.are_kept[..., None]
    left, top, right, bottom = (proposals.boxes[..., i] for i in range(4))
    middle = {"x": (left + right) / 2, "y": (top + bottom) / 2}
    return scores, decoded(deltas * DELTA_SCALE, **middle, width=right - left, height=bottom - top)
