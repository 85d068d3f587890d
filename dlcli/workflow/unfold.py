"""``dlcli summary --unfold``: a recurrent network unfolded in time, as a table and as a plot."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.report.cost.unfolding import Unfolding, unfold
from dlcli.report.cost.unfolding_text import NUM_TEXT_COLUMNS, heading, notes, unfolding_rows
from dlcli.report.plots.unfolding import unfolding_figure
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import replace_file
from dlcli.workflow.summary import Summary


@dataclass(frozen=True)
class UnfoldedSummary:
    """The unfolded graph of a network; its methods are those of :class:`Summary`."""

    source: str
    unfolding: Unfolding

    num_text_columns = NUM_TEXT_COLUMNS

    def text(self) -> str:
        """The nodes and what the table does not show, as text for people."""
        lines = [heading(self.unfolding), "", *_aligned(self.rows()), "", *notes(self.unfolding)]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """The nodes as CSV."""
        header, *rows = self.rows()
        return csv_text(header, rows)

    def rows(self) -> list[tuple[str, ...]]:
        """The header and the nodes, as text."""
        return unfolding_rows(self.unfolding)

    def as_dict(self) -> dict[str, Any]:
        """The nodes in plain values, for JSON."""
        return {"source": self.source, **self.unfolding.as_dict()}

    def draw(self, path: Path) -> None:
        """Write the graph as a PNG file."""
        replace_file(path, unfolding_figure(self.unfolding))


def unfolded(summary: Summary) -> UnfoldedSummary:
    """The network of a summary unfolded in time.

    Raises:
        InputError: it is not recurrent, or it is a model file, whose layers may have any names.
    """
    if summary.model is None:
        raise InputError(f"{summary.source}: --unfold is for a recipe, or for a run that trained one network.")
    try:
        return UnfoldedSummary(summary.source, unfold(summary.table, pooling=getattr(summary.model, "pooling", None)))
    except ValueError as error:
        raise InputError(f"{summary.source}: {error}") from None


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines, the columns of numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < NUM_TEXT_COLUMNS else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
