"""The drawn graph of an unfolded network."""

from dataclasses import replace

from pixels import read, where  # type: ignore[import-not-found]

from dlcli.report.cost.unfolding import Edge, Node, Unfolding
from dlcli.report.plots.figure import LINE_COLORS
from dlcli.report.plots.unfolding import _arrows, _columns, _places, unfolding_figure

X = Node("x", "input", 3, 2)
H = Node("h", "simple1", 3, 4, (Edge("x", "same"), Edge("h", "before")), (("W", (2, 4)), ("U", (4, 4))))
G = Node("g", "simple1_backward", 3, 4, (Edge("x", "same"), Edge("g", "after")), (("W", (2, 4)), ("U", (4, 4))))
O = Node("o", "logits", 1, 1, (Edge("h", "last"), Edge("g", "first")), (("V", (8, 1)),))  # noqa: E741


def test_steps_that_are_drawn() -> None:
    assert _columns(3) == [1, 2, 3]
    assert _columns(30) == [1, 2, 3, None, 30]


def test_arrows_follow_time() -> None:
    nodes = (X, H, G, O)
    places = _places(nodes)
    forward = [*_arrows(places, nodes, H, Edge("h", "before"))]
    assert forward == [(places["h", 1], places["h", 2]), (places["h", 2], places["h", 3])]
    backward = [*_arrows(places, nodes, G, Edge("g", "after"))]
    assert backward == [(places["g", 2], places["g", 1]), (places["g", 3], places["g", 2])]
    assert [*_arrows(places, nodes, O, Edge("h", "last"))] == [(places["h", 3], places["o", 1])]
    assert [*_arrows(places, nodes, O, Edge("g", "first"))] == [(places["g", 1], places["o", 1])]
    assert len([*_arrows(places, nodes, O, Edge("h", "all"))]) == 3


def test_the_figure_has_a_color_for_each_node() -> None:
    of_three = read(unfolding_figure(Unfolding("many to one", "simple", (X, H, replace(O, reads=O.reads[:1])), 100)))
    of_four = read(unfolding_figure(Unfolding("many to one", "simple", (X, H, G, O), 100)))
    fourth = LINE_COLORS[3]
    assert where(of_four, fourth) is not None
    assert where(of_three, fourth) is None
