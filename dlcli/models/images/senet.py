"""Squeeze-and-excitation networks: Hu, Shen and Sun 2018, "Squeeze-and-excitation networks"."""

from dataclasses import dataclass
from typing import Any, Literal

from dlcli.models.images.layers import conv_norm_relu, max_pool, scaled
from dlcli.models.images.residual import bottleneck, first_layers

Tensor = Any  # a symbolic keras.KerasTensor

REDUCTION = 16  # r (section 6.1)


@dataclass(frozen=True)
class Variant:
    """A network with squeeze-and-excitation in each block.

    Attributes:
        num_blocks: number of blocks in each of the four stages.
        cardinality: number of groups of the 3x3 convolutions.
        filters: numbers of filters of a block's three convolutions in the first stage, doubled in each later stage.
        stride_in: the convolution with the stride of a stage's first block, ``1x1`` or ``3x3``.
        has_deep_stem: three 3x3 convolutions in place of the 7x7.
        projection: kernel size of the shortcut's convolution in the stages that halve the maps.
    """

    num_blocks: tuple[int, int, int, int]
    cardinality: int
    filters: tuple[int, int, int]
    stride_in: Literal["1x1", "3x3"]
    has_deep_stem: bool = False
    projection: int = 1


VARIANTS = {
    "se_resnet50": Variant((3, 4, 6, 3), 1, (64, 64, 256), "1x1"),
    "se_resnext50_32x4d": Variant((3, 4, 6, 3), 32, (128, 128, 256), "3x3"),
    "se_resnext101_32x4d": Variant((3, 4, 23, 3), 32, (128, 128, 256), "3x3"),
    "senet154": Variant((3, 8, 36, 3), 64, (128, 256, 256), "3x3", has_deep_stem=True, projection=3),
}
"""SE-ResNet-50 and SE-ResNeXt-50 (table 1), SE-ResNeXt-101 (table 2), and SENet-154 (appendix): an SE-ResNeXt-152 of
64x4d with half the filters in the first 1x1 convolutions, a stem of three 3x3 convolutions, and 3x3 shortcuts."""


def features(inputs: Tensor, *, variant: str, width: float, downsample: Literal["1x1", "3x3"] | None = None) -> Tensor:
    """A squeeze-and-excitation network without its head: the stem and four stages.

    Args:
        inputs: ``[batch, height, width, channels]``, of any size.
        variant: a key of VARIANTS.
        width: factor on the numbers of filters; the cardinality is unchanged.
        downsample: the convolution of a block that has the stride; None for that of the variant.

    Returns:
        ``[batch, ceil(height / 32), ceil(width / 32), 2048 * width]``; the last layer of the i-th stage is
        ``stage{i}``.
    """
    net = VARIANTS[variant]
    stride_in = downsample or net.stride_in
    x = _deep_stem(inputs, width) if net.has_deep_stem else first_layers(inputs, scaled(64, width), small=False)
    for stage, repeats in enumerate(net.num_blocks, start=1):
        reduced, grouped, outputs = (filters * 2 ** (stage - 1) for filters in net.filters)
        for number in range(1, repeats + 1):
            is_first = number == 1
            step = 2 if stage > 1 and is_first else 1
            x = bottleneck(
                x,
                (
                    scaled(reduced, width, groups=net.cardinality),
                    scaled(grouped, width, groups=net.cardinality),
                    scaled(outputs, width),
                ),
                strides=(step, 1) if stride_in == "1x1" else (1, step),
                groups=net.cardinality,
                reduction=REDUCTION,
                projection=None if not is_first else 1 if stage == 1 else net.projection,
                name=f"stage{stage}_block{number}",
                last=f"stage{stage}" if number == repeats else f"stage{stage}_block{number}_out",
            )
    return x


def _deep_stem(inputs: Tensor, width: float) -> Tensor:
    x = conv_norm_relu(inputs, scaled(64, width), 3, strides=2, name="stem_1")
    x = conv_norm_relu(x, scaled(64, width), 3, name="stem_2")
    x = conv_norm_relu(x, scaled(128, width), 3, name="stem_3")
    return max_pool(x, name="stem_pool")
