"""Drawings of cells as graphs, from the inputs at the left to the concatenation at the right."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from dlcli.report.plots.figure import BLUE, GRAY, LINE_COLORS, VERMILION, new_figure, png, style

TERM = re.compile(r"([a-z0-9_]+)\(s([0-9]+)\)")
OPERATION_COLORS = (*LINE_COLORS, "#8C564B", "#17BECF", "#7F7F7F", "#BCBD22", "#9467BD")
NODE = {"boxstyle": "round,pad=0.35", "linewidth": 1}
OUTPUT = "output"
Point = tuple[float, float]
LABEL_AT = (0.6, 0.4, 0.72, 0.28)  # of the way along an edge: the first place without another label
LABEL_SIZE = 0.4, 0.12  # the distance from another label, in columns and rows
BEND = 0.22  # curvature between two edges of the same two states


def cells_plot(genotype: Mapping[str, Any]) -> bytes:
    """The normal and the reduction cell, below each other: a node for each state, an edge for each operation.

    Args:
        genotype: in the written form of ``model.genotype``; ``reduction`` may be missing.

    Returns:
        A PNG file.
    """
    cells = {name: genotype[name] for name in ("normal", "reduction") if genotype.get(name) is not None}
    operations = sorted({match[1] for cell in cells.values() for _, match in _edges(cell)})
    colors = {name: OPERATION_COLORS[index % len(OPERATION_COLORS)] for index, name in enumerate(operations)}
    depth = max(max(_depths(cell).values()) for cell in cells.values())
    height = max(3.2, 0.8 * max(len(cell["states"]) for cell in cells.values()))
    with style():
        figure = new_figure(max(7.0, 1.7 * (depth + 1)), height * len(cells))
        figure.set_layout_engine("constrained")
        for row, (name, cell) in enumerate(cells.items()):
            axes = figure.add_subplot(len(cells), 1, row + 1)
            axes.set_title(f"{name} cell")
            _draw(axes, cell, colors)
        return png(figure)


def _edges(cell: Mapping[str, Any]) -> list[tuple[int, re.Match[str]]]:
    """Each state from s2 on with each of its operations."""
    return [
        (number, match)
        for number, terms in enumerate(cell["states"], start=2)
        for term in terms
        if (match := TERM.fullmatch(term)) is not None
    ]


def _depths(cell: Mapping[str, Any]) -> dict[Any, int]:
    """The column of each state and of the output: one more than that of the last state it reads."""
    depths: dict[Any, int] = {0: 0, 1: 0}
    for number, match in _edges(cell):
        depths[number] = max(depths.get(number, 0), depths[int(match[2])] + 1)
    depths[OUTPUT] = max(depths.values()) + 1
    return depths


def _places(depths: Mapping[Any, int]) -> dict[Any, Point]:
    """The position of each node: its column, and a height that no other state has, so that edges pass nodes by."""
    states = [node for node in depths if node not in (0, 1, OUTPUT)]
    lanes = [lane for pair in zip(range(len(states)), range(len(states) - 1, -1, -1), strict=True) for lane in pair]
    heights = dict(zip(states, dict.fromkeys(lanes), strict=True))  # from both ends to the middle
    middle = (len(states) - 1) / 2
    distance = max(0.75, middle / 2)
    heights |= {0: middle + distance + 0.1, 1: middle - distance - 0.1, OUTPUT: middle + 0.05}
    return {node: (float(depth), heights[node]) for node, depth in depths.items()}


def _draw(axes: Axes, cell: Mapping[str, Any], colors: Mapping[str, str]) -> None:
    places = _places(_depths(cell))
    drawn: set[tuple[int, int]] = set()
    labels: list[Point] = []
    for number, match in _edges(cell):
        ends = int(match[2]), number
        bend = -BEND if ends in drawn else BEND / 2
        drawn.add(ends)
        start, end, color = places[ends[0]], places[number], colors[match[1]]
        _arrow(axes, start, end, color, bend)
        labels.append(_label_place(start, end, bend, labels))
        _label(axes, labels[-1], match[1], color)
    for state in cell["concatenate"]:
        _arrow(axes, places[int(state[1:])], places[OUTPUT], GRAY, BEND / 3, linestyle="--")
    for node, (x, y) in places.items():
        is_input = node in (0, 1)
        color = VERMILION if node == OUTPUT else BLUE if is_input else "black"
        text = OUTPUT if node == OUTPUT else f"s{node}"
        axes.text(
            x, y, text, ha="center", va="center", zorder=4, bbox={**NODE, "facecolor": "white", "edgecolor": color}
        )
    heights = [y for _, y in places.values()]
    axes.set_xlim(-0.35, max(x for x, _ in places.values()) + 0.35)
    axes.set_ylim(min(heights) - 0.6, max(heights) + 0.6)
    axes.axis("off")


def _arrow(axes: Axes, start: Point, end: Point, color: str, bend: float, *, linestyle: str = "-") -> None:
    """A curved arrow."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=11,
            shrinkB=11,
            color=color,
            linewidth=1.2,
            linestyle=linestyle,
            zorder=1,
        )
    )


def _label_place(start: Point, end: Point, bend: float, others: Sequence[Point]) -> Point:
    """A point of a curved arrow that is not at another label, if there is one."""
    places = [_on_arrow(start, end, bend, at) for at in LABEL_AT]
    return next((place for place in places if not any(_is_near(place, other) for other in others)), places[0])


def _is_near(place: Point, other: Point) -> bool:
    return all(abs(one - two) < size for one, two, size in zip(place, other, LABEL_SIZE, strict=True))


def _on_arrow(start: Point, end: Point, bend: float, at: float) -> Point:
    """A point of a quadratic Bezier curve, whose control point is beside the middle of the chord."""
    span_x, span_y = end[0] - start[0], end[1] - start[1]
    control = (start[0] + end[0]) / 2 + bend * span_y, (start[1] + end[1]) / 2 - bend * span_x
    weights = (1 - at) ** 2, 2 * at * (1 - at), at**2
    x, y = (
        sum(weight * point[axis] for weight, point in zip(weights, (start, control, end), strict=True))
        for axis in (0, 1)
    )
    return x, y


def _label(axes: Axes, place: Point, text: str, color: str) -> None:
    background = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    axes.text(*place, text, ha="center", va="center", fontsize=7.5, color=color, zorder=3, bbox=background)
