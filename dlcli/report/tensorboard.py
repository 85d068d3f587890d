"""Metrics as TensorBoard event files, which can always be rebuilt from metrics.csv."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf


class TensorBoard:
    """Writes the rows of metrics.csv as scalars: a curve for each column but stage and step, by the row's step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        # metadata for TensorBoard's scalars plugin; TensorBoard itself is not needed to write it
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
            data_class=tf.compat.v1.SummaryMetadata.DESCRIPTOR.fields_by_name["data_class"]
            .enum_type.values_by_name["DATA_CLASS_SCALAR"]
            .number,
        )

    def rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the files by ones with these rows, so that a resumed run shows every epoch once."""
        self.close()
        for file in self._folder.glob("events.out.tfevents.*"):  # traces of profiles stay
            file.unlink()
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        """Adds the row of an epoch."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        step = tf.constant(int(row["step"]), tf.int64)
        with self._writer.as_default():
            for name, value in row.items():
                if name not in ("stage", "step"):
                    tf.summary.write(name, tf.constant(float(value), tf.float32), step=step, metadata=self._metadata)
        self._writer.flush()

    def close(self) -> None:
        """Closes the open file, if there is one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
