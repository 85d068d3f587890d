"""Ranks predicted classes, and writes predictions to files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.printing import json_text
from dlcli.rundir import csv_text, replace_file


def ranked(probabilities: np.ndarray, classes: Sequence[str], top: int) -> dict[str, Any]:
    """The most likely class of a sample, its probability, and the ``top`` most likely classes."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    top_classes = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
    return {"predicted": top_classes[0]["class"], "confidence": top_classes[0]["probability"], "top": top_classes}


def write_values(output: Path, names: Mapping[str, Sequence[str]], values: np.ndarray) -> None:
    """Write a .csv or .json file with the number predicted for each sample.

    Args:
        names: the columns that identify a sample.
    """
    rows = [[*(column[i] for column in names.values()), float(value)] for i, value in enumerate(values)]
    write_rows(output, [*names, "predicted"], rows)


def write_probabilities(
    output: Path,
    names: Mapping[str, Sequence[str]],
    probabilities: np.ndarray,
    classes: Sequence[str],
    more: Mapping[str, Sequence[Any]],
) -> None:
    """Write a .csv or .json file with the most likely class of each sample and the probabilities of all classes.

    Args:
        names: the columns that identify a sample.
        more: further columns, placed after the class and its probability.
    """
    best = probabilities.argmax(axis=1)
    header = [*names, "predicted", "confidence", *more, *(f"p_{name}" for name in classes)]
    rows = [
        [
            *(column[i] for column in names.values()),
            classes[best[i]],
            float(row[best[i]]),
            *(column[i] for column in more.values()),
            *(float(p) for p in row),
        ]
        for i, row in enumerate(probabilities)
    ]
    write_rows(output, header, rows)


def write_rows(output: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as a .csv or .json file."""
    if output.suffix == ".csv":
        replace_file(output, csv_text(header, rows))
    else:
        records = [dict(zip(header, row, strict=True)) for row in rows]
        replace_file(output, json_text(records, indent=1) + "\n")
