"""What a prediction says of a sample's classes, to people and in files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.rundir import csv_text, replace_file


def ranked(probabilities: np.ndarray, classes: Sequence[str], top: int) -> dict[str, Any]:
    """The likeliest class of a sample, how sure that is, and the ``top`` likeliest."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    found = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
    return {"predicted": found[0]["class"], "confidence": found[0]["probability"], "top": found}


def write_values(output: Path, names: Mapping[str, Sequence[str]], values: np.ndarray) -> None:
    """Writes a .csv or .json file with the number that is predicted for each sample.

    Args:
        names: columns that say which sample it is.
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
    """Writes a .csv or .json file with every sample's likeliest class and all probabilities.

    Args:
        names: columns that say which sample it is.
        more: columns after the class and how sure it is.
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
    """Writes a table as a .csv or .json file."""
    if output.suffix == ".csv":
        replace_file(output, csv_text(header, rows))
    else:
        records = [dict(zip(header, row, strict=True)) for row in rows]
        replace_file(output, json.dumps(records, indent=1, ensure_ascii=False) + "\n")
