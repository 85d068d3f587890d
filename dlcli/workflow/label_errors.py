"""``dlcli data check --run``: samples whose label is probably wrong, by what a run predicted of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.label_errors import likely_label_errors
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import entry_mode
from dlcli.rundir.runs import find_run
from dlcli.rundir.tables import read_csv

FOLDS, PREDICTIONS = "folds.json", "predictions.csv"  # of the folder of folds, named where TensorFlow is not needed
HELD_OUT = ("test", "validation")
Row = tuple[str, dict[str, str]]
"""The split of a sample and its row in a table of predictions."""


def find_label_errors(runs: Path, name: str) -> dict[str, Any]:
    """Find probable label errors among the samples that a classifier was evaluated on, but not trained.

    Args:
        name: of a run in ``runs``, whose predictions of test and validation are read; or of the folder of its folds,
            which have a prediction for each sample that is not for the test. Or the path of one of them.

    Returns:
        ``run``, ``samples`` (how many by split), ``share`` (of the samples that are probably mislabeled) and
        ``suspects``, the most suspicious first: ``file``, ``split``, ``label``, ``suggested`` and the probabilities of
        both, ``p_label`` and ``p_suggested``.

    Raises:
        InputError: the run is not one of a classifier of up to 200 classes, or was not evaluated.
    """
    folds = next((path for path in (Path(name), runs / name) if entry_mode(path / FOLDS)), None)
    if folds is not None:
        rows, classes = _of_folds(folds)
        found = _found(rows, classes, folds, "Train the folds again.")
        return {"run": str(folds), "samples": {"out-of-fold": len(rows)}, **found}
    run = find_run(runs, name)
    rows = _held_out(run)
    classes = run.read_classes() if run.labels.exists() else ()
    counts = dict(Counter(split for split, _ in rows))
    return {"run": str(run.path), "samples": counts, **_found(rows, classes, run.path, "Evaluate the run again.")}


def _held_out(run: RunDir) -> list[Row]:
    """The rows of test and validation."""
    tables = [(split, run.evaluation(split) / PREDICTIONS) for split in HELD_OUT]
    rows = [(split, row) for split, path in tables if path.is_file() for row in read_csv(path)]
    if not rows:
        raise InputError(
            f"{run.path}: has no predictions of held-out samples. Evaluate it first: dlcli evaluate {run.path}"
        )
    return rows


def _of_folds(folder: Path) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of all folds, each predicted by the run that held it out, and the names of the classes."""
    path = folder / PREDICTIONS
    table = list(read_csv(path)) if path.is_file() else []
    if not table and path.is_file():
        raise InputError(f"{path}: has no rows. Give the command with --folds again, which writes it.")
    if not table:
        raise InputError(f"{folder}: has no predictions of held-out samples: the runs of this task write none.")
    classes = tuple(column.removeprefix("p_") for column in table[0] if column.startswith("p_"))
    return [(f"fold {row.get('fold')}", row) for row in table], classes


def _found(rows: Sequence[Row], classes: tuple[str, ...], path: Path, remedy: str) -> dict[str, Any]:
    """``share`` and ``suspects`` of :func:`find_label_errors`."""
    columns = [f"p_{name}" for name in classes]
    if not classes or not {"label", *columns} <= set(rows[0][1]):
        raise InputError(
            f"{path}: label errors are found by the probabilities of a classifier of up to {MANY_CLASSES} classes, "
            "each sample with one label. Give a run of task: classification, text_classification or "
            "sequence_classification."
        )
    number = {name: i for i, name in enumerate(classes)}
    try:
        labels = np.array([number[row["label"]] for _, row in rows], np.int64)
        probabilities = np.array([[float(row[column]) for column in columns] for _, row in rows])
        if not ((probabilities >= 0) & (probabilities <= 1)).all():  # which is false for NaN
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: a {PREDICTIONS} of it is corrupt: it is not what dlcli writes. {remedy}") from None
    found = likely_label_errors(probabilities, labels)
    return {
        "share": len(found.index) / len(rows),
        "suspects": [
            {
                "file": rows[i][1].get("file", str(i)),
                "split": rows[i][0],
                "label": classes[labels[i]],
                "suggested": classes[other],
                "p_label": float(probabilities[i, labels[i]]),
                "p_suggested": float(probabilities[i, other]),
            }
            for i, other in zip(found.index.tolist(), found.suggested.tolist(), strict=True)
        ],
    }
