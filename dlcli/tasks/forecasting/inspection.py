"""What ``dlcli data`` reports about the table of a forecasting recipe."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlcli.data.series.windows import Series, raw_values
from dlcli.tasks.inspection import Finding, report, warning_findings
from dlcli.tasks.sequences.inspection import feature_statistics


def check(dataset: Series) -> dict[str, Any]:
    """The report of ``dlcli data check`` on the table of a forecasting recipe."""
    return report(counts(dataset), [*warning_findings(dataset), *_feature_findings(dataset)])


def counts(dataset: Series) -> dict[str, dict[str, int]]:
    """The number of forecasts in each split."""
    return {name: {"forecasts": len(split)} for name, split in dataset.splits.items()}


def stats(dataset: Series) -> dict[str, Any]:
    """The number of forecasts in each split, and statistics of the features in the training split."""
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "lengths": {},
        "features": feature_statistics(dataset.table.features, raw_values(dataset.of_train(), dataset.table.offset)),
        "texts": {},
    }


def _feature_findings(dataset: Series) -> Iterator[Finding]:
    table, train = dataset.table, dataset.of_train()
    for position, name in enumerate(table.features):
        column = table.values[:, position]
        is_missing, of_train = np.isnan(column), train[:, position]
        if is_missing.any():
            longest = max(map(len, "".join(".x"[int(m)] for m in is_missing).split(".")))
            text = f"{name}: {is_missing.mean():.1%} of the values are missing, at most {longest:,} in a row"
            yield Finding("missing values", bool(np.isnan(of_train).all()), text, ())
        if not np.isnan(of_train).all() and np.nanmin(of_train) == np.nanmax(of_train):
            yield Finding("constant", position == 0, f"{name} is constant in the training split", ())
