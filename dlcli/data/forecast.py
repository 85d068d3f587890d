"""One long series, divided by time, and the windows of it that a forecast is learned from."""

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.files import read_text
from dlcli.data.listing import DEFAULT_TEST, DEFAULT_VALIDATION
from dlcli.data.samples import SPLIT_COLUMNS, Index, LeftOut
from dlcli.data.scan import printable
from dlcli.data.table import (
    MISSING,
    Cells,
    column_names,
    is_usable,
    number_fault,
    parse_number,
    read_cells,
    refuse_faults,
)
from dlcli.errors import InputError

MAX_BYTES = 2**30  # of a table
OnMissing = Literal["error", "keep"]


@dataclass(frozen=True)
class Table:
    """The rows of a table in the order of time.

    Attributes:
        times: what each row's time is called.
        values: float32 ``[rows, features]``, the target first; NaN where one is missing.
        features: names of the columns.
        warnings: what the user should know of the times.
    """

    times: tuple[str, ...]
    values: NDArray[np.float32]
    features: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read_table(
    *, path: str | Path, time: Sequence[str], target: str, features: Sequence[str] | None, on_missing: OnMissing
) -> Table:
    """The numbers of a CSV file with a row for each step of time.

    Args:
        time: names of the columns that together say when, each a number or text that sorts; they must rise.
        target: name of the column to forecast.
        features: names of further columns that the forecast may use; None for all others of which every cell is a
            number or missing.
        on_missing: refuse missing values, or keep them: the network then takes the mean for them, and no forecast is
            measured by them.

    Raises:
        InputError: the table is not as described; faults of rows are reported together.
    """
    table = Path(path)
    text = read_text(
        table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file with a row for each step of time."
    )
    header = column_names(table, text)
    if features is None:
        features = [name for name in header if name not in (*time, target)]
        wanted = {f"time {i}": name for i, name in enumerate(time)} | {"target": target}
        found, _ = read_cells(table, text, wanted | {f"feature {name}": name for name in features}, required=())
        features = [name for name in features if all(_is_value(cells[f"feature {name}"]) for _, _, cells in found)]
    columns = {f"time {i}": name for i, name in enumerate(time)}
    names = [target, *(name for name in features if name != target)]
    columns |= {f"feature {name}": name for name in names}

    def fault_of(cells: Cells) -> str | None:
        for name in names:
            cell = cells[f"feature {name}"]
            if cell not in MISSING and (fault := number_fault(name, cell)) is not None:
                return fault
            if cell in MISSING and on_missing == "error":
                must = "set data.on_missing: keep, or fill it in"
                return f"column '{printable(name)}' has no value; {must}."
        return None

    records, faults = read_cells(
        table, text, columns, required=[f"time {i}" for i in range(len(time))], fault_of=fault_of
    )
    said = [(line, [cells[f"time {i}"] for i in range(len(time))]) for line, _, cells in records]
    moments = [_moment(cells) for _, cells in said]
    of_numbers = [isinstance(part, float) for part in moments[0]] if moments else []
    for (line, cells), moment in zip(said, moments, strict=True):
        if [isinstance(part, float) for part in moment] != of_numbers or math.inf in moment:
            words = printable(" ".join(cells)[:50])
            faults.append((line, f"time must be numbers in every row or in none. Received '{words}'."))
    if not faults:
        for (before, earlier), (now, later) in itertools.pairwise(zip(said, moments, strict=True)):
            if not later > earlier:
                words = f"{printable(' '.join(now[1]))} comes after {printable(' '.join(before[1]))}"
                faults.append((now[0], f"time must rise: {words}."))
    refuse_faults(table, faults)
    if not records:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    values = np.array(
        [
            [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in names]
            for _, _, cells in records
        ],
        np.float32,
    )
    times = tuple(printable(" ".join(cells[f"time {i}"] for i in range(len(time)))) for _, _, cells in records)
    return Table(times, values, tuple(names), tuple(_gaps(moments, times)))


def _is_value(cell: str) -> bool:
    return cell in MISSING or is_usable(parse_number(cell))


def _moment(cells: Sequence[str]) -> tuple[Any, ...]:
    numbers = [parse_number(cell) for cell in cells]
    return tuple(
        cell if number is None or math.isnan(number) else number for cell, number in zip(cells, numbers, strict=True)
    )


def _gaps(moments: Sequence[tuple[Any, ...]], times: Sequence[str]) -> list[str]:
    """Where time leaps, in words: a window of rows then spans more than it seems to."""
    seconds = [_on_a_line(moment) for moment in moments]
    known = [value for value in seconds if value is not None]
    if len(known) < len(seconds) or len(known) < 3:
        return []
    steps = np.diff(np.array(known))
    leaps = np.flatnonzero(steps > 1.5 * np.median(steps))
    if not len(leaps):
        return []
    noun = "row is" if len(leaps) == 1 else "rows are"
    first = int(leaps[0])
    return [
        f"{len(leaps):,} {noun} further from the one before than rows are usually, first {times[first + 1]} after "
        f"{times[first]}: windows go over the gap as if there were none. Give a row for each step, without values."
    ]


def _on_a_line(moment: tuple[Any, ...]) -> float | None:
    """A time as one number: a number as it is; a date, or year, month, day and hour, in hours; else None."""
    if len(moment) == 1 and isinstance(moment[0], float):
        return moment[0]
    try:
        if len(moment) == 1:
            return datetime.fromisoformat(moment[0]).replace(tzinfo=UTC).timestamp() / 3600
        numbers = [int(part) for part in moment]
        year, month, day, *more = [*numbers, 1, 1][: max(3, len(numbers))]
        hour, minute = [*more, 0, 0][:2]
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() / 3600
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True)
class Windows:
    """The windows of one split: where each one's forecast begins in the table."""

    origins: Index

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True)
class Series:
    """A table that is divided by time into windows of ``history`` steps, from which ``horizon`` are forecast.

    A window belongs to the split that all the steps lie in which it forecasts; its history may reach back into the
    split before.

    Attributes:
        ends: the row after each split's last one.
    """

    table: Table
    history: int
    horizon: int
    ends: dict[str, int]
    splits: dict[str, Windows]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 over the numbers, their names, and how they are divided."""
        digest = hashlib.sha256(json.dumps([self.table.features, self.history, self.horizon, self.ends]).encode())
        digest.update(self.table.values.tobytes())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """A row for each split, named by its first and last time."""
        rows, start = [], 0
        for split, end in self.ends.items():
            part = self.table.values[start:end]
            name = f"{self.table.times[start]} to {self.table.times[end - 1]}"
            digest = hashlib.sha256(part.tobytes()).hexdigest()[:16]
            rows.append(dict(zip(SPLIT_COLUMNS, (name, split, f"{end - start} rows", "", digest), strict=True)))
            start = end
        return rows

    def of_train(self) -> NDArray[np.float32]:
        """The training split's rows."""
        return self.table.values[: self.ends["train"]]

    def windows(self, origins: Index) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The histories ``[n, history, features]`` and what is to be forecast ``[n, horizon]`` of some windows."""
        past = self.table.values[origins[:, None] + np.arange(-self.history, 0)]
        future = self.table.values[origins[:, None] + np.arange(self.horizon), 0]
        return past, future


def divide_by_time(
    table: Table,
    *,
    source: str,
    history: int,
    horizon: int,
    validation: float | None,
    test: float | None,
    stride: int,
) -> Series:
    """The windows of a table: the last part of the rows is the test, the part before it validation.

    Args:
        validation, test: proportions of the rows.
        stride: steps between the beginnings of two training windows; those of validation and test follow each other by
            one step.

    Raises:
        InputError: a split has no row, or train no whole window.
    """
    num_rows = len(table.values)
    num_test = round(num_rows * (DEFAULT_TEST if test is None else test))
    num_validation = round(num_rows * (DEFAULT_VALIDATION if validation is None else validation))
    ends = {"train": num_rows - num_test - num_validation}
    if num_validation:
        ends["validation"] = num_rows - num_test
    if num_test:
        ends["test"] = num_rows
    splits: dict[str, Windows] = {}
    warnings = []
    start = 0
    for split, end in ends.items():
        first = max(start, history)
        origins = np.arange(first, end - horizon + 1, stride if split == "train" else 1, dtype=np.int64)
        # a window needs a value to start from, and one to be measured by
        values = table.values[:, 0]
        future = values[origins[:, None] + np.arange(horizon)] if len(origins) else np.zeros((0, horizon))
        origins = origins[~np.isnan(future).all(axis=1)]
        if len(origins):
            splits[split] = Windows(origins)
        elif split == "train":
            raise InputError(
                f"{source}: {ends['train']} rows to train on hold no window of {history} + {horizon} steps. Lower "
                "window.history or window.horizon, or give more rows."
            )
        else:
            warnings.append(
                f"{split} has {end - start} rows, which hold no forecast of {horizon} steps: there is none."
            )
        start = end
    return Series(table, history, horizon, ends, splits, warnings=(*table.warnings, *warnings))


class WindowBatches:
    """Batches of windows, as a function of (seed, epoch, position) alone."""

    def __init__(self, series: Series, origins: Index, *, batch_size: int, seed: int | None = None) -> None:
        self.num_samples = len(origins)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self._seed = seed
        self._values = tf.constant(series.table.values)
        self._origins = tf.constant(origins)
        self._past = tf.range(-series.history, 0, dtype=tf.int64)
        self._future = tf.range(series.horizon, dtype=tf.int64)

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """What :meth:`element` takes the steps of an epoch from."""
        order = np.arange(self.num_samples, dtype=np.int64)
        if self._seed is not None:
            order = np.random.Generator(np.random.PCG64([self._seed, epoch])).permutation(self.num_samples)
        return {"order": tf.constant(order, tf.int64)}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the indices of a step's windows, int64 ``[b]``."""
        return {"index": source["order"][step * self.batch_size : (step + 1) * self.batch_size]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: ``{x: [b, history, features], y: {future, known: [b, horizon]}, weight: [b], index: [b]}``."""
        origins = tf.gather(self._origins, element["index"])[:, None]
        future = tf.gather(self._values[:, 0], origins + self._future)
        is_known = tf.logical_not(tf.math.is_nan(future))
        return {
            "x": tf.gather(self._values, origins + self._past),
            "y": {"future": tf.where(is_known, future, 0.0), "known": tf.cast(is_known, tf.float32)},
            "weight": tf.ones(tf.shape(element["index"]), tf.float32),
            "index": element["index"],
        }
