"""Builds the head of a two-stage detector on the feature maps of an image network, and its objective."""

import functools
from typing import Any

import keras

from dlcli.models.heads.anchors import Size, anchors, sides_of
from dlcli.models.heads.dense_prediction import resized
from dlcli.models.heads.detection_outputs import detection_outputs
from dlcli.models.heads.faster_rcnn import BoxHead, final_boxes, ground_truth, trained_outputs
from dlcli.models.heads.feature_pyramid import Pyramid, feature_pyramid
from dlcli.models.heads.mask_rcnn import MaskHead, final_masks, trained_masks
from dlcli.models.heads.region_proposal import region_proposals
from dlcli.models.heads.target_sampling import AnchorSampling, ProposalSampling
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import FasterRcnn, MaskRcnn, TwoStageDetector
from dlcli.tasks.images.network import HeadOutputs
from dlcli.training.objectives.detection_targets import assign_anchors
from dlcli.training.objectives.objective import Objective
from dlcli.training.objectives.two_stage import two_stage


def two_stage_outputs(
    found: dict[int, Any], section: TwoStageDetector, *, size: Size, detect: Detect, num_classes: int
) -> HeadOutputs:
    """What a two-stage detector predicts.

    The network that is trained takes the ground truth besides the pixels, from which it samples; its outputs are those
    of :func:`dlcli.models.heads.faster_rcnn.trained_outputs` and, of Mask R-CNN,
    :func:`dlcli.models.heads.mask_rcnn.trained_masks`. The saved model has the dictionary of
    :func:`dlcli.models.heads.detection_outputs.detection_outputs`; Mask R-CNN adds ``masks`` float32
    ``[b, max_boxes, 28, 28]``, in each box the probability of its object.

    Args:
        found: the backbone's last maps by stride.
    """
    pyramid = _maps(found, section, size=size)
    anchor_keys: dict[str, Any] = {"sizes": section.anchor_sizes, "ratios": section.anchor_ratios}
    proposals = region_proposals(
        pyramid,
        size=size,
        channels=section.channels,
        num_candidates=section.proposal_candidates,
        iou=section.proposal_iou,
        num_proposals=section.num_proposals,
        **anchor_keys,
    )
    of_boxes = {level: pyramid[level] for level in section.box_levels}
    channels = of_boxes[section.box_levels[0]].shape[-1]
    head = BoxHead(bins=section.bins, channels=channels, units=section.dense, num_classes=num_classes)
    truth, all_anchors = ground_truth(), anchors(size, section.levels, **anchor_keys)
    max_positive = max(1, round(section.positive_share * section.sampled_boxes))
    trained, sampled = trained_outputs(
        *(of_boxes, proposals, head, truth),
        size=size,
        anchors=AnchorSampling(
            anchors=all_anchors,
            num=section.sampled_anchors,
            assign=functools.partial(
                assign_anchors,
                anchors=all_anchors,
                positive_iou=section.anchor_positive_iou,
                negative_iou=section.anchor_negative_iou,
            ),
            name="sampled_anchors",
        ),
        sampling=ProposalSampling(
            num_classes=num_classes,
            num=section.sampled_boxes,
            max_positive=max_positive,
            positive_iou=section.positive_iou,
            name="sampled_boxes",
        ),
    )
    scores, boxes = final_boxes(of_boxes, proposals, head, size=size)
    final = detection_outputs(
        {0: scores},
        {0: boxes},
        score=detect.score,
        iou=detect.iou,
        nms=detect.nms,
        max_boxes=detect.max_boxes,
        num_candidates=detect.candidates,
        class_agnostic=detect.class_agnostic,
    )
    inputs = truth.inputs
    if isinstance(section, MaskRcnn):
        masks = MaskHead(num_convs=section.mask_convs, channels=section.channels, num_classes=num_classes)
        truth_masks = keras.Input((None, *size), dtype="uint8", name="truth_masks")
        trained += trained_masks(of_boxes, sampled.first(max_positive), masks, truth_masks, size=size)
        final["masks"] = final_masks(of_boxes, final["boxes"], final["classes"], masks, size=size)
        inputs = [*inputs, truth_masks]
    return HeadOutputs(final=final, trained=trained, further_inputs=inputs)


def two_stage_objective(section: FasterRcnn | MaskRcnn) -> Objective:
    """The losses of what the network predicts that is trained, from the recipe's ``model`` section."""
    mask_weight = section.mask_weight if isinstance(section, MaskRcnn) else None
    return two_stage(box_weight=section.box_weight, mask_weight=mask_weight)


def _maps(found: dict[int, Any], section: TwoStageDetector, *, size: Size) -> Pyramid:
    """The maps by level on which boxes are proposed."""
    if section.pyramid:
        return feature_pyramid(found, size=size, levels=section.levels, channels=section.channels)
    (level,) = section.levels
    return {level: resized(found[2**level], sides_of(size, level), name="maps_resized")}
