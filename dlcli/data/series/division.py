"""Divides long series into splits: each by time, or whole series at random."""

from typing import Literal

import numpy as np

from dlcli.data.listing import DEFAULT_TEST, DEFAULT_VALIDATION
from dlcli.data.series.time_table import Table
from dlcli.data.series.windows import Series, Stretch, Windows
from dlcli.data.splits import DataWarning
from dlcli.errors import InputError

SplitBy = Literal["time", "series"]


def divide(
    table: Table,
    *,
    source: str,
    history: int,
    horizon: int,
    validation: float | None,
    test: float | None,
    stride: int,
    evaluation_stride: int = 1,
    split_by: SplitBy = "time",
    seed: int = 0,
    fold: tuple[int, int] | None = None,
) -> Series:
    """The windows of a table.

    Args:
        validation, test: proportions of the rows of each series: the last part is test, the part before it validation;
            or proportions of the series.
        stride: steps between two training windows.
        evaluation_stride: steps between two windows of validation and test.
        split_by: whether each series is divided by time, or whole series are drawn at random.
        seed: of these.
        fold: the part that is held out for validation, counted from 1, and the number of parts, in place of
            ``validation``. By time, the rows of each series before the test are divided into one part more, and
            training has those before the part that is held out, so that it never sees what comes later (Hyndman and
            Athanasopoulos, Forecasting: Principles and Practice, section 5.10).

    Raises:
        InputError: train has no whole window, or there are fewer series than folds.
    """
    shares = (DEFAULT_TEST if test is None else test, DEFAULT_VALIDATION if validation is None else validation)
    if split_by == "series":
        stretches = _by_series(table, *shares, seed, fold, source)
    else:
        stretches = _by_time(table, *shares, fold)
    is_known = np.concatenate([[0], np.cumsum(~np.isnan(table.target))])
    splits: dict[str, Windows] = {}
    warnings = []
    for split in ("train", "validation", "test"):
        origins, rows = [], []
        for part in stretches:
            if part.split != split:
                continue
            first = part.start + max(0, history - part.history)
            found = np.arange(first, part.end - horizon + 1, stride if split == "train" else evaluation_stride)
            # metrics need at least one known value in each window
            found = found[is_known[found + horizon] > is_known[found]] if len(found) else found
            if table.no_origin is not None:
                found = found[~table.no_origin[found - 1]]
            origins.append(found.astype(np.int64))
            rows.append(part.end - part.start)
        windows = np.concatenate(origins) if origins else np.zeros(0, np.int64)
        if len(windows):
            splits[split] = Windows(windows)
        elif split == "train":
            noun = "rows" if not table.parts else "rows in the longest series"
            remedy = "lower window.history or window.horizon, or give more rows"
            if fold is not None:
                remedy = "divide into fewer folds, or lower window.history or window.horizon"
            raise InputError(
                f"{source}: train must have a window of {history} + {horizon} steps. Received {max(rows, default=0)} "
                f"{noun}: {remedy}."
            )
        elif rows:
            needed = f"for a forecast of {horizon} steps"
            text = f"{split} has {sum(rows)} rows, too few {needed}: it is left out."
            if table.parts:
                text = f"{split} has no series with enough rows {needed}: it is left out."
            warnings.append(DataWarning("splits", text))
        if split in splits and (num_empty := sum(not len(found) for found in origins)):
            text = f"{split}: {num_empty:,} of {len(origins):,} series have too few rows for a window there."
            warnings.append(DataWarning("splits", text))
    return Series(table, history, horizon, tuple(stretches), splits, warnings=(*table.warnings, *warnings))


def _by_time(table: Table, test: float, validation: float, fold: tuple[int, int] | None) -> list[Stretch]:
    stretches = []
    for part in table.series:
        num_rows = part.end - part.start
        num_kept = num_rows - round(num_rows * test)
        end_train, end_validation = num_kept - round(num_rows * validation), num_kept
        if fold is not None:
            number, of = fold
            end_train, end_validation = (round(num_kept * edge / (of + 1)) for edge in (number, number + 1))
        borders = {"train": (0, end_train), "validation": (end_train, end_validation), "test": (num_kept, num_rows)}
        stretches += [
            Stretch(part.name, split, part.start + start, part.start + end, start)
            for split, (start, end) in borders.items()
            if end > start
        ]
    return stretches


def _by_series(
    table: Table, test: float, validation: float, seed: int, fold: tuple[int, int] | None, source: str
) -> list[Stretch]:
    parts = table.series
    order = np.random.default_rng(seed).permutation(len(parts)).tolist()
    num_test = round(len(parts) * test)
    kept = order[num_test:]
    held_out = kept[: round(len(parts) * validation)]
    if fold is not None:
        number, of = fold
        if len(kept) < of:
            raise InputError(
                f"{source}: data.fold: there must be at least as many series as folds. Received {len(kept)} series "
                f"that are not for the test, and {of} folds."
            )
        held_out = kept[number - 1 :: of]
    split_of = dict.fromkeys(kept, "train") | dict.fromkeys(held_out, "validation")
    return [Stretch(part.name, split_of.get(number, "test"), part.start, part.end) for number, part in enumerate(parts)]
