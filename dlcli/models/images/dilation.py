"""Dilated networks: larger last feature maps with the same weights, for dense prediction.

Chen, Papandreou, Kokkinos, Murphy and Yuille 2017, "DeepLab", section 3.1; Chen, Papandreou, Schroff and Adam 2017,
"Rethinking atrous convolution for semantic image segmentation", section 3.1 (output stride).
"""

from collections import defaultdict
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.models.images.strides import CONVOLUTIONS, MARGINS, POOLINGS, Call, Strides, calls_between, moved, parts

Tensor = Any  # a symbolic keras.KerasTensor


def dilated(inputs: Tensor, maps: Tensor, *, output_stride: int, onto: Tensor | None = None) -> Tensor:
    """Rebuilds a network with no stride above ``output_stride``.

    Convolutions and poolings that would go beyond it get stride 1, and all later convolutions a dilation that restores
    the distance between the positions they read. At these positions the maps have the values of the original network,
    up to padding: Keras's own padding of strided layers, ``same``, is not symmetric for even sides, and poolings of
    later layers are not dilated (Keras has no such layer), as in VGG of stride 8.

    Args:
        inputs, maps: ends of the network, feature maps ``[batch, height, width, channels]``.
        output_stride: the largest stride, such as 16 or 8.
        onto: the tensor that takes the place of ``inputs``, of the same shape; None for ``inputs`` itself.

    Raises:
        InputError: a pooling without padding would have to be dilated, as in Inception networks of stride 8, or the
            strides of the network are no multiples or divisors of ``output_stride``.

    Returns:
        ``[batch, height, width, channels]`` at the smaller of the network's stride and ``output_stride``. All layers
        are new and have new initial values. Their names, and the order and shapes of their weights, are those of the
        original, so that its weights can be loaded.
    """
    calls = calls_between(inputs, maps)
    strides = sorted({call.stride for call in calls if call.stride is not None})
    if any(max(stride, output_stride) % min(stride, output_stride) for stride in strides):
        raise InputError(
            f"the network cannot have an output stride of {output_stride}, because its strides are "
            f"{', '.join(map(str, strides))}. Use one of them, or another network, such as resnet."
        )
    consumers: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        for tensor in call.node.input_tensors:
            consumers[id(tensor)].append(call)
    rebuilt = {id(inputs): inputs if onto is None else onto}
    layers: dict[int, Any] = {}  # by the id of the original, which may be called several times
    for call in calls:
        operation = call.operation
        if id(operation) not in layers:
            layers[id(operation)] = _rebuilt(call, consumers[id(call.output)], output_stride)
        args, kwargs = call.node.arguments.fill_in(rebuilt)
        outputs = layers[id(operation)](*args, **kwargs)
        rebuilt.update(zip(map(id, call.node.outputs), keras.tree.flatten(outputs), strict=True))
    return rebuilt[id(maps)]


def _rebuilt(call: Call, consumers: list[Call], output_stride: int) -> Any:
    operation = call.operation
    if isinstance(operation, keras.Sequential):
        layers, strides = [], call.before
        for layer in parts(operation):
            layers.append(_window(layer, strides, output_stride))
            strides = moved(layer, strides)
        return keras.Sequential(layers, name=operation.name)
    if isinstance(operation, MARGINS):
        return _margins(call, consumers, output_stride)
    if isinstance(operation, keras.layers.Layer):
        return _window(operation, call.before, output_stride)
    return operation  # such as a sum of tensors, which has no state


def _window(layer: Any, before: Strides | None, output_stride: int) -> Any:
    """The new layer; convolutions and poolings with other strides and dilation."""
    config = layer.get_config()
    after = moved(layer, before)
    if isinstance(layer, (*CONVOLUTIONS, *POOLINGS)) and after is not None:
        is_pooling = isinstance(layer, POOLINGS)
        steps = tuple(_step(before, after, axis, output_stride) for axis in (0, 1))
        config["strides"] = steps
        if not is_pooling:
            config["dilation_rate"] = tuple(
                rate * _dilation(before, axis, output_stride) for axis, rate in enumerate(layer.dilation_rate)
            )
        size = tuple(layer.pool_size if is_pooling else layer.kernel_size)
        is_adjacent = size == tuple(layer.strides)
        is_unpadded = layer.padding == "valid" and not is_adjacent and max(size) > 1
        if is_pooling and is_unpadded and _dilation(before, 0, output_stride) > 1:
            raise InputError(
                f"the network cannot have an output stride of {output_stride}, because its pooling '{layer.name}' "
                f"cannot be dilated. Use {2 * output_stride}, or another network, such as resnet."
            )
        if steps != tuple(layer.strides) and layer.padding == "valid" and is_adjacent:
            config["padding"] = "same"  # adjacent windows lose no pixel; moved by single pixels, they would
    return type(layer).from_config(config)


def _dilation(before: Strides | None, axis: int, output_stride: int) -> int:
    """Distance in the new maps between two positions that are neighbors in the original network's."""
    stride = None if before is None else before[axis]
    return 1 if stride is None else max(1, stride // output_stride)


def _step(before: Strides | None, after: Strides | None, axis: int, output_stride: int) -> int:
    """The stride of a convolution or pooling in the new network."""
    first = None if before is None else before[axis]
    second = None if after is None else after[axis]
    return 1 if first is None or second is None else max(1, min(second, output_stride) // min(first, output_stride))


def _margins(call: Call, consumers: list[Call], output_stride: int) -> Any:
    """The new padding or cropping: dilated, and symmetric before a convolution that loses its stride."""
    layer = call.operation
    key = "padding" if isinstance(layer, keras.layers.ZeroPadding2D) else "cropping"
    amounts = []
    for axis, pair in enumerate(getattr(layer, key)):
        scaled = tuple(amount * _dilation(call.before, axis, output_stride) for amount in pair)
        if key == "padding" and any(_loses_stride(consumer, axis, output_stride) for consumer in consumers):
            scaled = (max(scaled), max(scaled))  # Keras pads strided layers of even sides at the end only
        amounts.append(scaled)
    return type(layer).from_config({**layer.get_config(), key: tuple(amounts)})


def _loses_stride(call: Call, axis: int, output_stride: int) -> bool:
    """Whether a call is a convolution or pooling with a smaller stride in the new network."""
    layer = call.operation
    return isinstance(layer, (*CONVOLUTIONS, *POOLINGS)) and bool(
        _step(call.before, call.after, axis, output_stride) < layer.strides[axis]
    )
