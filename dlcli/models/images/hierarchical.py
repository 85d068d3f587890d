"""Hierarchical networks: a cell is a graph of motifs, and each motif a graph of primitive operations.

Liu, Simonyan, Vinyals, Fernando and Kavukcuoglu 2018, "Hierarchical representations for efficient architecture search",
section 2. The first node of a graph is its input, the last one its output; a node concatenates what its edges bring.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dlcli.models.images.layers import conv, kernel_initializer, norm, relu

Tensor = Any  # a symbolic keras.KerasTensor
Graph = Sequence[Sequence[str]]  # for each node from the second on, its edges, such as sep3(n1)
Operation = Callable[..., Tensor]  # (x, *, filters, name) -> maps of the same size

NUM_STAGES = 3


def features(inputs: Tensor, *, motifs: Mapping[str, Graph], cell: Graph, repeats: int, filters: int) -> Tensor:
    """A network of the space without its head: three stages of cells, with strided separable convolutions between them.

    Args:
        inputs: ``[batch, height, width, channels]``.
        motifs: the graphs of the second level, by name, whose edges are primitive operations.
        cell: the graph of the third level, whose edges are motifs.
        repeats: number of cells in each stage.
        filters: C of the first stage; each following one has twice as many.

    Returns:
        ``[batch, height, width, filters * 4]``; the last layers of the stages are ``stage1``, ``stage2`` and
        ``stage3``.
    """
    x = norm(conv(inputs, filters, 3, name="stem_conv"), name="stem_norm")
    for stage in range(1, NUM_STAGES + 1):
        width = filters * 2 ** (stage - 1)
        if stage > 1:
            x = _separable(x, filters=width, strides=2, name=f"stage{stage}_reduction")
        for number in range(1, repeats + 1):
            name = f"stage{stage}_cell{number}"
            operations = {motif: _as_operation(motifs[motif]) for motif in motifs}
            x = _merged(_graph(x, cell, operations, filters=width, name=name), filters=width, name=name)
        x = keras.layers.Identity(name=f"stage{stage}")(x)
    return x


def _as_operation(graph: Graph) -> Operation:
    """A motif as an operation: its graph, and a 1x1 convolution to the number of filters."""

    def motif(x: Tensor, *, filters: int, name: str) -> Tensor:
        return _merged(_graph(x, graph, PRIMITIVES, filters=filters, name=name), filters=filters, name=name)

    return motif


def _graph(x: Tensor, graph: Graph, operations: Mapping[str, Operation], *, filters: int, name: str) -> Tensor:
    nodes = [x]
    for number, edges in enumerate(graph, start=2):
        terms = []
        for text in edges:
            operation, _, source = text.removesuffix(")").partition("(")
            index = int(source.removeprefix("n"))
            edge = f"{name}_n{number}_{operation}_n{index}"
            terms.append(operations[operation](nodes[index - 1], filters=filters, name=edge))
        nodes.append(keras.layers.Concatenate(name=f"{name}_n{number}")(terms) if len(terms) > 1 else terms[0])
    return nodes[-1]


def _merged(x: Tensor, *, filters: int, name: str) -> Tensor:
    return _conv1(x, filters=filters, name=f"{name}_merge")


def _conv1(x: Tensor, *, filters: int, name: str) -> Tensor:
    return relu(norm(conv(x, filters, 1, name=f"{name}_conv"), name=f"{name}_norm"), name=f"{name}_relu")


def _depthwise(x: Tensor, *, filters: int, name: str) -> Tensor:
    """Of the number of maps that it gets, whatever ``filters``."""
    x = keras.layers.DepthwiseConv2D(
        3,
        padding="same",
        use_bias=False,
        depthwise_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out"),  # of a depthwise kernel k*k
        name=f"{name}_conv",
    )(x)
    return relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")


def _separable(x: Tensor, *, filters: int, name: str, strides: int = 1) -> Tensor:
    x = keras.layers.SeparableConv2D(
        filters,
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out"),
        pointwise_initializer=kernel_initializer("relu"),
        name=f"{name}_conv",
    )(x)
    return relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")


def _max_pooling(x: Tensor, *, filters: int, name: str) -> Tensor:
    return keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)


def _average_pooling(x: Tensor, *, filters: int, name: str) -> Tensor:
    return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)


def _identity(x: Tensor, *, filters: int, name: str) -> Tensor:
    return x


PRIMITIVES: Mapping[str, Operation] = {
    "conv1": _conv1,
    "depthwise3": _depthwise,
    "sep3": _separable,
    "max3": _max_pooling,
    "avg3": _average_pooling,
    "identity": _identity,
}
"""The primitive operations of the first level (section 3.1)."""
