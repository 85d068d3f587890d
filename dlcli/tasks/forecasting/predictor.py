"""Forecasts the steps after the last rows of tables, with a model that is loaded once."""

import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.files import printable
from dlcli.data.series.windows import raw_values
from dlcli.data.table import MAX_BYTES
from dlcli.errors import InputError
from dlcli.files import GZIP, decoded
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.evaluation import categories_of_run, load_forecaster, offset_of_run, step_of_run
from dlcli.tasks.forecasting.last_windows import LastWindow, LeftOut, last_windows, needs_of
from dlcli.tasks.forecasting.scoring import named_quantiles
from dlcli.tasks.forecasting.sources import FORECAST_BATCH
from dlcli.tasks.predictor import Kind, ShownHistory

Windows = tuple[list[LastWindow], list[LeftOut]]


class ForecastPredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` of a run that forecasts.

    Raises:
        InputError: the run has no model, or it is corrupt.
    """

    kind: Kind = "tables"
    classes: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1,)
    shows = True

    def __init__(self, run: RunDir, recipe: Forecasting, console: Console) -> None:
        self.run = run
        self.model = load_forecaster(run, recipe, console).model
        self._recipe, self._offset = recipe, offset_of_run(run)
        self._trained: dict[str, Any] = {
            "features": run.read_data_info("features")["features"],
            "categories": categories_of_run(run),
            "step": step_of_run(run),
            "offset": self._offset,
        }
        self._lock = threading.Lock()
        self.needs = needs_of(recipe, self._trained["features"], self._trained["categories"])

    def read(self, sample: Any, *, name: str | None = None) -> Windows:
        """As :meth:`dlcli.tasks.predictor.Predictor.read`, of a table: its path, or the content of a CSV file.

        Returns:
            The last window of each series, and the name of each series without one with the reason.
        """
        if isinstance(sample, Path):
            return last_windows(sample, self._recipe, **self._trained)
        name = name or "the table"
        if not isinstance(sample, bytes):
            received = shortened(printable(str(sample)))
            raise InputError(f"{name}: must be a path, the bytes of a CSV file or a data frame. Received {received}.")
        return last_windows(Path(name), self._recipe, **self._trained, text=_text(sample, name))

    def example(self) -> Windows:
        """As :meth:`dlcli.tasks.predictor.ReadsTables.example`."""
        times = ("",) * self._recipe.window.horizon
        values = np.zeros(self.model.inputs[0].shape[1:], np.float32)
        return [LastWindow("", "", times, values)], []

    def predict(
        self,
        samples: Sequence[Windows],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`: for each table ``forecast``, the rows of its series and
        steps ahead, and ``left_out``."""
        return [
            {
                "forecast": self.forecast(windows),
                "left_out": [{"series": series, "reason": reason} for series, reason in left_out],
            }
            for windows, left_out in samples
        ]

    def forecast(self, windows: Sequence[LastWindow]) -> list[dict[str, Any]]:
        """A row for each step after each window: its series, time, forecast and quantiles."""
        rows: list[dict[str, Any]] = []
        for start in range(0, len(windows), FORECAST_BATCH):
            some = windows[start : start + FORECAST_BATCH]
            values = raw_values(np.stack([window.values for window in some]), self._offset)
            with self._lock:
                outputs = self.model(tf.constant(values), training=False).numpy()
            for window, of_window in zip(some, outputs, strict=True):
                rows += self._rows(window, of_window)
        return rows

    def show(self, sample: Windows) -> ShownHistory:
        """As :meth:`dlcli.tasks.predictor.Shows.show`: what the network takes of the target."""
        length = self._recipe.window.history
        values = [(window.series, raw_values(window.values[:length, :1], self._offset)) for window in sample[0]]
        return ShownHistory([(series, np.asarray(of_target, np.float64)[:, 0]) for series, of_target in values])

    def _rows(self, window: LastWindow, outputs: np.ndarray) -> list[dict[str, Any]]:
        levels = self._recipe.window.quantiles
        values = outputs if levels is None else outputs[..., levels.index(0.5)]
        return [
            {
                **({} if self._recipe.data.series is None else {"series": window.series}),
                "after": window.after,
                "step": step,
                "time": time,
                "predicted": float(value),
                **named_quantiles(of_step, levels),
            }
            for step, (time, value, of_step) in enumerate(zip(window.times, values, outputs, strict=True), start=1)
        ]


def _text(data: bytes, name: str) -> str:
    """The text of a table in memory, which gzip may have compressed.

    Raises:
        InputError: it is corrupt, too large or not UTF-8.
    """
    if data.startswith(GZIP):
        unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            data = unzip.decompress(data, MAX_BYTES + 1)
        except zlib.error:
            raise InputError(f"{name}: its gzip data is corrupt. Compress it again.") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: a table may have at most {MAX_BYTES:,} bytes. Give a smaller one.")
    return decoded(data, name, noun="table")
