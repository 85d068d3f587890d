"""The objective of a detector, from the recipe's ``model`` section."""

from typing import assert_never

import numpy as np

from dlcli.models.heads.anchors import Size, anchors, centers, level_of_positions
from dlcli.models.heads.box_coding import encoded
from dlcli.recipe.sections.detection_model import AnyDetector, FasterRcnn, Fcos, MaskRcnn, Retinanet
from dlcli.tasks.detection.two_stage import two_stage_objective
from dlcli.training.objectives.detection import fcos_objective, retinanet_objective
from dlcli.training.objectives.detection_targets import Positions
from dlcli.training.objectives.objective import Objective


def objective_of(section: AnyDetector) -> Objective:
    """The losses of the outputs that :func:`dlcli.tasks.detection.network.detection_outputs` names as trained.

    Batches have ``y["boxes"]`` float32 ``[b, n, 4]`` rel_xyxy and ``y["box_class"]`` int32 ``[b, n]``, -1 where padded;
    for Mask R-CNN also ``y["masks"]`` uint8 ``[b, n, height, width]``.
    """
    match section:
        case Fcos():
            return fcos_objective(
                positions_of=lambda size: _positions(section, size),
                center_radius=section.center_radius,
                largest_distance=section.largest_distance,
                focal_gamma=section.focal_gamma,
                focal_alpha=section.focal_alpha,
                box_weight=section.box_weight,
                centerness_weight=section.centerness_weight,
            )
        case Retinanet():
            return retinanet_objective(
                anchors_of=lambda size: anchors(
                    size, section.levels, sizes=section.anchor_sizes, ratios=section.anchor_ratios
                ),
                encode=encoded,
                positive_iou=section.positive_iou,
                negative_iou=section.negative_iou,
                box_loss=section.box_loss,
                focal_gamma=section.focal_gamma,
                focal_alpha=section.focal_alpha,
                box_weight=section.box_weight,
            )
        case FasterRcnn() | MaskRcnn():
            return two_stage_objective(section)
        case _:
            assert_never(section)


def _positions(section: Fcos, size: Size) -> Positions:
    strides = np.exp2(level_of_positions(size, section.levels))
    return Positions(centers(size, section.levels), strides, size)
