"""Convolution and pooling of one signal or image, in float64: Goodfellow, Bengio and Courville 2016, chapter 9."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Padding = Literal["valid", "same", "full"]
Border = Literal["zeros", "nearest", "reflect", "wrap"]
PADDINGS, BORDERS = get_args(Padding), get_args(Border)

PAD_MODES: dict[Border, Literal["constant", "edge", "symmetric", "wrap"]] = {
    "zeros": "constant",
    "nearest": "edge",
    "reflect": "symmetric",
    "wrap": "wrap",
}
"""NumPy's names of what is beyond the border; the keys are those of scipy.ndimage."""


def pad_widths(length: int, size: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Number of values to add before and after an axis.

    ``valid`` adds none, ``full`` as many that every value meets every weight, ``same`` as many that there are
    ``ceil(length / stride)`` outputs, the odd one at the end, as Keras does.
    """
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return size - 1, size - 1
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def output_length(length: int, size: int, stride: int, pads: tuple[int, int]) -> int:
    """floor((length + pads - size) / stride) + 1; 0 or less if the kernel does not fit."""
    return (length + sum(pads) - size) // stride + 1


def convolve(
    values: Array,
    kernel: Array,
    *,
    stride: int = 1,
    padding: Padding = "valid",
    border: Border = "zeros",
    flip: bool = True,
) -> Array:
    """The convolution of a signal or an image with a kernel, each channel by itself.

    Args:
        values: ``[steps]`` for a kernel ``[size]``; ``[height, width, channels]`` for one of ``[height, width]``.
        stride: distance between two positions of the kernel, on every axis.
        border: what the added values are.
        flip: convolution (equation 9.4), where the kernel is reversed; False for the cross-correlation (9.6), which
            the layers of networks compute.

    Returns:
        ``[steps]`` or ``[height, width, channels]``.

    Raises:
        ValueError: the kernel is larger than the padded input.
    """
    axes = range(kernel.ndim)
    pads = [pad_widths(values.shape[axis], kernel.shape[axis], stride, padding) for axis in axes]
    lengths = [output_length(values.shape[axis], kernel.shape[axis], stride, pads[axis]) for axis in axes]
    if min(lengths) < 1:
        raise ValueError(f"a kernel of {shape_text(kernel.shape)} is larger than the input")
    rest = values.shape[kernel.ndim :]
    padded = np.pad(values, [*pads, *((0, 0) for _ in rest)], mode=PAD_MODES[border])
    result = np.zeros((*lengths, *rest))
    for offsets, weight in np.ndenumerate(np.flip(kernel) if flip else kernel):
        result += weight * padded[_every(offsets, lengths, stride)]
    return result


def max_pool(values: Array, size: int, stride: int, *, rank: int) -> Array:
    """The maximum of each window of ``size`` values on the first ``rank`` axes, without padding.

    Raises:
        ValueError: the window is larger than the input.
    """
    lengths = [output_length(length, size, stride, (0, 0)) for length in values.shape[:rank]]
    if min(lengths) < 1:
        raise ValueError(f"a pooling window of {size} is larger than the {shape_text(values.shape[:rank])} values")
    result = np.full((*lengths, *values.shape[rank:]), -np.inf)
    for offsets in np.ndindex(*[size] * rank):
        np.maximum(result, values[_every(offsets, lengths, stride)], out=result)
    return result


def shifted(values: Array, steps: int, *, border: Border) -> Array:
    """The values moved by ``steps`` along a signal or to the right in an image (left if negative)."""
    axis = 0 if values.ndim == 1 else 1
    pads = [(0, 0)] * values.ndim
    pads[axis] = (max(steps, 0), max(-steps, 0))
    padded = np.pad(values, pads, mode=PAD_MODES[border])
    start = max(-steps, 0)
    return np.take(padded, range(start, start + values.shape[axis]), axis=axis)


def shape_text(shape: tuple[int, ...]) -> str:
    """``3`` or ``3x5``."""
    return "x".join(map(str, shape))


def _every(offsets: tuple[int, ...], lengths: list[int], stride: int) -> tuple[slice, ...]:
    """What one weight meets: from its offset, every ``stride`` values."""
    return tuple(
        slice(start, start + (length - 1) * stride + 1, stride) for start, length in zip(offsets, lengths, strict=True)
    )
