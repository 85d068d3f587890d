"""Shared by the heads of numbers and of labels: whether data have what a model predicts, and rows without a value."""

from collections.abc import Sequence
from typing import Any

from dlcli.data.images.samples import Dataset
from dlcli.data.images.targets import TABLE
from dlcli.data.listing import name_some
from dlcli.errors import InputError


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
