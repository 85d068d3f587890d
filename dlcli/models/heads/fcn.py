"""FCN: Long, Shelhamer and Darrell 2015, "Fully convolutional networks for semantic segmentation"."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dlcli.models.heads.dense_prediction import resized, resized_logits, sides
from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor

UP_KERNEL = 4  # of the convolutions that double the sides: a factor f needs 2f pixels for bilinear interpolation


def fcn(
    taps: Mapping[int, Tensor],
    *,
    size: tuple[int, int],
    stride: int,
    dense: Sequence[int],
    dropout: float,
    num_classes: int,
) -> Tensor:
    """FCN-32s, FCN-16s or FCN-8s: scores of each map, enlarged by two and added (section 4.2, figure 3).

    Args:
        taps: maps by stride, which are powers of two. On VGG the paper scores the pooled maps, pool5, pool4 and pool3
            (`models.images.taps.first_maps`).
        size: height and width of the image; any: maps are resized to the finer ones where rounding made them differ.
        stride: the smallest stride of which the maps are scored: 32, 16 or 8. ``taps`` must have all strides from it to
            the coarsest.
        dense: numbers of filters of the convolutions before the coarsest scores: for VGG its dense layers as
            convolutions, [4096, 4096], the first one 7x7 and the others 1x1 (section 4.1).
        dropout: dropout rate after each of them.
        num_classes: number of classes.

    The convolutions that double the sides start as bilinear interpolation and are trained; the last one, to the size of
    the image, is fixed to it, as in the paper (section 4.3). The scores of finer maps start at zero, so that training
    starts from the coarse predictions (section 4.2).

    Returns:
        float32 logits ``[batch, height, width, classes]``, the output of the layer ``logits``.
    """
    strides = sorted((each for each in taps if each >= stride), reverse=True)
    x = taps[strides[0]]
    for number, filters in enumerate(dense, start=1):
        name = f"fcn_dense{number}"
        x = keras.layers.Conv2D(
            filters,
            7 if number == 1 else 1,
            padding="same",
            activation="relu",
            kernel_initializer=kernel_initializer("relu"),
            name=name,
        )(x)
        if dropout > 0:
            x = keras.layers.Dropout(dropout, name=f"fcn_dropout{number}")(x)
    scores = keras.layers.Conv2D(num_classes, 1, dtype="float32", name=f"fcn_scores{strides[0]}")(x)
    for finer in strides[1:]:
        scores = resized(_doubled(scores, name=f"fcn_up{finer}"), sides(taps[finer]), name=f"fcn_resized{finer}")
        skip = keras.layers.Conv2D(
            num_classes, 1, kernel_initializer="zeros", dtype="float32", name=f"fcn_scores{finer}"
        )(taps[finer])
        scores = keras.layers.Add(dtype="float32", name=f"fcn_add{finer}")([skip, scores])
    return resized_logits(scores, size)


def _doubled(scores: Tensor, *, name: str) -> Tensor:
    """A transposed convolution that starts as bilinear interpolation by two of each map."""
    num_classes = scores.shape[-1]
    layer = keras.layers.Conv2DTranspose(
        num_classes,
        UP_KERNEL,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(bilinear_kernel(num_classes), dtype),
        dtype="float32",
        name=name,
    )
    scores = layer(scores)
    layer.kernel_initializer = keras.initializers.Zeros()  # for the saved config, which cannot hold a function
    return scores


def bilinear_kernel(channels: int) -> Any:
    """The kernel float32 ``[4, 4, channels, channels]`` that doubles each map's sides by bilinear interpolation."""
    weights = np.array([1, 3, 3, 1]) / 4  # distances of 3/4 and 1/4 to the positions on both sides
    return (np.outer(weights, weights)[:, :, None, None] * np.eye(channels)).astype("float32")
