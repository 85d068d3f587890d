"""An unfolded network as a table."""

from dlcli.report.cost.layer_table import shape_text
from dlcli.report.cost.unfolding import Edge, Node, Unfolding

COLUMNS = ("node", "layer", "computed from", "shared weights", "steps", "size", "parameters")
NUM_TEXT_COLUMNS = 4
MOST_WEIGHTS = 5  # of a node in the table

NOTES = {
    "lstm": "Beside h(t), an LSTM hands its cell state on to the next step.",
    "jordan": "h(t) is the output layer of a Jordan network, which the next step reads instead of the hidden units.",
    "ntm": "h(t) is what the controller outputs and the heads read; the memory and its addresses are handed on, too.",
}


def node_name(node: Node) -> str:
    """``h1(t)``; ``o`` for an output that there is once."""
    if node.steps == 1:
        return node.symbol
    return f"{node.symbol}({'i' if node.is_decoder else 't'})"


def reads_text(node: Node, edge: Edge, steps: int) -> str:
    """``h1(t-1)``, ``h1(30)``, or ``h1(1) … h1(30)`` for all steps.

    Args:
        node: that reads.
        steps: of the node that is read.
    """
    letter = "i" if node.is_decoder else "t"
    at = {"same": letter, "before": f"{letter}-1", "after": f"{letter}+1", "first": "1", "last": str(steps)}
    if edge.when == "all":
        return f"{edge.source}(1) … {edge.source}({steps})"
    return f"{edge.source}({at[edge.when]})"


def unfolding_rows(unfolding: Unfolding) -> list[tuple[str, ...]]:
    """The header, and the cells of each node as text."""
    steps = {node.symbol: node.steps for node in unfolding.nodes}
    return [
        COLUMNS,
        *(
            (
                node_name(node),
                node.layer,
                ", ".join(reads_text(node, edge, steps[edge.source]) for edge in node.reads),
                _weights_text(node),
                f"{node.steps:,}",
                f"{node.size:,}",
                f"{node.parameters:,}",
            )
            for node in unfolding.nodes
        ),
    ]


def _weights_text(node: Node) -> str:
    """``W 2x64, U 64x64, b 64``; of many weights the first ones."""
    texts = [f"{name} {shape_text(shape)}" for name, shape in node.weights]
    more = ["…"] if len(texts) > MOST_WEIGHTS else []
    return ", ".join(texts[: MOST_WEIGHTS - len(more)] + more)


def heading(unfolding: Unfolding) -> str:
    """``many to one: 30 steps, 4,353 parameters``."""
    steps = {node.is_decoder: f"{node.steps:,}" for node in unfolding.nodes if node.symbol in ("x", "y")}
    counted = " and ".join(steps[is_decoder] for is_decoder in sorted(steps))
    return f"{unfolding.form}: {counted} steps, {unfolding.parameters:,} parameters"


def notes(unfolding: Unfolding) -> list[str]:
    """What the table does not show."""
    found = [NOTES[unfolding.cell]] if unfolding.cell in NOTES else []
    if unfolding.other_parameters:
        found.append(f"{unfolding.other_parameters:,} parameters are in other layers.")
    found.append("The gradient of a weight is the sum of its gradients at all steps (backpropagation through time).")
    return found
