"""InceptionTime (Ismail Fawaz et al. 2020): convolutions with long kernels of several lengths, side by side."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.sequences.batch_norm import conv, norm, relu, sum_with_shortcut
from dlcli.models.sequences.pooling import masked

Tensor = Any  # a symbolic keras.KerasTensor

MODULES_OF_BLOCK = 3  # after which a shortcut is added
LOWEST = -65504.0  # float16's


def steps(
    x: Tensor,
    mask: Tensor,
    *,
    filters: int,
    kernel_sizes: Sequence[int],
    bottleneck: int,
    modules: int,
    residual: bool,
) -> Tensor:
    """Inception modules (figure 2), with a shortcut around every three of them (figure 1).

    A module has ``filters`` filters of each kernel size, which read a bottleneck of the input, and as many that read
    the maximum of three steps; all are concatenated, normalized and rectified. In the paper the kernels have 40, 20 and
    10 steps; it averages the probabilities of five such networks, of which this is one.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        filters: number of filters of each branch.
        kernel_sizes: a branch for each.
        bottleneck: number of features that branches read. A single feature has no bottleneck, as in the authors' code.
        modules: number of modules.
        residual: add a shortcut, with batch normalization, after every three modules.

    Returns:
        ``[batch, steps, filters * (1 + number of kernel sizes)]``.
    """
    shortcut = x
    for number in range(1, modules + 1):
        name = f"module{number}"
        narrow = x if x.shape[-1] == 1 else conv(x, mask, bottleneck, 1, name=f"{name}_bottleneck")
        branches = [conv(narrow, mask, filters, size, name=f"{name}_conv{size}") for size in kernel_sizes]
        highest = keras.ops.where(mask[..., None], x, keras.ops.full_like(x, LOWEST))
        highest = keras.layers.MaxPooling1D(3, strides=1, padding="same", name=f"{name}_pool")(highest)
        branches.append(conv(highest, mask, filters, 1, name=f"{name}_pool_conv"))
        y = keras.layers.Concatenate(name=f"{name}_branches")(branches)
        x = relu(norm(y, mask, name=f"{name}_norm"), name=name)
        if residual and number % MODULES_OF_BLOCK == 0:
            name = f"stage{number // MODULES_OF_BLOCK}"
            x = shortcut = sum_with_shortcut(x, mask, shortcut, is_projected=True, name=name)
    return masked(x, mask)
