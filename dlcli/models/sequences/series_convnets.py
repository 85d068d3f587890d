"""The fully convolutional network and the residual network for time series of Wang, Yan and Oates 2017."""

from collections.abc import Sequence
from typing import Any

from dlcli.models.sequences.batch_norm import conv, norm, relu, sum_with_shortcut
from dlcli.models.sequences.pooling import masked

Tensor = Any  # a symbolic keras.KerasTensor

FCN_KERNELS = (8, 5, 3)
RESNET_KERNELS = (8, 5, 3)  # of the convolutions of each block


def fcn_steps(x: Tensor, mask: Tensor, *, filters: Sequence[int]) -> Tensor:
    """The fully convolutional network (figure 1b): three convolutions of 8, 5 and 3 steps, each with batch
    normalization and ReLU.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        filters: of each convolution; 128, 256 and 128 in the paper.

    Returns:
        ``[batch, steps, filters]``.
    """
    for number, (width, kernel_size) in enumerate(zip(filters, FCN_KERNELS, strict=True), start=1):
        x = conv(x, mask, width, kernel_size, name=f"conv{number}")
        x = relu(norm(x, mask, name=f"conv{number}_norm"), name=f"stage{number}")
    return masked(x, mask)


def resnet_steps(x: Tensor, mask: Tensor, *, filters: Sequence[int]) -> Tensor:
    """The residual network (figure 1c): blocks of three convolutions of 8, 5 and 3 steps, with a shortcut around each.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        filters: of each block; 64, 128 and 128 in the paper.

    Returns:
        ``[batch, steps, filters]``.
    """
    for block, width in enumerate(filters, start=1):
        y = x
        for number, kernel_size in enumerate(RESNET_KERNELS, start=1):
            y = conv(y, mask, width, kernel_size, name=f"block{block}_conv{number}")
            y = norm(y, mask, name=f"block{block}_norm{number}")
            if number < len(RESNET_KERNELS):
                y = relu(y, name=f"block{block}_relu{number}")
        x = sum_with_shortcut(y, mask, x, is_projected=x.shape[-1] != width, name=f"stage{block}")
    return masked(x, mask)
