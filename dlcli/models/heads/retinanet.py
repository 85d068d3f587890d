"""RetinaNet: Lin, Goyal, Girshick, He and Dollár 2017, "Focal loss for dense object detection"."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.heads.anchors import Size, anchor_sides
from dlcli.models.heads.box_coding import anchored_boxes
from dlcli.models.heads.dense_detection import DenseOutputs, joined, predictions, prior_bias, subnet
from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.normalization import Normalization

Tensor = Any  # a symbolic keras.KerasTensor


def retinanet(
    pyramid: Pyramid,
    *,
    size: Size,
    num_convs: int,
    channels: int,
    normalization: Normalization,
    sizes: Sequence[float],
    ratios: Sequence[float],
    num_classes: int,
) -> DenseOutputs:
    """A subnet for classes and one for boxes, both shared by all levels (section 4, figure 3).

    Args:
        pyramid: maps by level.
        size: height and width of the image.
        num_convs, channels, normalization: of the subnets, see `dense_detection.subnet`.
        sizes, ratios: of the anchors at each position, see `anchors.anchor_sides`.
        num_classes: number of classes, without background.

    Returns:
        what is trained: logits ``[b, n, classes]``, the output of the layer ``class_logits``, boxes relative to the
        anchors ``[b, n, 4]`` (see `box_coding`), that of ``box_deltas``, and the same boxes rel_xyxy, that of
        ``predicted_boxes``.
    """
    keys: dict[str, Any] = {"num_convs": num_convs, "channels": channels, "normalization": normalization}
    per_position = len(sizes) * len(ratios)
    logits = predictions(
        subnet(pyramid, name="class", **keys),
        values=num_classes,
        per_position=per_position,
        bias=prior_bias(),
        name="class_outputs",
    )
    deltas = predictions(subnet(pyramid, name="box", **keys), values=4, per_position=per_position, name="box_outputs")
    boxes = {
        level: anchored_boxes(x, size=size, level=level, sides=anchor_sides(level, sizes=sizes, ratios=ratios))
        for level, x in deltas.items()
    }
    return DenseOutputs(
        trained=[
            joined(logits, name="class_logits"),
            joined(deltas, name="box_deltas"),
            joined(boxes, name="predicted_boxes"),
        ],
        scores={level: keras.ops.sigmoid(x) for level, x in logits.items()},
        boxes=boxes,
    )
