"""Genetic CNN: stages whose connections are bits.

Xie and Yuille 2017, "Genetic CNN", section 3.1. A stage has ordered nodes, each a 3x3 convolution with batch
normalization and ReLU. A group of bits for each node but the first says which earlier nodes it reads: ``1-01`` connects
the second node to the first, and the third to the second.
"""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import conv_norm_relu

Tensor = Any  # a symbolic keras.KerasTensor


def features(inputs: Tensor, *, bits: Sequence[str], filters: int) -> Tensor:
    """A network of the space without its head.

    Args:
        inputs: ``[batch, height, width, channels]``.
        bits: of each stage, such as ``1-01-100`` for four nodes.
        filters: of the first stage; each following one has twice as many.

    Returns:
        ``[batch, height, width, filters * 2 ** (stages - 1)]``. The last layer of the i-th stage is ``stage{i}``; max
        pooling halves the sides between stages.
    """
    x = inputs
    for stage, text in enumerate(bits, start=1):
        if stage > 1:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        x = _stage(x, predecessors(text), filters=filters * 2 ** (stage - 1), name=f"stage{stage}")
    return x


def predecessors(bits: str) -> list[list[int]]:
    """For each node of a stage, the earlier nodes that it reads, counted from 0."""
    return [[], *([node for node, bit in enumerate(group) if bit == "1"] for group in bits.split("-"))]


def _stage(x: Tensor, predecessors: list[list[int]], *, filters: int, name: str) -> Tensor:
    """The default input node, the connected nodes, and the default output node, which reads all without successors."""
    start = conv_norm_relu(x, filters, 3, name=f"{name}_input")
    read = {node for group in predecessors for node in group}
    outputs: dict[int, Tensor] = {}
    for node, group in enumerate(predecessors):
        if not group and node not in read:
            continue  # not connected
        sources = [outputs[source] for source in group] or [start]
        outputs[node] = conv_norm_relu(
            _sum(sources, name=f"{name}_node{node + 1}_sum"), filters, 3, name=f"{name}_node{node + 1}"
        )
    ends = [outputs[node] for node in outputs if node not in read] or [start]
    x = conv_norm_relu(_sum(ends, name=f"{name}_sum"), filters, 3, name=f"{name}_output")
    return keras.layers.Identity(name=name)(x)


def _sum(tensors: list[Tensor], *, name: str) -> Tensor:
    return keras.layers.Add(name=name)(tensors) if len(tensors) > 1 else tensors[0]
