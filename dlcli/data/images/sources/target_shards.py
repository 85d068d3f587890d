"""Images in shards with numbers to predict, or with any number of labels each."""

import math
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from dlcli.data.images.dataset import CommonKeys, Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import PackedRow, assemble_shards, list_shards, parse_annotations
from dlcli.data.images.targets import TABLE, TargetTable
from dlcli.data.leakage import warn_of_similar_names
from dlcli.data.listing import name_some
from dlcli.data.table import is_usable
from dlcli.errors import InputError


def read_target_shards(
    *, path: str | Path, entry: Literal["labels", "value"], reading: Reading, **common: Unpack[CommonKeys]
) -> Dataset:
    """The images that the index of a folder of shards lists, with its splits and their numbers or labels.

    Args:
        entry: which of the two, as in :class:`~dlcli.data.images.targets.TargetTable`.

    Raises:
        InputError: as for :func:`~dlcli.data.images.sources.shards.list_shards`; the images cannot be used; or their
            numbers are not those of a trained model.
    """
    folder = Path(path)
    rows = list_shards(folder, entry)
    names = tuple(rows[0].annotation[entry]) if rows and isinstance(rows[0].annotation[entry], dict) else ()

    def values_of(row: PackedRow) -> list[float]:
        found = row.annotation[entry]
        if tuple(found) != names or not names:
            raise ValueError
        return [_number(value) for value in found.values()]

    values = dict(zip((row.name for row in rows), parse_annotations(folder, rows, values_of), strict=True))
    nouns = "labels" if entry == "labels" else "numbers"
    if reading.classes is not None and names != reading.classes:
        raise InputError(
            f"{folder}: the {nouns} must be those of the trained model, in its order: {name_some(reading.classes)}. "
            f"Received {name_some(names)}."
        )
    return assemble_shards(
        folder,
        rows,
        reading=reading,
        common=common,
        outputs=names,
        annotate=lambda part: {
            TABLE: TargetTable(
                entry, names, np.array([values[row.name] for row in part], np.float64).reshape(-1, len(names))
            )
        },
        warnings=warn_of_similar_names(names, nouns="labels") if entry == "labels" else (),
    )


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_usable(value):
        raise ValueError
    return float(value)
