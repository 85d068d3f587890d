"""Builds a detector: the feature maps of an image network, a pyramid, subnets, and the outputs of the saved model."""

from dataclasses import replace
from typing import Any, assert_never

from dlcli.models.heads import fcos, retinanet
from dlcli.models.heads.dense_detection import DenseOutputs
from dlcli.models.heads.detection_outputs import detection_outputs as final_outputs
from dlcli.models.heads.feature_pyramid import backbone_strides, feature_pyramid
from dlcli.models.images.taps import check_strides, taps
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.backbone import without_classifier
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import (
    AnyDetector,
    FasterRcnn,
    Fcos,
    MaskRcnn,
    Retinanet,
    TwoStageDetector,
)
from dlcli.tasks.detection.two_stage import two_stage_outputs
from dlcli.tasks.images.network import Features, HeadOutputs, InputShape, features
from dlcli.tasks.images.standardization import Standardization


def maps_of(
    section: AnyDetector,
    *,
    shape: InputShape,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> Features:
    """Build the backbone, up to its last feature maps.

    Args:
        augment, standardization: as for :func:`dlcli.tasks.images.network.features`.

    Raises:
        InputError: the network cannot take images of this shape.
    """
    base = features(without_classifier(section.backbone), shape=shape, augment=augment, standardization=standardization)
    maps = base.maps
    return replace(base, kind=section.kind, base=maps, vector=maps, ends=(base.ends[0], maps))


def detection_outputs(base: Features, section: AnyDetector, *, detect: Detect, num_classes: int) -> HeadOutputs:
    """What a detector predicts.

    Of RetinaNet the loss is taken from class logits ``[b, n, classes]``, boxes relative to the anchors ``[b, n, 4]``
    and boxes rel_xyxy, of FCOS from class logits, boxes rel_xyxy and logits of the centerness ``[b, n, 1]``; all are
    float32. Of the others see :func:`dlcli.tasks.detection.two_stage.two_stage_outputs`. The saved model has the
    dictionary of :func:`dlcli.models.heads.detection_outputs.detection_outputs`.

    Raises:
        InputError: the backbone lacks feature maps at a stride that the pyramid needs.
    """
    x, maps = base.ends
    found = taps(x, maps)
    size = tuple(base.inputs.shape[1:3])
    has_pyramid = not isinstance(section, TwoStageDetector) or section.pyramid
    strides = backbone_strides(section.levels) if has_pyramid else (2 ** section.levels[0],)
    check_strides(found, strides, network=section.backbone.kind, purpose=section.kind)
    if isinstance(section, FasterRcnn | MaskRcnn):
        return two_stage_outputs(found, section, size=size, detect=detect, num_classes=num_classes)
    outputs = _outputs(found, section, size=size, num_classes=num_classes)
    final = final_outputs(
        outputs.scores,
        outputs.boxes,
        score=detect.score,
        iou=detect.iou,
        nms=detect.nms,
        max_boxes=detect.max_boxes,
        num_candidates=detect.candidates,
        class_agnostic=detect.class_agnostic,
    )
    return HeadOutputs(final=final, trained=outputs.trained)


def _outputs(
    found: dict[int, Any], section: Fcos | Retinanet, *, size: tuple[int, int], num_classes: int
) -> DenseOutputs:
    pyramid = feature_pyramid(found, size=size, levels=section.levels, channels=section.channels)
    match section:
        case Fcos():
            return fcos.fcos(
                pyramid,
                size=size,
                num_convs=section.num_convs,
                channels=section.channels,
                normalization=section.normalization,
                initial_distance=section.largest_distance / 2,
                num_classes=num_classes,
            )
        case Retinanet():
            return retinanet.retinanet(
                pyramid,
                size=size,
                num_convs=section.num_convs,
                channels=section.channels,
                normalization=section.normalization,
                sizes=section.anchor_sizes,
                ratios=section.anchor_ratios,
                num_classes=num_classes,
            )
        case _:
            assert_never(section)
