"""Receptive fields: the part of the input on which one value of a layer's output depends.

Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks" (Distill), equations 1 and 2:
a window of size k enlarges the field by (k - 1) times the product of all earlier strides, which its own stride s then
multiplies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from keras import layers

from dlcli.report.cost import multiply_adds as known
from dlcli.report.cost.multiply_adds import Shape

ReceptiveField = tuple[int, ...] | Literal["all"] | None


@dataclass(frozen=True)
class Window:
    """The receptive field along one axis of a layer's output, channels included.

    Attributes:
        size: number of input positions on which one output position depends; None for all of them.
        step: distance in the input between adjacent output positions.
    """

    size: int | None = 1
    step: int = 1


ALL = Window(None)
POINTWISE = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization, layers.UnitNormalization),
    layers.Normalization,
    *(layers.Dense, layers.EinsumDense, layers.Concatenate, layers.Identity, layers.Masking),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
)
"""Layers whose outputs depend on one position of their inputs, with any of its channels."""
SLIDING = (*known.CONVOLUTIONS, *known.SEPARABLE_CONVOLUTIONS)
WHOLE = (
    *(*known.GLOBAL_POOLINGS, *known.RECURRENT_LAYERS, layers.Bidirectional, layers.GroupNormalization),
    *(layers.Flatten, layers.MultiHeadAttention, layers.Attention, layers.AdditiveAttention),
)
"""Layers whose outputs may depend on all of their inputs."""


def input_windows(shape: Shape) -> tuple[Window, ...]:
    """The windows of an input without the batch dimension: each position depends on itself."""
    return tuple(Window() for _ in shape)


def windows_after(
    layer: Any,
    inputs: Sequence[tuple[Window, ...] | None],
    input_shapes: Sequence[Shape],
    output_shapes: Sequence[Shape],
) -> tuple[Window, ...] | None:
    """The windows of a layer's outputs.

    Args:
        layer: a built Keras layer, or another operation of a model.
        inputs: the windows of its inputs; None for those that are not known.
        input_shapes, output_shapes: shapes without the batch dimension.

    Returns:
        The windows, or None if they are not known.
    """
    kind = type(layer)
    rank = len(output_shapes[0])
    if kind in WHOLE or rank < 2:
        return (ALL,) * rank
    if not inputs or any(windows is None or len(windows) != rank for windows in inputs):
        return None
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    merged = tuple(_widest(axis) for axis in zip(*(windows for windows in inputs if windows is not None), strict=True))
    if kind in SLIDING:
        return _slide(merged, layer.kernel_size, layer.strides, layer.dilation_rate)
    if kind in known.POOLINGS:
        return _slide(merged, layer.pool_size, layer.strides, (1,) * (rank - 1))
    if kind is layers.Permute:
        return tuple(merged[axis - 1] for axis in layer.dims)
    is_same_place = kind in POINTWISE or kind in known.ACTIVATIONS or known.is_elementwise(layer)
    return merged if is_same_place else None


def _widest(axis: Sequence[Window]) -> Window:
    """The window of several inputs together along one axis."""
    sizes = [window.size for window in axis]
    return Window(None if None in sizes else max(size or 0 for size in sizes), max(window.step for window in axis))


def _slide(
    windows: tuple[Window, ...], sizes: Sequence[int], steps: Sequence[int], dilations: Sequence[int]
) -> tuple[Window, ...]:
    """Slides a window over all axes but the channels."""
    slid = [
        Window(None if window.size is None else window.size + (size - 1) * dilation * window.step, window.step * step)
        for window, size, step, dilation in zip(windows[:-1], sizes, steps, dilations, strict=True)
    ]
    return (*slid, Window())


def field_of(windows: tuple[Window, ...] | None) -> ReceptiveField:
    """The sides of the receptive field, without the channels."""
    if windows is None:
        return None
    sizes = [window.size for window in windows[:-1]]
    sides = tuple(size for size in sizes if size is not None)
    return sides if sides and len(sides) == len(sizes) else "all"
