"""``dlcli data check --run``: samples whose label is probably wrong, by what a run predicted of them."""

from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.label_errors import likely_label_errors
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv

HELD_OUT = ("test", "validation")


def find_label_errors(run: RunDir) -> dict[str, Any]:
    """Find probable label errors among the samples that a classifier was evaluated on, but not trained.

    Returns:
        ``run``, ``samples`` (how many by split), ``share`` (of the samples that are probably mislabeled) and
        ``suspects``, the most suspicious first: ``file``, ``split``, ``label``, ``suggested`` and the probabilities of
        both, ``p_label`` and ``p_suggested``.

    Raises:
        InputError: the run is not one of a classifier of up to 200 classes, or was not evaluated.
    """
    classes = run.read_classes() if run.labels.exists() else ()
    tables = [(split, run.evaluation(split) / "predictions.csv") for split in HELD_OUT]
    rows = [(split, row, path) for split, path in tables if path.is_file() for row in read_csv(path)]
    if not rows:
        raise InputError(
            f"{run.path}: has no predictions of held-out samples. Evaluate it first: dlcli evaluate {run.path}"
        )
    columns = [f"p_{name}" for name in classes]
    if not classes or not {"label", *columns} <= set(rows[0][1]):
        raise InputError(
            f"{run.path}: label errors are found by the probabilities of a classifier of up to {MANY_CLASSES} classes, "
            "each sample with one label. Give a run of task: classification, text_classification or "
            "sequence_classification."
        )
    number = {name: i for i, name in enumerate(classes)}
    try:
        labels = np.array([number[row["label"]] for _, row, _ in rows], np.int64)
        probabilities = np.array([[float(row[column]) for column in columns] for _, row, _ in rows])
    except (KeyError, TypeError, ValueError):
        paths = " or ".join(str(path) for _, path in tables if path.is_file())
        raise InputError(
            f"{paths}: is corrupt: it is not what dlcli evaluate writes. Evaluate the run again."
        ) from None
    found = likely_label_errors(probabilities, labels)
    return {
        "run": str(run.path),
        "samples": {split: n for split in HELD_OUT if (n := sum(of == split for of, _, _ in rows))},
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
