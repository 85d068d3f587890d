"""A searched cell: states that are sums of operations on earlier states, some of them concatenated.

Zoph, Vasudevan, Shlens and Le 2018, "Learning transferable architectures for scalable image recognition", section 3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.models.images.cells.operations import OPERATIONS, factorized_reduction, relu_conv_norm
from dlcli.models.images.layers import relu

Tensor = Any  # a symbolic keras.KerasTensor
Dropped = Callable[[Tensor, str], Tensor]  # (maps, name of the operation) -> the maps, in training with drop path
Genotype = Mapping[str, Mapping[str, Sequence[Any]]]
"""``normal`` and, unless the normal cell also reduces, ``reduction``: each with ``states`` and ``concatenate``."""


@dataclass(frozen=True)
class Maps:
    """Feature maps ``[batch, height, width, channels]`` and their stride in pixels of the network's input.

    Sides are compared by the stride, because they may not be known.
    """

    tensor: Tensor
    stride: int

    @property
    def channels(self) -> int:
        return int(self.tensor.shape[-1])


def apply_cell(
    last: Maps,
    before: Maps | None,
    *,
    states: Sequence[Sequence[str]],
    concatenate: Sequence[str],
    filters: int,
    strides: int,
    dropped: Dropped,
    name: str,
    output: str,
) -> Maps:
    """Apply a cell.

    Args:
        last: output of the last cell, from which s0 is computed.
        before: output of the cell before it, which s1 is, brought to the shape of s0; None if there is none: s1 is then
            ``last`` itself.
        states: for each new state, s2 first, the operations whose outputs are added, such as ``sep3(s0)``.
        concatenate: names of the states that are joined.
        filters: of each state.
        strides: of the operations that read s0 or s1: 2 in a reduction cell.
        dropped: applies drop path to the output of an operation.
        name: prefix of the names of the layers.
        output: name of the layer that joins the states.

    Returns:
        ``filters`` maps for each concatenated state.
    """
    s0 = Maps(relu_conv_norm(last.tensor, filters, 1, name=f"{name}_s0"), last.stride)
    known = [s0, last if before is None else _adjusted(before, last, filters=filters, name=f"{name}_s1")]
    stride = last.stride * strides
    for number, operations in enumerate(states, start=2):
        terms = []
        for position, text in enumerate(operations, start=1):
            operation, source = parsed(text)
            term_name = f"{name}_s{number}_{position}"
            steps = strides if source < 2 else 1
            y = OPERATIONS[operation](known[source].tensor, filters=filters, strides=steps, name=term_name)
            terms.append(y if operation == "identity" else dropped(y, term_name))
        tensor = keras.layers.Add(name=f"{name}_s{number}")(terms) if len(terms) > 1 else terms[0]
        known.append(Maps(tensor, stride))
    joined = []
    for state in concatenate:
        maps = known[index(state)]
        if maps.stride != stride or maps.channels != filters:
            reduction = f"{name}_{state}_joined"
            steps = stride // maps.stride
            maps = Maps(factorized_reduction(maps.tensor, filters=filters, strides=steps, name=reduction), stride)
        joined.append(maps.tensor)
    return Maps(_concatenated(joined, name=output), stride)


def _concatenated(tensors: list[Tensor], *, name: str) -> Tensor:
    if len(tensors) == 1:
        return keras.layers.Identity(name=name)(tensors[0])
    return keras.layers.Concatenate(name=name)(tensors)


def _adjusted(before: Maps, last: Maps, *, filters: int, name: str) -> Maps:
    """The output of the cell before the last one in the shape of s0."""
    if before.stride != last.stride:
        x = relu(before.tensor, name=f"{name}_relu")
        steps = last.stride // before.stride
        return Maps(factorized_reduction(x, filters=filters, strides=steps, name=name), last.stride)
    if before.channels != filters:
        return Maps(relu_conv_norm(before.tensor, filters, 1, name=name), last.stride)
    return before


def parsed(text: str) -> tuple[str, int]:
    """``sep3(s1)`` as the name of the operation and the number of the state that it reads: ``("sep3", 1)``."""
    operation, _, source = text.removesuffix(")").partition("(")
    return operation, index(source)


def index(state: str) -> int:
    """The number of a state: 1 for ``s1``."""
    return int(state.removeprefix("s"))
