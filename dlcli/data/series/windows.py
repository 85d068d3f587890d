"""One long series, split by time, and its windows for forecasting."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.listing import DEFAULT_TEST, DEFAULT_VALIDATION
from dlcli.data.series.time_table import Table
from dlcli.data.splits import SPLIT_COLUMNS, DataWarning, Index, LeftOut
from dlcli.errors import InputError


@dataclass(frozen=True)
class Windows:
    """The windows of one split.

    Attributes:
        origins: the row of the table at which each window's forecast starts, int64 ``[n]``.
    """

    origins: Index

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True)
class Series:
    """A table split by time, with windows of ``history`` steps from which the next ``horizon`` steps are forecast.

    A window belongs to the split that contains all steps it forecasts; its history may extend into the previous split.

    Attributes:
        ends: the row after each split's last one.
    """

    table: Table
    history: int
    horizon: int
    ends: dict[str, int]
    splits: dict[str, Windows]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 over the values, the names of the features, and the splits."""
        digest = hashlib.sha256(json.dumps([self.table.features, self.history, self.horizon, self.ends]).encode())
        digest.update(self.table.values.tobytes())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """A row for each split, named after its first and last time."""
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
        """The histories ``[n, history, features]`` and the targets ``[n, horizon]`` of some windows."""
        past = self.table.values[origins[:, None] + np.arange(-self.history, 0)]
        future = self.table.values[origins[:, None] + np.arange(self.horizon), 0]
        return past, future


def targets_of(series: Series, origins: Index) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The target's past ``[n, history]`` and future ``[n, horizon]`` of some windows, with the digits of the file."""
    target = series.table.target
    past = target[origins[:, None] + np.arange(-series.history, 0)]
    return past, target[origins[:, None] + np.arange(series.horizon)]


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
    """The windows of a table: the last part of the rows is test, the part before it validation.

    Args:
        validation, test: proportions of the rows.
        stride: steps between two training windows; windows of validation and test are one step apart.

    Raises:
        InputError: train has no whole window.
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
        # metrics need at least one known value in each window
        values = table.values[:, 0]
        future = values[origins[:, None] + np.arange(horizon)] if len(origins) else np.zeros((0, horizon))
        origins = origins[~np.isnan(future).all(axis=1)]
        if len(origins):
            splits[split] = Windows(origins)
        elif split == "train":
            raise InputError(
                f"{source}: train must have a window of {history} + {horizon} steps. Received {ends['train']} rows: "
                "lower window.history or window.horizon, or give more rows."
            )
        else:
            text = f"{split} has {end - start} rows, too few for a forecast of {horizon} steps: it is left out."
            warnings.append(DataWarning("splits", text))
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
        """The source of :meth:`element` for an epoch."""
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
