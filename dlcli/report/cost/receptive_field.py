"""Receptive fields: the part of the input on which one value of a layer's output depends.

Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks" (Distill), equations 1 and 2:
a window of size k enlarges the field by (k - 1) times the product of all earlier strides, which its own stride s then
multiplies. Where layers enlarge maps, positions have fields of different sizes, and the largest one is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from keras import layers

from dlcli.report.cost import multiply_adds as known
from dlcli.report.cost.multiply_adds import Shape

ReceptiveField = tuple[int, ...] | Literal["all"] | None


@dataclass(frozen=True)
class Window:
    """The receptive field along one axis of a layer's output, channels included.

    Attributes:
        size: number of input positions on which one output position depends, before the first layer that enlarges the
            maps; None for all of them.
        step: distance in the input between adjacent output positions.
        start: the first input position on which the first output position depends: negative by the padding before it;
            None if it is not known, as after layers that enlarge the maps.
        grids: for each layer that enlarges the maps the step before it, and the distance between the first and the last
            of the finer positions on which one output depends.
    """

    size: int | None = 1
    step: Fraction = Fraction(1)
    start: Fraction | None = Fraction(0)
    grids: tuple[tuple[Fraction, Fraction], ...] = ()

    @property
    def field(self) -> int | None:
        """Number of input positions on which an output may depend; None for all of them."""
        if self.size is None:
            return None
        distance = Fraction(0)
        for step, spread in reversed(self.grids):  # the most coarse positions that so many finer ones can reach
            distance = math.floor((distance + spread) / step) * step
        return self.size + int(distance)

    def span(self, position: int) -> tuple[int, int] | None:
        """The first input position on which an output position depends, and the one after the last.

        They are beyond the input where padding is. None if they are not known, or for all positions.
        """
        if self.size is None or self.start is None or self.grids:
            return None
        first = int(self.start + position * self.step)
        return first, first + self.size

    def moved(self, distance: int | None) -> "Window":
        """The window after the maps begin so many positions later, or earlier if negative; None if it is not known."""
        is_known = distance is not None and self.start is not None
        return replace(self, start=self.start + distance * self.step if is_known else None)  # type: ignore[operator]

    def widened(self, distance: Fraction) -> "Window":
        """The window of several positions, of which the first and the last have this distance in the input."""
        if self.size is None:
            return self
        if not self.grids:
            return replace(self, size=self.size + int(distance))
        *coarser, (step, spread) = self.grids
        return replace(self, grids=(*coarser, (step, spread + distance)))

    def refined(self, factor: Fraction, spread: Fraction) -> "Window":
        """The window of positions between the previous ones.

        Args:
            factor: the number of new positions for each previous one.
            spread: number of new positions between the first and last ones that share a previous one with them.
        """
        step = self.step / factor
        return replace(self, step=step, start=None, grids=(*self.grids, (self.step, spread * step)))


ALL = Window(None)
POINTWISE = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization, layers.UnitNormalization),
    layers.Normalization,
    *(layers.Dense, layers.EinsumDense, layers.Concatenate, layers.Identity, layers.Masking),
)
"""Layers whose outputs depend on one position of their inputs, with any of its channels."""
ZERO_PADDINGS = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
MARGINS = (*ZERO_PADDINGS, *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D))
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
        padded = _padded(merged, layer, input_shapes[0], layer.kernel_size, layer.dilation_rate)
        return _slide(padded, layer.kernel_size, layer.strides, layer.dilation_rate)
    if kind in known.TRANSPOSED_CONVOLUTIONS and set(layer.dilation_rate) == {1}:
        return _transpose(merged, layer.kernel_size, layer.strides)
    if known.is_interpolation(layer):
        return _interpolate(merged, input_shapes[0], output_shapes[0], is_nearest=layer.interpolation == "nearest")
    if kind in known.POOLINGS:
        padded = _padded(merged, layer, input_shapes[0], layer.pool_size, (1,) * (rank - 1))
        return _slide(padded, layer.pool_size, layer.strides, (1,) * (rank - 1))
    if kind in MARGINS:
        return _with_margins(merged, layer)
    if kind is layers.Permute:
        return tuple(merged[axis - 1] for axis in layer.dims)
    is_same_place = kind in POINTWISE or kind in known.ACTIVATIONS or known.is_elementwise(layer)
    return merged if is_same_place else None


def _widest(axis: Sequence[Window]) -> Window:
    """The window of several inputs together along one axis."""
    largest = max(axis, key=lambda window: math.inf if window.field is None else window.field)
    largest = replace(largest, step=max(window.step for window in axis))
    if largest.size is None:
        return largest
    spans = [window.span(0) for window in axis]
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return replace(largest, start=None)
    first, end = min(span[0] for span in known), max(span[1] for span in known)
    return replace(largest, size=end - first, start=Fraction(first))


def _padded(
    windows: tuple[Window, ...], layer: Any, shape: Shape, sizes: Sequence[int], dilations: Sequence[int]
) -> tuple[Window, ...]:
    """The windows with the padding that a layer puts before its inputs, as TensorFlow does: the smaller half of it."""
    moved = []
    strides = layer.strides
    for window, side, size, step, dilation in zip(windows[:-1], shape[:-1], sizes, strides, dilations, strict=True):
        reach = (size - 1) * dilation
        if layer.padding == "valid":
            moved.append(window)
        elif layer.padding == "causal":
            moved.append(window.moved(-reach))
        elif side is None:
            moved.append(window.moved(None))
        else:
            moved.append(window.moved(-(max((math.ceil(side / step) - 1) * step + reach + 1 - side, 0) // 2)))
    return (*moved, windows[-1])


def _with_margins(windows: tuple[Window, ...], layer: Any) -> tuple[Window, ...]:
    """Zero padding moves the maps to the back, cropping to the front."""
    is_padding = type(layer) in ZERO_PADDINGS
    margins = layer.padding if is_padding else layer.cropping
    pairs = [margins] if len(windows) == 2 else margins
    moved = [
        window.moved(-before if is_padding else before) for window, (before, _) in zip(windows[:-1], pairs, strict=True)
    ]
    return (*moved, windows[-1])


def _slide(
    windows: tuple[Window, ...], sizes: Sequence[int], steps: Sequence[int], dilations: Sequence[int]
) -> tuple[Window, ...]:
    """Slides a window over all axes but the channels."""
    slid = [
        replace(window.widened((size - 1) * dilation * window.step), step=window.step * step)
        for window, size, step, dilation in zip(windows[:-1], sizes, steps, dilations, strict=True)
    ]
    return (*slid, Window())


def _transpose(windows: tuple[Window, ...], sizes: Sequence[int], steps: Sequence[int]) -> tuple[Window, ...]:
    """A transposed convolution: position i of the input is added to the outputs i * step to i * step + size - 1."""
    spread = [
        window.refined(Fraction(step), Fraction(size - 1))
        for window, size, step in zip(windows[:-1], sizes, steps, strict=True)
    ]
    return (*spread, Window())


def _interpolate(
    windows: tuple[Window, ...], before: Shape, after: Shape, *, is_nearest: bool
) -> tuple[Window, ...] | None:
    """Resizing with aligned borders: output i lies at (i + 1/2) * before / after - 1/2 of the input.

    Bilinear interpolation reads the positions on both sides of it, or the position itself if it lies on one.
    """
    resized = []
    for window, old, new in zip(windows[:-1], before[:-1], after[:-1], strict=True):
        if old is None or new is None:
            return None
        factor = Fraction(new, old)
        p, q = factor.numerator, factor.denominator
        if factor == 1:
            resized.append(window)
            continue
        reach = p - 1 if is_nearest else 2 * p - 1 if (p - q) % 2 else 2 * p - 2
        resized.append(window.refined(factor, Fraction(reach, q)))
    return (*resized, Window())


def field_of(windows: tuple[Window, ...] | None) -> ReceptiveField:
    """The sides of the receptive field, without the channels."""
    if windows is None:
        return None
    sizes = [window.field for window in windows[:-1]]
    sides = tuple(size for size in sizes if size is not None)
    return sides if sides and len(sides) == len(sizes) else "all"
