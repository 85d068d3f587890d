"""The keys in which the spaces of Genetic CNN, Block-QNN and hierarchical search write a network, and their rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from annotated_types import MaxLen, MinLen
from pydantic import StringConstraints

from dlcli.recipe.language.fields import Expected
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.recipe.language.wording import listed, received

Bits = Annotated[
    str,
    StringConstraints(pattern=r"^[01]{1,30}(-[01]{1,30}){0,29}$"),
    Expected("text with a group of bits for each node from the second on, such as '1-01-100'"),
]
StructureLayer = tuple[int, int, int, int, int]
Edge = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]{1,40}\(n[0-9]{1,2}\)$"),
    Expected("an operation and the node that it reads, such as sep3(n1)"),
]
Graph = Annotated[
    tuple[Annotated[tuple[Edge, ...], MinLen(1), MaxLen(20), Expected("a list of edges, such as [sep3(n1)]")], ...],
    MinLen(1),
    MaxLen(30),
    Expected("a list with the edges of each node, such as [[sep3(n1)], [max3(n1), conv1(n2)]]"),
]

PRIMITIVES = ("conv1", "depthwise3", "sep3", "max3", "avg3", "identity")
KERNELS: Mapping[int, Sequence[int]] = {1: (1, 3, 5), 2: (1, 3), 3: (1, 3)}
"""Kernel sizes of the types of a network structure code: convolution, max and average pooling; 0 for the others."""
TERMINAL = 7


def rules_of_bits(stages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The i-th group of a stage has i bits."""
    for number, text in enumerate(stages):
        for position, group in enumerate(text.split("-"), start=1):
            if len(group) != position:
                yield (
                    f"bits.{number}",
                    f"the group of node {position + 1} must have a bit for each earlier node, {position} in all. "
                    f"Received {group}.",
                )
                break


def rules_of_code(code: Sequence[StructureLayer]) -> Iterator[tuple[str, str]]:
    """Indices in order, known types with their kernel sizes, and predecessors that come before."""
    for number, (index, kind, kernel_size, first, second) in enumerate(code, start=1):
        key = f"code.{number - 1}"
        if index != number:
            yield f"{key}.0", f"layers are numbered from 1; expected {number}. Received {index}."
        if not 1 <= kind <= TERMINAL:
            yield (
                f"{key}.1",
                "the types are 1 convolution, 2 max pooling, 3 average pooling, 4 identity, 5 addition, "
                f"6 concatenation and 7 terminal. Received {kind}.",
            )
            continue
        if kind == TERMINAL and (number < len(code) or number == 1):
            yield key, "the terminal layer, type 7, must come last, after at least one other layer"
        kernels = KERNELS.get(kind, (0,))
        if kernel_size not in kernels:
            yield f"{key}.2", f"the kernel size of type {kind} must be {listed(kernels)}. Received {kernel_size}."
        for position, source, has_source in ((3, first, kind != TERMINAL), (4, second, kind in (5, 6))):
            if not has_source and source != 0:
                yield f"{key}.{position}", f"must be 0 for type {kind}. Received {source}."
            elif not 0 <= source < number:
                yield f"{key}.{position}", f"must be an earlier layer, or 0 for the block's input. Received {source}."


def rules_of_motifs(
    motifs: Mapping[str, Sequence[Sequence[str]]], cell: Sequence[Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Known operations on earlier nodes, and no node that is computed for nothing."""
    for name, graph in motifs.items():
        if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) is None:
            yield "motifs", f"names have at most 40 letters, digits and '_'. Received {received(name)}."
            continue
        yield from _rules_of_graph(f"motifs.{name}", graph, PRIMITIVES, "operation")
    yield from _rules_of_graph("cell", cell, tuple(motifs), "motif")


def _rules_of_graph(
    key: str, graph: Sequence[Sequence[str]], operations: Sequence[str], noun: str
) -> Iterator[tuple[str, str]]:
    read: set[int] = set()
    for number, edges in enumerate(graph, start=2):
        for position, text in enumerate(edges):
            place = f"{key}.{number - 2}.{position}"
            operation, _, node = text.removesuffix(")").partition("(")
            if operation not in operations:
                hint = did_you_mean(operation, operations) or f"; the {noun}s are {listed(operations, 'and')}"
                yield place, f"unknown {noun} {received(operation)}{hint}"
            if not 1 <= int(node[1:]) < number or node != f"n{int(node[1:])}":
                earlier = "n1" if number == 2 else f"n1 to n{number - 1}"
                yield place, f"n{number} can only read {earlier}. Received {text}."
            if text in edges[:position]:
                yield place, f"{text} is in the list twice; remove it"
            read.add(int(node[1:]))
    for number in range(2, len(graph) + 1):
        if number not in read:
            yield f"{key}.{number - 2}", f"no later node reads n{number}; remove it, or read it"
