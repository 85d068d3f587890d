"""Windows of long series for forecasting, and batches of them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.series.time_table import Table
from dlcli.data.splits import SPLIT_COLUMNS, DataWarning, Index, LeftOut


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
class Stretch:
    """Consecutive rows of one series that belong to one split: those from ``start`` up to ``end``, exclusive.

    Attributes:
        history: the rows before ``start`` that belong to the same series.
    """

    series: str
    split: str
    start: int
    end: int
    history: int = 0


@dataclass(frozen=True)
class Series:
    """A table divided into splits, and windows of ``history`` steps from which the next ``horizon`` are forecast.

    A window lies within one series. It belongs to the split that contains all steps it forecasts; its history may
    extend into the previous split.

    Attributes:
        stretches: series by series, in the order of time.
    """

    table: Table
    history: int
    horizon: int
    stretches: tuple[Stretch, ...]
    splits: dict[str, Windows]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()

    @property
    def ends(self) -> dict[str, int]:
        """Of a single series: the row after each split's last one."""
        return {stretch.split: stretch.end for stretch in self.stretches}

    @property
    def num_inputs(self) -> int:
        """The steps of :meth:`windows`: the history, and the steps ahead if something is known of them."""
        return self.history + (self.horizon if self.table.known_ahead else 0)

    def of(self, split: str) -> list[Stretch]:
        """The stretches of a split."""
        return [stretch for stretch in self.stretches if stretch.split == split]

    def fingerprint(self) -> str:
        """SHA-256 over the values, the names of the features, and the splits."""
        names: list[Any] = [self.table.features, self.history, self.horizon, self.ends]
        if self.table.parts:
            names[-1] = [[part.series, part.split, part.start, part.end] for part in self.stretches]
        if self.table.known_ahead:
            names.append(self.table.known_ahead)
        if self.table.offset:
            names.append(self.table.offset)
        digest = hashlib.sha256(json.dumps(names).encode())
        digest.update(self.table.values.tobytes())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """A row for each stretch, named after its first and last time."""
        rows = []
        for part in self.stretches:
            values = self.table.values[part.start : part.end]
            name = f"{self.table.times[part.start]} to {self.table.times[part.end - 1]}"
            digest = hashlib.sha256(values.tobytes()).hexdigest()[:16]
            name = f"{part.series}: {name}" if part.series else name
            cells = (name, part.split, f"{part.end - part.start} rows", part.series, digest)
            rows.append(dict(zip(SPLIT_COLUMNS, cells, strict=True)))
        return rows

    def of_train(self) -> NDArray[np.float32]:
        """The training split's rows."""
        return np.concatenate([self.table.values[part.start : part.end] for part in self.of("train")])

    def windows(self, origins: Index) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The inputs ``[n, steps, features]`` and the targets ``[n, horizon]`` of some windows.

        The steps are those of the history; if features are known ahead, also those of the forecast, where all others
        are NaN. Without the offset of the table.
        """
        inputs = self.table.values[origins[:, None] + np.arange(-self.history, self.num_inputs - self.history)]
        inputs[:, self.history :, ~self.table.is_known_ahead] = np.nan
        future = self.table.target[origins[:, None] + np.arange(self.horizon)]
        return inputs, (future - self.table.offset).astype(np.float32)

    def raw_windows(self, origins: Index) -> NDArray[np.floating[Any]]:
        """The inputs of some windows as the saved model takes them; see :func:`raw_values`."""
        return raw_values(self.windows(origins)[0], self.table.offset)

    def series_of(self, origins: Index) -> list[str]:
        """The name of the series of each window."""
        parts = self.table.series
        found = np.searchsorted([part.start for part in parts], origins, side="right") - 1
        return [parts[position].name for position in found]

    def positions(self, origins: Index) -> Index:
        """The number of the step at which each window's forecast starts, the same for the same time in all series."""
        if len(self.table.series) == 1:
            return origins
        if self.table.moments is not None:
            return np.searchsorted(np.unique(self.table.moments), self.table.moments[origins]).astype(np.int64)
        starts = np.array([part.start for part in self.table.series], np.int64)
        return origins - starts[np.searchsorted(starts, origins, side="right") - 1]


def raw_values(values: NDArray[np.float32], offset: float) -> NDArray[np.floating[Any]]:
    """Rows ``[..., features]`` with an offset added to the target, in float64; unchanged if it is 0."""
    if not offset:
        return values
    raw = values.astype(np.float64)
    raw[..., 0] += offset
    return raw


def targets_of(series: Series, origins: Index) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The target's past ``[n, history]`` and future ``[n, horizon]`` of some windows, with the digits of the file."""
    target = series.table.target
    past = target[origins[:, None] + np.arange(-series.history, 0)]
    return past, target[origins[:, None] + np.arange(series.horizon)]


class WindowBatches:
    """Batches of windows, as a function of (seed, epoch, position) alone.

    Args:
        scales: of the target in each window ``[n]``; None for 1.
    """

    def __init__(
        self,
        series: Series,
        origins: Index,
        *,
        batch_size: int,
        seed: int | None = None,
        scales: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        self.num_samples = len(origins)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self._seed = seed
        self._values = tf.constant(series.table.values)
        self._target = tf.constant(series.table.target - series.table.offset, tf.float32)
        self._origins = tf.constant(origins)
        self._scales = tf.constant(np.ones(len(origins)) if scales is None else scales, tf.float32)
        self._inputs = tf.range(-series.history, series.num_inputs - series.history, dtype=tf.int64)
        is_past = np.arange(series.num_inputs) < series.history
        self._is_visible = tf.constant(is_past[:, None] | series.table.is_known_ahead)
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
        """Traced: ``{x: [b, steps, features], y: {future, known: [b, horizon], scale: [b]}, weight: [b], index:
        [b]}``.
        """
        origins = tf.gather(self._origins, element["index"])[:, None]
        future = tf.gather(self._target, origins + self._future)
        is_known = tf.logical_not(tf.math.is_nan(future))
        return {
            "x": tf.where(self._is_visible, tf.gather(self._values, origins + self._inputs), np.nan),
            "y": {
                "future": tf.where(is_known, future, 0.0),
                "known": tf.cast(is_known, tf.float32),
                "scale": tf.gather(self._scales, element["index"]),
            },
            "weight": tf.ones(tf.shape(element["index"]), tf.float32),
            "index": element["index"],
        }
