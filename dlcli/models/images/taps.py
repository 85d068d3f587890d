"""Taps: the last feature maps of a network at each stride, for skip connections, pyramids and explanations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from dlcli.errors import InputError
from dlcli.models.images.strides import MARGINS, Call, calls_between, square

Tensor = Any  # a symbolic keras.KerasTensor


def taps(inputs: Tensor, maps: Tensor) -> dict[int, Tensor]:
    """The last feature maps at each stride, before the next downsampling.

    They are found in the graph, so that any network has them: of several parallel branches, as in residual blocks, the
    last map from which more than half of the operations are computed that leave its stride. So it is the output of
    ResNet's stages, the expanded maps of MobileNetV2, and in NASNet, whose cells also read the cell before the last
    one, the last cell. Maps that are only padded, or that do not depend on a convolution, are not taken.

    Args:
        inputs: ``[batch, height, width, channels]``; strides are relative to it.
        maps: the network's last feature maps ``[batch, height, width, channels]``, which are the last tap.

    Returns:
        ``{stride: [batch, height, width, channels]}`` in increasing order. The sides are about those of the inputs
        divided by the stride: rounded up by padded layers, down or less by others. Only the strides that the network
        has: one that starts with a convolution of stride 4 has no 1 and 2. Empty if ``maps`` is a vector.
    """
    calls = [call for call in calls_between(inputs, maps) if call.after is not None]
    leaving = _leaving(calls)
    num_leaving = {stride: mask.bit_count() for stride, mask in _all_leaving(calls).items()}
    found: dict[int, Call] = {}
    for call in calls:
        stride = call.stride
        if stride is None or not call.is_convolved or isinstance(call.operation, MARGINS):
            continue
        is_tap = call.output is maps or 2 * leaving[id(call.output)].bit_count() > num_leaving.get(stride, 0)
        if is_tap and (stride not in found or call.depth > found[stride].depth):
            found[stride] = call
    return {stride: found[stride].output for stride in sorted(found)}


def _all_leaving(calls: Iterable[Call]) -> dict[int, int]:
    """For each stride the set of operations that leave it, as bits."""
    masks: dict[int, int] = defaultdict(int)
    for position, call in enumerate(calls):
        if call.is_downsampling:
            masks[square(call.before) or 0] |= 1 << position
    return masks


def _leaving(calls: list[Call]) -> dict[int, int]:
    """For each map, by its id, the operations that leave its stride and are computed from it, as bits."""
    masks: dict[int, int] = defaultdict(int)
    for position, call in reversed(list(enumerate(calls))):
        mask = 1 << position if call.is_downsampling else masks[id(call.output)]
        for tensor in call.node.input_tensors:
            masks[id(tensor)] |= mask
    return masks


def first_maps(inputs: Tensor, maps: Tensor) -> dict[int, Tensor]:
    """The first feature maps at each stride, where a single operation leads to it: VGG's pooled maps.

    Args and shapes are those of `taps`.
    """
    entering: dict[int, list[Tensor]] = defaultdict(list)
    for call in calls_between(inputs, maps):
        if call.is_downsampling and call.stride is not None:
            entering[call.stride].append(call.output)
    return {stride: tensors[0] for stride, tensors in sorted(entering.items()) if len(tensors) == 1}


def check_strides(taps: Mapping[int, Tensor], strides: Iterable[int], *, network: str, purpose: str) -> None:
    """Checks that a network has maps at some strides.

    Args:
        taps: those of the network.
        strides: the strides that are needed.
        network: its name for the message.
        purpose: what needs them, such as ``fcn``.

    Raises:
        InputError: a stride is missing.
    """
    missing = [str(stride) for stride in strides if stride not in taps]
    if not missing:
        return
    has = f"only at strides {', '.join(map(str, taps))}" if taps else "none: its features are a vector"
    raise InputError(
        f"{network} has no feature maps at stride {', '.join(missing)}, which {purpose} needs. Received a network with "
        f"feature maps {has}. Use another one, such as resnet or mobilenetv2."
    )
