"""A recurrent network unfolded in time: the nodes of its graph at each step, and the weights that they share.

As in Goodfellow, Bengio and Courville 2016, sections 10.1 to 10.5: x(t) is the input of a step, h(t) the state of a
layer that runs forward in time and g(t) that of one that runs backward, o(t) the output. Of an encoder-decoder, s(i) is
the state of the decoder, y(i) the token before its output o(i), and c(i) or t(i) what attention returns.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Literal

from dlcli.report.cost.layer_table import LayerRow, LayerTable

When = Literal["same", "before", "after", "first", "last", "all"]
"""Which steps of another node a node reads: the same, the one before or after, the first, the last, or all."""

Weights = tuple[tuple[str, tuple[int | None, ...]], ...]
"""The letter or name of each weight, and its shape."""

RECURRENT = re.compile(r"(?:.*/)?(?:(simple|leaky|jordan|lstm|gru)(\d+)(_backward)?|(ntm))")
LETTERS = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "output_kernel": "V", "output_bias": "c"}
OUTPUT_LETTERS = {"kernel": "V", "bias": "c"}
EMBEDDING = "E"


@dataclass(frozen=True)
class Edge:
    """What a node reads: another node, or itself, at some step."""

    source: str
    when: When


@dataclass(frozen=True)
class Node:
    """A node of the unfolded graph, at each step or once.

    Attributes:
        symbol: x, h1, …
        layer: the layers that compute it.
        steps: at how many steps there is one.
        size: of its vector.
        reads: the nodes that it is computed from.
        weights: the same at every step.
        is_decoder: whether its steps are those of a decoder.
    """

    symbol: str
    layer: str
    steps: int
    size: int
    reads: tuple[Edge, ...] = ()
    weights: Weights = ()
    is_decoder: bool = False

    @property
    def parameters(self) -> int:
        """Number of parameters, which does not depend on the number of steps."""
        return sum(math.prod(side or 1 for side in shape) for _, shape in self.weights)


@dataclass(frozen=True)
class Unfolding:
    """The nodes of a network, from inputs to outputs.

    Attributes:
        form: many to one, many to many, or encoder-decoder.
        cell: kind of the recurrent cells.
        nodes: from inputs to outputs.
        parameters: of the whole network.
    """

    form: str
    cell: str
    nodes: tuple[Node, ...]
    parameters: int

    @property
    def other_parameters(self) -> int:
        """Those of layers that are not nodes, such as normalization between recurrent layers."""
        return self.parameters - sum(node.parameters for node in self.nodes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        nodes = [{**asdict(node), "parameters": node.parameters} for node in self.nodes]
        return {**asdict(self), "nodes": nodes, "other_parameters": self.other_parameters}


def unfold(table: LayerTable, *, pooling: str | None) -> Unfolding:
    """The unfolded graph of a network that dlcli has built, by the names of its layers.

    Args:
        table: its layers.
        pooling: how the outputs of all steps become one vector; None for the last step, or for an output at each.

    Raises:
        ValueError: it has no recurrent layer.
    """
    rows = [row for row in table.rows if RECURRENT.fullmatch(row.name)]
    if not rows:
        raise ValueError("has no recurrent layer that could be unfolded in time.")
    rows.sort(key=lambda row: (_number(row), _is_backward(row)))
    first = rows[0]
    steps = int(first.output_shapes[0][-2] or 1)
    nodes = [_input_node(table.rows[: min(map(table.rows.index, rows))], first, steps)]
    below = ["x"]
    for number, of_layer in groupby(rows, key=_number):
        layer = [_state_node(row, below, str(number) if _number(rows[-1]) > 1 else "", steps) for row in of_layer]
        nodes += layer
        below = [node.symbol for node in layer]
    after = table.rows[max(map(table.rows.index, rows)) + 1 :]
    decoder = next((row for row in after if row.kind == "Decoder"), None)
    if decoder is not None:
        form, last = "encoder-decoder", _decoder_nodes(decoder, below)
    else:
        form, last = _outputs(after, below, steps, pooling)
    return Unfolding(form, _cell(first), (*nodes, *last), table.parameters)


def _groups(row: LayerRow) -> tuple[str | None, ...]:
    found = RECURRENT.fullmatch(row.name)
    assert found is not None
    return found.groups()


def _cell(row: LayerRow) -> str:
    cell, _, _, machine = _groups(row)
    return str(cell or machine)


def _number(row: LayerRow) -> int:
    """The number of a recurrent layer, counted from the input."""
    return int(_groups(row)[1] or 1)


def _is_backward(row: LayerRow) -> bool:
    return _groups(row)[2] is not None


def _input_node(before: Sequence[LayerRow], first: LayerRow, steps: int) -> Node:
    """The inputs, with the embedding that they come from, if there is one."""
    kernel = dict(first.weights).get("ntm_cell/controller/kernel", first.weights[0][1])
    reads = dict(first.weights).get("ntm_cell/first_read", (0,))  # a controller takes them as further inputs
    size = int(kernel[0] or 0) - int(reads[0] or 0)
    embedding = next((row for row in before if row.kind == "Embedding" and row.weights), None)
    if embedding is None:
        return Node("x", "input", steps, size)
    return Node("x", embedding.name, steps, size, weights=((EMBEDDING, embedding.weights[0][1]),))


def _state_node(row: LayerRow, below: Sequence[str], number: str, steps: int) -> Node:
    """A recurrent layer in one direction."""
    symbol = ("g" if _is_backward(row) else "h") + number
    reads = (*_edges(below, "same"), Edge(symbol, "after" if _is_backward(row) else "before"))
    weights = tuple((_letter(name.partition("/")[2]), shape) for name, shape in row.weights)
    return Node(symbol, row.name, steps, int(row.output_shapes[0][-1] or 0), reads, weights)


def _letter(name: str) -> str:
    return LETTERS.get(name, name.replace("/", " "))


def _edges(sources: Sequence[str], when: When) -> tuple[Edge, ...]:
    return tuple(Edge(source, when) for source in sources)


def _final(states: Sequence[str]) -> tuple[Edge, ...]:
    """The final states: of layers that run backward, those of the first step."""
    return tuple(Edge(state, "first" if state.startswith("g") else "last") for state in states)


def _outputs(
    after: Sequence[LayerRow], below: Sequence[str], steps: int, pooling: str | None
) -> tuple[str, tuple[Node, ...]]:
    """The form of a network without a decoder, and the node of its outputs."""
    weighted = [row for row in after if row.weights]
    dense = [row for row in weighted if row.kind == "Dense"]
    last = dense[-1] if dense else after[-1]
    weights = tuple(
        (OUTPUT_LETTERS.get(name, name) if row is last else f"{row.name} {name}", shape)
        for row in weighted
        for name, shape in row.weights
    )
    node = Node("o", ", ".join(row.name for row in weighted), steps, int(last.output_shapes[0][-1] or 0), (), weights)
    first = dense[0] if dense else last  # the outputs of a network that is fed them are those of its cell
    if pooling is None and first.output_shapes[0][-2:-1] == (steps,):
        return "many to many", (replace(node, reads=_edges(below, "same")),)
    reads = _final(below) if pooling in (None, "last") else _edges(below, "all")
    return "many to one", (replace(node, steps=1, reads=reads),)


def _decoder_nodes(row: LayerRow, memory: Sequence[str]) -> tuple[Node, ...]:
    """The decoder: its initial states, the tokens before, what attention gives, its states, its outputs."""
    parts: dict[str, dict[str, tuple[int | None, ...]]] = {}
    for name, shape in row.weights:
        part, _, weight = name.rpartition("/")
        parts.setdefault(part, {})[weight] = shape
    cells = [part for part in parts if RECURRENT.fullmatch(part)]
    states = [f"s{number}" if len(cells) > 1 else "s" for number in range(1, len(cells) + 1)]
    steps, size = (int(side or 0) for side in row.output_shapes[0][-2:])
    units = int(parts[cells[0]]["recurrent_kernel"][0] or 0)

    def all_weights(prefix: str) -> Weights:
        return tuple(
            (f"{part} {name}", s) for part in parts if part.startswith(prefix) for name, s in parts[part].items()
        )

    def node(symbol: str, layer: str, size: int, reads: tuple[Edge, ...], weights: Weights, steps: int = steps) -> Node:
        return Node(symbol, f"{row.name} {layer}", steps, size, reads, weights, is_decoder=True)

    table = parts["embedding"]["embeddings"]
    nodes = [
        node("s(0)", "first_state", units, _final(memory), all_weights("first_state"), steps=1),
        node("y", "embedding", int(table[1] or 0), (), ((EMBEDDING, table),)),
    ]
    is_luong = "attention_output" in parts
    attended = [] if "attention_key" not in parts else ["t"] if is_luong else ["c"]
    of_attention = node(
        "t" if is_luong else "c",
        "attention",
        units if is_luong else int(parts["attention_key"]["kernel"][0] or 0) if attended else 0,
        (*_edges(memory, "all"), Edge(states[-1], "same" if is_luong else "before")),
        all_weights("attention"),
    )
    nodes += [of_attention] if attended and not is_luong else []
    for number, (cell, state) in enumerate(zip(cells, states, strict=True)):
        below = _edges([states[number - 1]], "same") if number else _edges(["y"], "same")
        read = _edges(attended, "before" if is_luong else "same") if number == 0 else ()
        weights = tuple((_letter(name), shape) for name, shape in parts[cell].items())
        nodes.append(node(state, cell, units, (*below, *read, Edge(state, "before")), weights))
    nodes += [of_attention] if is_luong else []
    weights = tuple((OUTPUT_LETTERS[name], shape) for name, shape in parts["logits"].items())
    sources = attended if is_luong else [states[-1], *attended]
    nodes.append(node("o", "logits", size, _edges(sources, "same"), weights))
    return tuple(nodes)
