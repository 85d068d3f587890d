"""A table with a row for each time step, for forecasting: columns, times, gaps."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.decimals import Mark, cell_error, is_value, plain_number
from dlcli.data.files import printable
from dlcli.data.series.covariates import (
    Calendar,
    Categories,
    calendar_features,
    calendar_names,
    categories_of,
    static_features,
    static_names,
)
from dlcli.data.series.resampling import Gaps, filled, notes_of_filled, refuse_empty, resampled, time_texts
from dlcli.data.series.row_order import Part, as_numbers, gap_warnings, in_order
from dlcli.data.series.times import Errors, epoch_of, read_times
from dlcli.data.series.tsf import table_of_tsf
from dlcli.data.splits import DataWarning
from dlcli.data.table import (
    MISSING,
    Cells,
    column_names,
    read_cells,
    refuse_errors,
)
from dlcli.errors import InputError
from dlcli.files import read_text, suffix_of

MAX_BYTES = 2**30  # of a table
OnMissing = Literal["error", "keep"]


@dataclass(frozen=True)
class Table:
    """The rows of a table, series by series, each in the order of time.

    Attributes:
        times: each row's time as text.
        values: float32 ``[rows, features]``, the target first; NaN for a missing value.
        features: names of the columns.
        exact: the target in float64, if it is known.
        seen: the same with the values that fill gaps, as the network sees it.
        offset: a constant that is subtracted from the target in ``values``, so that large numbers keep their digits.
        moments: of the rows, float64 ``[rows]``: seconds since 1970, or numbers; None if they are neither.
        are_dates: whether the moments are seconds since 1970.
        warnings: about the order of the times, and gaps in them.
        parts: the series; empty for a single one without a name.
        known_ahead: names of the features whose values are known before their time.
        categories: of the static columns of text.
        no_origin: rows after which no forecast may start, because what is known there was computed from later rows
            ``[rows]``; None for none.
    """

    times: tuple[str, ...]
    values: NDArray[np.float32]
    features: tuple[str, ...]
    warnings: tuple[DataWarning, ...] = ()
    exact: NDArray[np.float64] | None = None
    seen: NDArray[np.float64] | None = None
    offset: float = 0.0
    moments: NDArray[np.float64] | None = None
    are_dates: bool = False
    parts: tuple[Part, ...] = ()
    known_ahead: tuple[str, ...] = ()
    categories: Categories = field(default_factory=dict)
    no_origin: NDArray[np.bool_] | None = None

    @property
    def target(self) -> NDArray[np.float64]:
        """The target, float64 ``[rows]``, with the digits of the file."""
        return self.values[:, 0].astype(np.float64) if self.exact is None else self.exact

    def without(self, offset: float) -> "Table":
        """The table with a constant subtracted from the target in ``values``, before it is rounded to float32."""
        if offset == self.offset:
            return self
        values = self.values.copy()
        values[:, 0] = (self.target if self.seen is None else self.seen) - offset
        return replace(self, values=values, offset=offset)

    @property
    def series(self) -> tuple[Part, ...]:
        """The series, of which there is at least one."""
        return self.parts or (Part("", 0, len(self.values)),)

    @property
    def is_known_ahead(self) -> NDArray[np.bool_]:
        """Which features are known before their time ``[features]``."""
        return np.array([name in self.known_ahead for name in self.features])


def read_table(
    *,
    path: str | Path,
    time: Sequence[str],
    target: str,
    features: Sequence[str] | None,
    on_missing: OnMissing,
    time_format: str | None = None,
    day_first: bool | None = None,
    series: str | None = None,
    future_features: Sequence[str] = (),
    static: Sequence[str] = (),
    calendar: Sequence[Calendar] = (),
    categories: Categories | None = None,
    resample: str | None = None,
    gaps: Gaps = "mask",
    decimal: Mark | None = None,
    columns: Sequence[str] | None = None,
    text: str | None = None,
) -> Table:
    """The numbers of a CSV file with a row for each time step, or of a .tsf file, which is read as such a table.

    Args:
        time: names of the columns that together give the time: numbers, coarsest first, or a date. Rows in another
            order are sorted by it.
        target: name of the column to forecast.
        features: names of further columns as inputs of the forecast; None for all others of which every cell is a
            number or missing.
        on_missing: refuse missing values, or keep them: the network then replaces them by the mean, and metrics ignore
            them.
        time_format, day_first: as for :func:`dlcli.data.series.times.read_times`.
        series: name of the column that names the series of a row; None for a single series.
        future_features: names of further columns whose values are known before their time.
        static: names of columns with one value for each series.
        calendar: features of the time itself.
        categories: those of a trained model; None for those of the table.
        resample: length of the intervals over which rows are averaged, such as ``15min``; None to use them as they are.
        decimal: the decimal mark of numbers, before which digits may be in groups of three; None for a point without
            groups.
        gaps: what the network sees in the place of missing values of the target and the features.
        columns: the names of all columns of a table without a header; None if it has one.
        text: of a table in memory, of which ``path`` is then the name.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    if text is None:
        remedy = "Give a CSV file with a row for each time step."
        text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy=remedy)
    text = table_of_tsf(table, text) if suffix_of(table) == ".tsf" else text
    header = column_names(table, text, columns)
    if features is None:
        taken = (*time, target, series, *future_features, *static)
        features = [name for name in header if name not in taken]
        named = {f"time {i}": name for i, name in enumerate(time)} | {"target": target}
        cells_of = named | {f"feature {name}": name for name in features}
        found, _ = read_cells(table, text, cells_of, required=(), names=columns)
        features = [
            name for name in features if all(is_value(cells[f"feature {name}"], decimal) for _, _, cells in found)
        ]
    roles = {f"time {i}": name for i, name in enumerate(time)}
    names = [target, *(name for name in features if name != target), *future_features]
    roles |= {f"feature {name}": name for name in names} | {f"static {name}": name for name in static}
    roles |= {} if series is None else {"series": series}

    def error_of(cells: Cells) -> str | None:
        for name in names:
            cell = cells[f"feature {name}"]
            if cell not in MISSING and (error := cell_error(name, cell, decimal)) is not None:
                return error
            if cell in MISSING and on_missing == "error":
                return f"column '{printable(name)}' must have a value. Fill it in, or train with data.on_missing: keep."
        return None

    required = [f"time {i}" for i in range(len(time))] + ([] if series is None else ["series"])
    records, errors = read_cells(table, text, roles, required=required, error_of=error_of, names=columns)
    if decimal is not None:
        records = [(line, split, _plain_cells(cells, decimal)) for line, split, cells in records]
    written = [(line, [cells[f"time {i}"] for i in range(len(time))]) for line, _, cells in records]
    dated = read_times(written, time, source=str(table), time_format=time_format, day_first=day_first)
    errors += dated.errors
    rows_of: dict[str, list[int]] = {}
    for position, (_, _, cells) in enumerate(records):
        rows_of.setdefault(cells.get("series", ""), []).append(position)
    order = list(range(len(written)))
    notes: list[DataWarning] = []
    if not errors:
        order, notes = in_order(dated, written, rows_of, errors, may_repeat=resample is not None)
    statics = _statics(static, records, rows_of, errors)
    refuse_errors(table, errors)
    if not records:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    records = [records[i] for i in order]
    exact = np.array(
        [
            [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in names]
            for _, _, cells in records
        ],
        np.float64,
    )
    times = tuple(printable(" ".join(cells[f"time {i}"] for i in range(len(time)))) for _, _, cells in records)
    moments = as_numbers([dated.moments[i] for i in order])
    ends = list(itertools.accumulate(len(rows_of[name]) for name in sorted(rows_of)))
    parts = tuple(
        Part(printable(name), end - len(rows_of[name]), end) for name, end in zip(sorted(rows_of), ends, strict=True)
    )
    are_dates = dated.are_dates or len(time) > 1
    for key in [key for key, value in (("calendar", calendar), ("resample", resample)) if value]:
        if not are_dates or moments is None:
            epoch = epoch_of(times[0])
            remedy = "" if epoch is None else f" If they count from 1970, set data.time_format: {epoch}."
            raise InputError(f"{table}: data.{key} needs dates. Received times such as {times[0]}.{remedy}")
    if resample is not None and moments is not None:
        exact, moments, parts = resampled(exact, moments, parts, resample, source=str(table))
        times = time_texts(moments)
        if on_missing == "error":
            refuse_empty(exact, times, parts, resample, source=str(table))
    num_filled = len(names) - len(future_features)
    values, no_origin = filled(exact[:, :num_filled], parts, gaps)
    notes += notes_of_filled(exact, values, names, gaps)
    if categories is None:
        of_static = {name: [cells[name] for cells in statics.values()] for name in static}
        names_alone = () if series is None else (series,)
        categories = categories_of(of_static, source=str(table), never_numbers=names_alone)
    of_series = [static_features(statics[name], categories) for name in sorted(rows_of)]
    more = [np.repeat(np.array(of_series, np.float32), [part.end - part.start for part in parts], axis=0)]
    if calendar:
        assert moments is not None
        more.append(calendar_features(moments, calendar))
    further = (*static_names(static, categories), *calendar_names(calendar))
    return Table(
        times,
        np.concatenate([values, exact[:, num_filled:], *more], axis=1).astype(np.float32),
        (*names, *further),
        (*notes, *gap_warnings(moments, times, parts)),
        exact[:, 0],
        values[:, 0],
        0.0,
        moments,
        are_dates,
        () if series is None else parts,
        (*future_features, *further) if future_features or calendar else (),
        categories,
        no_origin if no_origin.any() else None,
    )


def _statics(
    static: Sequence[str], records: Sequence[tuple[int, str, Cells]], rows_of: Mapping[str, list[int]], errors: Errors
) -> dict[str, dict[str, str]]:
    """The static cells of each series by column; adds the rows where they differ to the errors."""
    found = {}
    for name, rows in rows_of.items():
        first_line, _, first = records[rows[0]]
        found[name] = {column: first[f"static {column}"] for column in static}
        for row in rows[1:]:
            line, _, cells = records[row]
            for column in static:
                if cells[f"static {column}"] != found[name][column]:
                    must = f"column '{printable(column)}' must be the same in all rows of a series."
                    errors.append((line, f"{must} Line {first_line} has another value."))
                    break
    return found


def _plain_cells(cells: Cells, decimal: Mark) -> Cells:
    """The cells of features and static columns, numbers with a decimal point and without separators."""
    return {
        role: (role.startswith(("feature ", "static ")) and plain_number(cell, decimal)) or cell
        for role, cell in cells.items()
    }
