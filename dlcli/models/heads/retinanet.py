"""RetinaNet: Lin, Goyal, Girshick, He and Dollár 2017, "Focal loss for dense object detection"."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dlcli.models.heads.anchors import Size, anchor_sides, axes_of, sides_of
from dlcli.models.heads.box_coding import decoded
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
        what is trained: logits ``[b, n, classes]``, the output of the layer ``class_logits``, and boxes relative to the
        anchors ``[b, n, 4]`` (see `box_coding`), that of ``box_deltas``.
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
    return DenseOutputs(
        trained=[joined(logits, name="class_logits"), joined(deltas, name="box_deltas")],
        scores={level: keras.ops.sigmoid(x) for level, x in logits.items()},
        boxes={
            level: _boxes(x, size=size, level=level, sides=anchor_sides(level, sizes=sizes, ratios=ratios))
            for level, x in deltas.items()
        },
    )


def _boxes(deltas: Tensor, *, size: Size, level: int, sides: np.ndarray) -> Tensor:
    """The boxes of a level, rel_xyxy ``[b, n, 4]``.

    The anchors' rows, columns and sides broadcast, so that saved models hold few constants.
    """
    rows, columns = axes_of(size, level)
    height, width = size
    num_rows, num_columns = sides_of(size, level)
    grid = keras.ops.reshape(deltas, (-1, num_rows, num_columns, len(sides), 4))
    boxes = decoded(
        grid,
        x=(columns / width).astype(np.float32)[None, None, :, None],
        y=(rows / height).astype(np.float32)[None, :, None, None],
        width=(sides[:, 0] / width).astype(np.float32),
        height=(sides[:, 1] / height).astype(np.float32),
    )
    return keras.ops.reshape(boxes, (-1, num_rows * num_columns * len(sides), 4))
