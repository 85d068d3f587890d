"""What ``dlcli data`` reports about a table to be forecast."""

from collections.abc import Iterator

import numpy as np

from dlcli.data.series.windows import Series
from dlcli.tasks.findings import Finding


def about_series(dataset: Series) -> Iterator[Finding]:
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
