"""Writes the files of an evaluation: metrics.json, tables and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.report.plots import classification as classification_plots
from dlcli.rundir import now, replace_file, replace_json, rows_text

Rows = Sequence[Mapping[str, Any]]


def write_evaluation(
    folder: Path,
    metrics: Mapping[str, Any],
    *,
    source: str,
    tables: Mapping[str, Rows],
    others: Mapping[str, bytes | str],
) -> None:
    """Writes metrics.json and what else the task has.

    Args:
        source: names the data in metrics.json.
        tables: the rows of each .csv file by its name, at least one row each.
        others: the content of each other file by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_json(folder / "metrics.json", {"data": source, "evaluated": now(), **metrics})
    for name, rows in tables.items():
        replace_file(folder / name, rows_text(rows))
    for name, content in others.items():
        replace_file(folder / name, content)


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
    """The files of an evaluation that has classes: per_class.csv, predictions.csv and confusion_matrix.png as well."""
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
