"""Samples with any number of labels each: the labels that lists name, and which of them apply to each sample."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.data.listing import check_names, like, name_some, sort_names
from dlcli.errors import InputError

BETWEEN = "|"  # the labels of a sample in one text, as in predictions.csv


def listed(cell: str, separator: str) -> list[str]:
    """The labels in a cell."""
    return [name for part in cell.split(separator) if (name := part.strip())]


def labels_in(
    lists: Sequence[Sequence[str]],
    splits: Sequence[str],
    *,
    source: str,
    samples: str,
    trained: tuple[str, ...] | None,
) -> tuple[tuple[str, ...], list[tuple[int, str]]]:
    """The labels of train, sorted; those of a trained model.

    Args:
        lists, splits: the labels and the split of each sample.
        samples: what a sample is, for the message: an image, a text.
        trained: the labels of a trained model.

    Returns:
        The labels, and the error of each sample that has others, with its position.

    Raises:
        InputError: train has none, or a name cannot be written.
    """
    own = sort_names([name for names, split in zip(lists, splits, strict=True) if split == "train" for name in names])
    check_names(own, source=source, noun="label")
    if not own and trained is None:
        raise InputError(f"{source}: there must be a label that applies to {samples} of train. Received none.")
    known = own if trained is None else trained
    must = "a label must be in train too" if trained is None else "a label must be one of the trained model's"
    errors, distinct = [], set(known)
    for position, names in enumerate(lists):
        unknown = [name for name in names if name not in distinct]
        if unknown:
            received = f"Received {name_some(unknown)}{like(unknown, known)}"
            errors.append((position, f"{must}. {received}: correct it, or remove it. Labels: {name_some(known)}."))
    return known, errors


def refuse_between(names: Sequence[str], *, source: str) -> None:
    """Refuses names of labels that could not be distinguished in predictions.csv.

    Raises:
        InputError: one contains `BETWEEN`.
    """
    for name in names:
        if BETWEEN in name:
            raise InputError(
                f"{source}: {name_some([name])}: a label must not contain '{BETWEEN}', which separates the labels in "
                "predictions.csv. Rename it, or correct data.separator."
            )


def applied(lists: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.float64]:
    """1 where a label is in a sample's list, else 0, float64 ``[n, l]``."""
    position = {name: i for i, name in enumerate(names)}
    applies = np.zeros((len(lists), len(names)), np.float64)
    for i, own in enumerate(lists):
        applies[i, [position[name] for name in own]] = 1.0
    return applies
