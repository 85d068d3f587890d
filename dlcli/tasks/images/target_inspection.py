"""Shared by the heads of numbers and of labels: whether data have what a model predicts, and rows without a value."""

from collections.abc import Iterator, Sequence
from typing import Any

from dlcli.data.images.samples import Dataset
from dlcli.data.images.targets import TABLE
from dlcli.data.listing import name_some
from dlcli.errors import InputError
from dlcli.tasks.inspection import Finding, count, some


def require_targets(section: Any, dataset: Dataset, trained: Sequence[str] | None, *, task: str) -> None:
    """Check that data have the columns that a model predicts.

    Args:
        trained: the names of a trained model's outputs; None for a new model.

    Raises:
        InputError: they are data of another task, or have other columns.
    """
    if not all(TABLE in samples.annotations for samples in dataset.splits.values()):
        raise InputError(f"data.kind: {section.kind}: these are not data for task: {task}. Name data of this task.")
    if trained is not None and tuple(trained) != dataset.classes:
        raise InputError(
            f"the data must have the columns that the model predicts, in their order: {name_some(list(trained))}. "
            f"Received {name_some(list(dataset.classes))}."
        )


def incomplete_findings(section: Any, dataset: Dataset) -> Iterator[Finding]:
    """The rows that are left out because a value is missing: a problem where training would stop."""
    missing = [item for item in dataset.left_out if item.kind == "incomplete"]
    if missing:
        stops = getattr(section, "on_missing", None) == "error"
        named = tuple(item.name for item in missing)
        shown = some([f"{item.name} ({item.reason})" for item in missing])
        text = f"{count(named, 'row')} without a value (data.on_missing): {shown}"
        yield Finding("missing value", stops, text, named)
