"""Writes the files of an evaluation: metrics.json, tables and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.printing import json_text
from dlcli.report.plots import classification as classification_plots
from dlcli.rundir import now, replace_folder, rows_text

Rows = Sequence[Mapping[str, Any]]


def write_evaluation(
    folder: Path,
    metrics: Mapping[str, Any],
    *,
    source: str,
    tables: Mapping[str, Rows],
    others: Mapping[str, bytes | str],
) -> None:
    """Write metrics.json and the task's other files: a folder with exactly these, which is renamed when complete.

    Args:
        source: what metrics.json names as the data.
        tables: the rows of each .csv file, by file name; at least one row each.
        others: the content of each other file, by file name.
    """
    replace_folder(
        folder,
        {
            "metrics.json": json_text({"data": source, "evaluated": now(), **metrics}, allow_nan=False) + "\n",
            **{name: rows_text(rows) for name, rows in tables.items()},
            **others,
        },
    )


def write_classification(
    folder: Path,
    metrics: Mapping[str, Any],
    classes: Sequence[str],
    *,
    source: str,
    per_class: Rows,
    predictions: Rows,
    others: Mapping[str, bytes | str],
) -> None:
    """Write the files of a classifier's evaluation: also per_class.csv, predictions.csv and confusion_matrix.png."""
    write_evaluation(
        folder,
        metrics,
        source=source,
        tables={"per_class.csv": per_class, "predictions.csv": predictions},
        others={
            "confusion_matrix.png": classification_plots.confusion_matrix(metrics["confusion_matrix"], classes),
            **others,
        },
    )
