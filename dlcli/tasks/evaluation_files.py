"""Writes the files of an evaluation: metrics.json, tables and plots."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.evaluation.class_predictions import MANY_CLASSES, ScoredClasses
from dlcli.evaluation.classification import confusions, most_confused
from dlcli.printing import json_text
from dlcli.report.plots import classification as classification_plots
from dlcli.rundir import now, replace_folder, write_rows
from dlcli.tasks.probability_file import ProbabilityFile

Rows = Iterable[Mapping[str, Any]]

NUM_CONFUSED = 30  # classes in the plot of a confusion matrix that is too large to be seen


@dataclass(frozen=True)
class Destination:
    """Where the results of an evaluation are written, and in which form.

    Attributes:
        folder: ``evaluation/<split>/`` of the run.
        source: what metrics.json names as the data.
        safe_csv: quote the cells of tables that a spreadsheet would read as a formula.
        all_probabilities: write the probabilities of all classes to probabilities.npz.
    """

    folder: Path
    source: str
    safe_csv: bool = False
    all_probabilities: bool = False

    def probability_file(self, num_samples: int, num_classes: int) -> ProbabilityFile | None:
        """Where the probabilities of all classes are kept until they are written; None if they are not wanted."""
        if not self.all_probabilities:
            return None
        return ProbabilityFile(self.folder.parents[1], num_samples=num_samples, num_classes=num_classes)


def write_evaluation(
    to: Destination,
    metrics: Mapping[str, Any],
    *,
    tables: Mapping[str, Rows],
    others: Mapping[str, bytes | str | Callable[[Path], None]],
) -> None:
    """Write metrics.json and the task's other files: a folder with exactly these, which is renamed when complete.

    Args:
        tables: the rows of each .csv file, by file name; at least one row each.
        others: the content of each other file by its name, or a function that writes it.
    """
    content = {"data": to.source, "evaluated": now(), **metrics}
    replace_folder(
        to.folder,
        {
            "metrics.json": json_text(content, allow_nan=False) + "\n",
            **{name: functools.partial(write_rows, rows=rows, safe=to.safe_csv) for name, rows in tables.items()},
            **others,
        },
    )


def write_classification(
    to: Destination,
    metrics: Mapping[str, Any],
    scored: ScoredClasses,
    classes: Sequence[str],
    *,
    names: Sequence[str],
    per_class: Rows,
    predictions: Rows,
    others: Mapping[str, bytes | str],
    probabilities: ProbabilityFile | None = None,
) -> None:
    """Write the files of a classifier's evaluation: also per_class.csv, predictions.csv and confusion_matrix.png.

    With many classes, the confusion matrix is in confusion_matrix.csv, without its zeros, and the plot shows the
    classes that are confused most often.
    """
    tables: dict[str, Rows] = {"per_class.csv": per_class, "predictions.csv": predictions}
    files: dict[str, bytes | str | Callable[[Path], None]] = dict(others)
    if len(classes) <= MANY_CLASSES:
        files["confusion_matrix.png"] = classification_plots.confusion_matrix(metrics["confusion_matrix"], classes)
    else:
        found = confusions(scored, len(classes))
        tables["confusion_matrix.csv"] = (
            {"label": classes[label], "predicted": classes[predicted], "count": count}
            for label, predicted, count in found.tolist()
        )
        files["confusion_matrix.png"] = classification_plots.confused_classes(
            found, most_confused(found, NUM_CONFUSED), classes
        )
    if probabilities is not None:
        arrays = {"label": scored.labels, "file": np.array(names), "classes": np.array(classes)}
        files["probabilities.npz"] = functools.partial(probabilities.save, arrays=arrays)
    write_evaluation(to, metrics, tables=tables, others=files)
