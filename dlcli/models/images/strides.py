"""The strides of all tensors in a network of images, as products of the strides of its layers.

They are not guessed from sides: an unpadded convolution turns 299 pixels into 149 at stride 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

Tensor = Any  # a symbolic keras.KerasTensor
Strides = tuple[int | None, int | None, int | None]
"""For each axis of ``[batch, a, b, c]`` but the first, the distance in pixels between neighbors; None for channels."""

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
MARGINS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
"""Layers that change the sides but not the stride."""


@dataclass(frozen=True)
class Call:
    """One call of a layer or another operation.

    Attributes:
        node: Keras's record of the call.
        before: the strides of its input maps; None without maps or if they differ.
        after: the strides of its output; None if it is not a feature map whose positions are those of the image.
        depth: number of operations on the longest way from the network's inputs to its output.
        is_convolved: whether its output depends on a convolution.
    """

    node: Any
    before: Strides | None
    after: Strides | None
    depth: int
    is_convolved: bool

    @property
    def operation(self) -> Any:
        return self.node.operation

    @property
    def output(self) -> Tensor:
        return self.node.outputs[0]

    @property
    def stride(self) -> int | None:
        """The stride of the output ``[batch, height, width, channels]``, if it is the same in both directions."""
        return square(self.after)

    @property
    def is_downsampling(self) -> bool:
        """Whether its output is a map of another stride than its input."""
        return self.stride is not None and self.stride != square(self.before)


def square(strides: Strides | None) -> int | None:
    """The stride of maps ``[batch, height, width, channels]`` with the same stride in both directions; else None."""
    if strides is None:
        return None
    height, width, channels = strides
    return height if channels is None and height == width else None


def calls_between(inputs: Tensor, outputs: Tensor) -> list[Call]:
    """All calls on the ways from ``inputs`` to ``outputs``, each after those that it depends on.

    Args:
        inputs: ``[batch, height, width, channels]``, the network's inputs or maps in the midst of it.
        outputs: any tensor computed from them.
    """
    known: dict[int, Call] = {}  # by the id of the output
    calls = []
    for node in _nodes(inputs, outputs):
        sources = [known[id(tensor)] for tensor in node.input_tensors if id(tensor) in known]
        starts: list[Strides | None] = [(1, 1, None) for tensor in node.input_tensors if tensor is inputs]
        strides = [*starts, *(source.after for source in sources)]
        before = _common(strides)
        call = Call(
            node,
            before,
            _after(node, before),
            1 + max((source.depth for source in sources), default=0),
            any(isinstance(layer, CONVOLUTIONS) for layer in parts(node.operation))
            or any(source.is_convolved for source in sources),
        )
        known.update({id(tensor): call for tensor in node.outputs})
        calls.append(call)
    return calls


def _nodes(inputs: Tensor, outputs: Tensor) -> list[Any]:
    """The nodes from ``inputs`` to ``outputs`` in order of computation, without recursion: networks are deep."""
    ordered: list[Any] = []
    seen: set[int] = set()
    waiting = [(outputs, False)]
    while waiting:
        tensor, are_sources_done = waiting.pop()
        operation, node_index, _ = tensor._keras_history
        if tensor is inputs or operation is None:
            continue
        node = operation._inbound_nodes[node_index]
        if are_sources_done:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((tensor, True))
            waiting.extend((source, False) for source in node.input_tensors)
    return ordered


def _common(strides: Sequence[Strides | None]) -> Strides | None:
    """The strides of the maps among several inputs; None if they differ."""
    maps = {each for each in strides if each is not None}
    return maps.pop() if len(maps) == 1 else None


def _after(node: Any, before: Strides | None) -> Strides | None:
    operation, shape = node.operation, node.outputs[0].shape
    if before is None or len(shape) != 4:
        return None
    if isinstance(operation, (*CONVOLUTIONS, *POOLINGS, keras.Sequential)):
        after: Strides | None = before
        for layer in parts(operation):
            after = moved(layer, after)
        return after
    if isinstance(operation, keras.layers.Permute):
        return tuple(before[axis - 1] for axis in operation.dims)  # type: ignore[return-value]
    if isinstance(operation, MARGINS):
        return before
    # everything else keeps positions (normalization, activation, sums) or, if sides change, is not known to
    sides = [tensor.shape for tensor in node.input_tensors if len(tensor.shape) == 4]
    is_kept = any(
        all(stride is None or side == new for stride, side, new in zip(before, old[1:], shape[1:], strict=True))
        for old in sides
    )
    is_global = isinstance(operation, (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D))
    return before if is_kept and not is_global else None


def parts(operation: Any) -> list[Any]:
    """The layers of a sequence of layers, such as ConvNeXt's stem; otherwise the operation itself."""
    return list(operation.layers) if isinstance(operation, keras.Sequential) else [operation]


def moved(layer: Any, before: Strides | None) -> Strides | None:
    """The strides after a layer of a sequence, in which only convolutions and poolings change them."""
    if before is None or not isinstance(layer, (*CONVOLUTIONS, *POOLINGS)):
        return before
    height, width, channels = before
    if channels is not None or height is None or width is None:
        return None
    return height * layer.strides[0], width * layer.strides[1], None
