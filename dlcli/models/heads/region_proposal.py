"""The region proposal network of two-stage detectors: Ren, He, Girshick and Sun 2015, "Faster R-CNN", section 3.1; on
the levels of a pyramid as in Lin et al. 2017, "Feature pyramid networks for object detection", section 4.1.

Only layers and operations of Keras are used, so that saved models load without this program.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.models.heads.anchors import Size, anchor_sides
from dlcli.models.heads.box_coding import anchored_boxes
from dlcli.models.heads.dense_detection import joined, predictions, subnet
from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.selection import select
from dlcli.models.heads.suppression import earlier_overlaps, greedy_keep

Tensor = Any  # a symbolic keras.KerasTensor


@dataclass(frozen=True)
class Proposals:
    """Where there may be objects.

    Attributes:
        trained: the objectness logit of each anchor, float32 ``[b, n, 1]``, the output of the layer
            ``objectness_logits``, and the boxes relative to the anchors ``[b, n, 4]``, that of ``proposal_deltas``.
        boxes: the proposals, rel_xyxy ``[b, k, 4]`` within the image, by descending objectness. No gradient flows
            through them.
        are_kept: float32 ``[b, k]``: 0 for boxes that only fill up a list.
    """

    trained: list[Tensor]
    boxes: Tensor
    are_kept: Tensor


def region_proposals(
    pyramid: Pyramid,
    *,
    size: Size,
    channels: int,
    sizes: Sequence[float],
    ratios: Sequence[float],
    num_candidates: int,
    iou: float,
    num_proposals: int,
) -> Proposals:
    """A 3x3 convolution, and on it the objectness of each anchor and its box; all levels share the weights.

    The boxes of the ``num_candidates`` most probable objects are candidates; non-maximum suppression keeps at most
    ``num_proposals`` of them.

    Args:
        pyramid: maps by level.
        size: height and width of the image.
        channels: of the convolution.
        sizes, ratios: of the anchors at each position, see `anchors.anchor_sides`.
        iou: intersection over union above which a candidate removes less probable ones; 0.7 in the paper.
    """
    maps = subnet(pyramid, num_convs=1, channels=channels, normalization="none", name="proposal")
    per_position = len(sizes) * len(ratios)
    logits = predictions(maps, values=1, per_position=per_position, name="objectness")
    deltas = predictions(maps, values=4, per_position=per_position, name="proposal_box")
    boxes = [
        anchored_boxes(x, size=size, level=level, sides=anchor_sides(level, sizes=sizes, ratios=ratios))
        for level, x in deltas.items()
    ]
    trained = [joined(logits, name="objectness_logits"), joined(deltas, name="proposal_deltas")]
    all_logits = keras.ops.stop_gradient(trained[0])[..., 0]
    all_boxes = keras.ops.stop_gradient(keras.ops.concatenate(boxes, axis=1))
    best, index = keras.ops.top_k(all_logits, min(num_candidates, all_logits.shape[1]))
    candidates = keras.ops.clip(select(all_boxes, index), 0.0, 1.0)
    keep = greedy_keep(earlier_overlaps(candidates, None), iou=iou) * _has_area(candidates)
    # those that are kept, in their order, and after them the others
    rank = keras.ops.cast(keras.ops.arange(best.shape[1], 0, -1), "float32")
    _, order = keras.ops.top_k(keep * rank, min(num_proposals, best.shape[1]))
    return Proposals(
        trained,
        boxes=select(candidates, order),
        are_kept=select(keep, order),
    )


def _has_area(boxes: Tensor) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2]
    return keras.ops.cast(keras.ops.min(sides, axis=-1) > 0.0, "float32")
