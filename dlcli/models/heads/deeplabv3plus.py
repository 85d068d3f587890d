"""DeepLabv3+: Chen, Zhu, Papandreou, Schroff and Adam 2018, "Encoder-decoder with atrous separable convolution for
semantic image segmentation".

The encoder is that of Chen, Papandreou, Schroff and Adam 2017, "Rethinking atrous convolution for semantic image
segmentation", on a dilated backbone (`models.images.dilation.dilated`).
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlcli.models.heads.dense_prediction import resized, resized_logits, sides
from dlcli.models.images.layers import conv_norm_relu, kernel_initializer, norm, relu

Tensor = Any  # a symbolic keras.KerasTensor

RATES = (6, 12, 18)  # of the 3x3 convolutions at a stride of 16 (2017, section 3.3)
LOW_LEVEL_STRIDE = 4
LOW_LEVEL_FILTERS = 48  # of the low-level maps in the decoder (2018, section 4.1, table 1)


def deeplabv3plus(
    taps: Mapping[int, Tensor],
    *,
    size: tuple[int, int],
    filters: int,
    separable: bool,
    dropout: float,
    num_classes: int,
) -> Tensor:
    """Atrous spatial pyramid pooling, and a decoder with one skip connection (2018, figure 2).

    Args:
        taps: maps by stride; the coarsest and those of stride 4 are used.
        size: height and width of the image; any: maps are resized to the finer ones.
        filters: number of filters of all convolutions but that of the low-level maps; 256 in the paper.
        separable: use depthwise separable convolutions in place of the 3x3 convolutions (2018, section 3.1).
        dropout: dropout rate after atrous spatial pyramid pooling.
        num_classes: number of classes.

    Returns:
        float32 logits ``[batch, height, width, classes]``, the output of the layer ``logits``.
    """
    stride = max(taps)
    rates = [max(1, rate * 16 // stride) for rate in RATES]  # "doubled when output_stride = 8" (2017, section 3.3)
    x = _pyramid_pooling(taps[stride], rates, filters, separable=separable)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="aspp_dropout")(x)

    low_level = taps[LOW_LEVEL_STRIDE]
    x = resized(x, sides(low_level), name="decoder_resized")
    low_level = conv_norm_relu(low_level, LOW_LEVEL_FILTERS, 1, name="decoder_low_level")
    x = keras.layers.Concatenate(name="decoder_join")([x, low_level])
    for number in (1, 2):
        x = _conv_norm_relu(x, filters, rate=1, separable=separable, name=f"decoder_{number}")
    scores = keras.layers.Conv2D(num_classes, 1, dtype="float32", name="scores")(x)
    return resized_logits(scores, size)


def _pyramid_pooling(x: Tensor, rates: list[int], filters: int, *, separable: bool) -> Tensor:
    """A 1x1 convolution, three atrous 3x3 convolutions and the mean of the image, concatenated (2017, figure 5)."""
    branches = [conv_norm_relu(x, filters, 1, name="aspp_1")]
    for number, rate in enumerate(rates, start=2):
        branches.append(_conv_norm_relu(x, filters, rate=rate, separable=separable, name=f"aspp_{number}"))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    mean = conv_norm_relu(mean, filters, 1, name="aspp_image")
    branches.append(keras.layers.UpSampling2D(sides(x), name="aspp_image_everywhere")(mean))
    x = keras.layers.Concatenate(name="aspp_join")(branches)
    return conv_norm_relu(x, filters, 1, name="aspp_out")


def _conv_norm_relu(x: Tensor, filters: int, *, rate: int, separable: bool, name: str) -> Tensor:
    if not separable:
        return conv_norm_relu(x, filters, 3, dilation_rate=rate, name=name)
    x = keras.layers.SeparableConv2D(
        filters,
        3,
        dilation_rate=rate,
        padding="same",
        use_bias=False,
        depthwise_initializer=kernel_initializer("relu"),
        pointwise_initializer=kernel_initializer("relu"),
        name=f"{name}_conv",
    )(x)
    return relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")
