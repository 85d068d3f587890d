"""What ``dlcli data`` reports about a table to be forecast."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlcli.data.series.windows import Series
from dlcli.tasks.inspection import Finding, about_warnings, report
from dlcli.tasks.sequences.inspection import feature_statistics


def check(dataset: Series) -> dict[str, Any]:
    """What ``dlcli data check`` writes about a table to be forecast."""
    return report(counts(dataset), [*about_warnings(dataset), *_about_features(dataset)])


def counts(dataset: Series) -> dict[str, dict[str, int]]:
    """The forecasts of each split."""
    return {name: {"forecasts": len(split)} for name, split in dataset.splits.items()}


def stats(dataset: Series) -> dict[str, Any]:
    """The forecasts of each split, and statistics of the features in the training split."""
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "lengths": {},
        "features": feature_statistics(dataset.table.features, dataset.of_train()),
        "texts": {},
    }


def _about_features(dataset: Series) -> Iterator[Finding]:
    table, last = dataset.table, dataset.ends["train"]
    for position, name in enumerate(table.features):
        column = table.values[:, position]
        is_missing = np.isnan(column)
        if is_missing.any():
            longest = max(map(len, "".join(".x"[int(m)] for m in is_missing).split(".")))
            text = f"{name}: {is_missing.mean():.1%} of the values are missing, at most {longest:,} in a row"
            yield Finding("missing", bool(is_missing[:last].all()), text, ())
        if not is_missing[:last].all() and np.nanmin(column[:last]) == np.nanmax(column[:last]):
            yield Finding("constant", position == 0, f"{name} has one value throughout the training split", ())
