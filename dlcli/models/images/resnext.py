"""ResNeXt: Xie, Girshick, Dollár, Tu and He 2017, "Aggregated residual transformations for deep neural networks"."""

from typing import Any

from dlcli.models.images.layers import scaled
from dlcli.models.images.residual import bottleneck, first_layers

Tensor = Any  # a symbolic keras.KerasTensor

VARIANTS = {
    "50_32x4d": ((3, 4, 6, 3), 32, 4),
    "101_32x8d": ((3, 4, 23, 3), 32, 8),
    "101_64x4d": ((3, 4, 23, 3), 64, 4),
}
"""Numbers of blocks in conv2_x to conv5_x (table 1), cardinality C, and group width d in conv2_x."""


def features(inputs: Tensor, *, variant: str, width: float) -> Tensor:
    """ResNeXt without its head: conv1 and four stages of grouped bottleneck blocks (table 1).

    Args:
        inputs: ``[batch, height, width, channels]``, of any size.
        variant: depth, cardinality and group width: ``50_32x4d`` is the network of table 1.
        width: factor on the group width d and on the other numbers of filters; the cardinality is unchanged.

    Returns:
        ``[batch, ceil(height / 32), ceil(width / 32), 2048 * width]``; the last layer of the i-th stage (conv2_x to
        conv5_x) is ``stage{i}``.
    """
    num_blocks, cardinality, group_width = VARIANTS[variant]
    x = first_layers(inputs, scaled(64, width), small=False)
    for stage, repeats in enumerate(num_blocks, start=1):
        outputs = scaled(256 * 2 ** (stage - 1), width)
        grouped = scaled(cardinality * group_width * 2 ** (stage - 1), width, groups=cardinality)  # figure 3(c)
        for number in range(1, repeats + 1):
            x = bottleneck(
                x,
                (grouped, grouped, outputs),
                strides=(1, 2 if stage > 1 and number == 1 else 1),
                groups=cardinality,
                projection=1 if number == 1 else None,
                name=f"stage{stage}_block{number}",
                last=f"stage{stage}" if number == repeats else f"stage{stage}_block{number}_out",
            )
    return x
