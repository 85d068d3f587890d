"""U-Net: Ronneberger, Fischer and Brox 2015, "U-Net: convolutional networks for biomedical image segmentation"."""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from dlcli.models.heads.dense_prediction import resized, sides
from dlcli.models.images.layers import kernel_initializer, norm, relu

Tensor = Any  # a symbolic keras.KerasTensor


def contracting_path(inputs: Tensor, *, depth: int, filters: int, batch_norm: bool) -> dict[int, Tensor]:
    """The left side of figure 1: two 3x3 convolutions at each level, and 2x2 max pooling between levels.

    As in most implementations, and other than in the paper, convolutions are padded, so that the output has the size of
    the image. Sides that are not divisible are rounded up.

    Args:
        inputs: ``[batch, height, width, channels]``, of any size.
        depth: number of poolings, 4 in the paper.
        filters: number of filters at the first level, doubled at each further one; 64 in the paper.
        batch_norm: normalize between each convolution and its ReLU; the convolutions then have no bias. The paper does
            not normalize.

    Returns:
        The maps at strides 1, 2, …, 2 ** depth; the last layer of each level is ``stage1``, ``stage2``, ….
    """
    x, maps = inputs, {}
    for level in range(depth + 1):
        stage = f"stage{level + 1}"
        if level > 0:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"{stage}_pool")(x)
        x = _two_convolutions(x, filters * 2**level, batch_norm=batch_norm, name=stage, last=stage)
        maps[2**level] = x
    return maps


def unet(
    taps: Mapping[int, Tensor],
    *,
    size: tuple[int, int],
    filters: int,
    batch_norm: bool,
    dropout: float,
    upsampling: Literal["transposed", "bilinear"],
    num_classes: int,
) -> Tensor:
    """The right side of figure 1, the expansive path, on the maps of any network.

    At each level the maps are enlarged to the size of the next finer ones, concatenated to them, and followed by two
    3x3 convolutions. Levels finer than the finest maps, which most networks need because they start with strides, have
    no skip connection. The path ends with 1x1 convolutions at the size of the image.

    Args:
        taps: maps by stride, such as those of `contracting_path` or of a backbone (`models.images.taps.taps`).
        size: height and width of the image; any, also not divisible by the strides: maps are resized to the finer ones.
        filters: number of filters at the size of the image, doubled at each coarser level: 64 in the paper.
        batch_norm: as in `contracting_path`.
        dropout: dropout rate for the coarsest maps: "at the end of the contracting path" (section 3.1).
        upsampling: transposed convolution to the level's number of filters, whose kernel is as large as the factor (the
            paper's 2x2 "up-convolution"), or bilinear interpolation, without weights.
        num_classes: number of classes.

    Returns:
        float32 logits ``[batch, height, width, classes]``, the output of the layer ``logits``.
    """
    strides = sorted(taps, reverse=True)
    x, stride = taps[strides[0]], strides[0]
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="decoder_dropout")(x)
    levels = _levels(strides)
    for number, finer in enumerate(levels, start=1):
        name = f"decoder{number}"
        count = filters * 2 ** (len(levels) - number)
        skip = taps.get(finer)
        to = sides(skip) if skip is not None else (-(-size[0] // finer), -(-size[1] // finer))
        if upsampling == "transposed":
            step = max(1, round(stride / finer))
            x = keras.layers.Conv2DTranspose(
                count, step, strides=step, kernel_initializer=kernel_initializer("relu"), name=f"{name}_up"
            )(x)
        x = resized(x, to, name=f"{name}_resized")
        if skip is not None:
            x = keras.layers.Concatenate(name=f"{name}_join")([skip, x])
        x = _two_convolutions(x, count, batch_norm=batch_norm, name=name, last=f"{name}_out")
        stride = finer
    return keras.layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)


def _levels(strides: list[int]) -> list[int]:
    """The strides of the levels of the expansive path: those of the finer maps, then halvings to 1."""
    levels = strides[1:]
    finest = strides[-1]
    while finest > 1:
        finest = finest // 2
        levels.append(finest)
    return levels


def _two_convolutions(x: Tensor, filters: int, *, batch_norm: bool, name: str, last: str) -> Tensor:
    for number in (1, 2):
        x = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer=kernel_initializer("relu"),
            name=f"{name}_conv{number}",
        )(x)
        if batch_norm:
            x = norm(x, name=f"{name}_norm{number}")
        x = relu(x, name=last if number == 2 else f"{name}_relu{number}")
    return x
