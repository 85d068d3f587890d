"""The graph of a recurrent network, unfolded in time: a color for each layer, whose weights all its steps share."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dlcli.report.cost.layer_table import shape_text
from dlcli.report.cost.unfolding import Edge, Node, Unfolding
from dlcli.report.cost.unfolding_text import heading, node_name
from dlcli.report.plots.figure import GRAY, LINE_COLORS, new_figure, png, printable, style

MOST_DRAWN = 5  # steps; of more, the first three and the last
BACKWARD = 0.42  # how far nodes of layers that run backward are drawn to the right
LONG = 6  # letters of a name that fits only when it is smaller
LEGEND = 3.4  # room for it
GAP = 1.0  # between the graph of the encoder and that of the decoder

Column = int | None  # a step, or the steps that are left out
Place = tuple[float, float]


def unfolding_figure(unfolding: Unfolding) -> bytes:
    """The nodes at each step, and what each is computed from."""
    places = _places(unfolding.nodes)
    width = max(x for x, _ in places.values()) + 1.2
    height = max(y for _, y in places.values()) + 0.5
    with style():
        figure = new_figure(0.85 * (width + LEGEND), 0.85 * (height + 1.0))
        axes = figure.add_axes((0.01, 0.02, 0.98, 0.87))
        axes.set_xlim(-0.6, width + LEGEND - 0.6)
        axes.set_ylim(-0.5, height)
        axes.set_aspect("equal")
        axes.axis("off")
        colors = {node.symbol: LINE_COLORS[i % len(LINE_COLORS)] for i, node in enumerate(unfolding.nodes)}
        for node in unfolding.nodes:
            for edge in node.reads:
                for start, end in _arrows(places, unfolding.nodes, node, edge):
                    _arrow(axes, start, end, colors[node.symbol], is_thin=edge.when == "all")
            _letters(axes, places, node, colors[node.symbol])
            for (symbol, column), place in places.items():
                if symbol == node.symbol:
                    _draw_node(axes, node, column, place, colors[symbol])
        handles = [
            Line2D([], [], color=colors[node.symbol], marker="o", label=_label(node)) for node in unfolding.nodes
        ]
        axes.legend(handles=handles[::-1], loc="center right", fontsize=8)
        figure.text(0.01, 0.95, printable(heading(unfolding), 120), fontsize=10)
        return png(figure)


def _label(node: Node) -> str:
    weights = ", ".join(f"{name} {shape_text(shape)}" for name, shape in node.weights)
    if any(len(name) > 1 for name, _ in node.weights):
        weights = f"{node.parameters:,} parameters"
    return printable(f"{node_name(node)}: {weights or node.layer}", 44)


def _columns(steps: int) -> list[Column]:
    return [*range(1, steps + 1)] if steps <= MOST_DRAWN else [1, 2, 3, None, steps]


def _places(nodes: Sequence[Node]) -> dict[tuple[str, Column], Place]:
    """Where each node is drawn, by its symbol and step: time from left to right, inputs at the bottom."""
    places: dict[tuple[str, Column], Place] = {}
    starts, level = {False: 0.0, True: 0.0}, {False: 0, True: 0}
    for node in nodes:
        if node.is_decoder and not starts[True]:
            starts[True] = max(x for x, _ in places.values()) + 1 + GAP
        at = level[node.is_decoder]
        level[node.is_decoder] += node.symbol != "s(0)"
        if node.symbol == "s(0)":
            places[node.symbol, 1] = (starts[True] - GAP, 2.0 if _has_attention(nodes) else 1.0)
        elif node.steps == 1:
            last = max(x for x, _ in places.values())
            is_of_last = all(edge.when == "last" for edge in node.reads)
            places[node.symbol, 1] = (last if is_of_last else last / 2, float(at))
        else:
            shift = BACKWARD if node.symbol.startswith("g") else -BACKWARD if node.symbol == "c" else 0.0
            for number, column in enumerate(_columns(node.steps)):
                places[node.symbol, column] = (starts[node.is_decoder] + number * 1.25 + shift, float(at))
    return places


def _has_attention(nodes: Sequence[Node]) -> bool:
    return any(node.symbol == "c" for node in nodes)


def _arrows(
    places: dict[tuple[str, Column], Place], nodes: Sequence[Node], node: Node, edge: Edge
) -> Iterator[tuple[Place, Place]]:
    """The arrows of an edge, each from where it starts to where it ends."""
    own = [column for symbol, column in places if symbol == node.symbol]
    read = [column for symbol, column in places if symbol == edge.source]
    pairs: list[tuple[Column, Column]] = []
    match edge.when:
        case "same":
            pairs = [(column, column) for column in own if column is not None]
        case "before":
            pairs = list(zip(read, own[1:], strict=False))
            if edge.source == node.symbol and node.is_decoder and ("s(0)", 1) in places:
                yield places["s(0)", 1], places[node.symbol, 1]
        case "after":
            pairs = list(zip(read[1:], own, strict=False))
        case "first" | "last":
            pairs = [(read[0 if edge.when == "first" else -1], column) for column in own]
        case "all":
            pairs = [(start, end) for end in own for start in read if None not in (start, end)]
    for start, end in pairs:
        yield places[edge.source, start], places[node.symbol, end]


def _arrow(axes: Axes, start: Place, end: Place, color: str, *, is_thin: bool) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 0.4 if is_thin else 1.2,
            "alpha": 0.5 if is_thin else 1.0,
            "shrinkA": 14,
            "shrinkB": 14,
            "mutation_scale": 7 if is_thin else 10,
        },
    )


def _letters(axes: Axes, places: dict[tuple[str, Column], Place], node: Node, color: str) -> None:
    """The letters of a node's weights, at each arrow of the drawn steps: they are the same at all of them."""
    letters = [name for name, _ in node.weights]
    for (symbol, column), (x, y) in places.items():
        if symbol != node.symbol or column is None:
            continue
        if "W" in letters:
            axes.text(x + 0.05, y - 0.5, "W", color=color, fontsize=8)
        elif "V" in letters:
            axes.text(x + 0.05, y - 0.5, "V", color=color, fontsize=8)
        is_backward = any(edge.when == "after" for edge in node.reads)
        if "U" in letters and column != (node.steps if is_backward else 1):
            axes.text(x + (0.62 if is_backward else -0.62), y + 0.06, "U", color=color, fontsize=8, ha="center")


def _draw_node(axes: Axes, node: Node, column: Column, place: Place, color: str) -> None:
    if column is None:
        axes.text(*place, "…", ha="center", va="center", fontsize=14, color=GRAY)
        return
    name = node.symbol if node.steps == 1 else f"{node.symbol}({column})"
    axes.plot(*place, "o", markersize=25, markerfacecolor="white", markeredgecolor=color, markeredgewidth=1.4, zorder=3)
    axes.text(*place, name, ha="center", va="center", fontsize=7.5 if len(name) < LONG else 5.5, zorder=4)
