"""Comparison of two runs on the samples that both were evaluated on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.evaluation.paired import compare_classes, compare_samples
from dlcli.recipe.language.errors import shortened
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv
from dlcli.workflow.comparison.words import facts

Row = Mapping[str, str]

KEYS = ("file", "image_id", "index", "word", "after", "step")
"""Columns of predictions.csv that say which sample a row is."""
TRUTHS = ("label", "labels", "target", "true", "text")
"""Columns that are equal in both tables if the samples are the same."""
MAX_CLASSES = 200  # classes that are tested one by one


@dataclass(frozen=True)
class Score:
    """A value of each sample whose mean is compared.

    Attributes:
        metric: its name in messages.
        column: of predictions.csv.
        value: of a cell.
    """

    metric: str
    column: str
    value: Callable[[str], float]


def _is_true(cell: str) -> float:
    if cell not in ("True", "False", "1", "0"):
        raise ValueError(cell)
    return float(cell in ("True", "1"))


def _size(cell: str) -> float:
    return abs(float(cell))


SCORES = (
    Score("accuracy", "correct", _is_true),
    Score("exact", "exact", _is_true),
    Score("mae", "error", _size),
    Score("loss", "loss", float),
    Score("mean_iou", "mean_iou", float),
    Score("iou", "iou", float),
    Score("f1", "f1", float),
)
"""Those that both tables have are compared, and the error of each of several targets."""


def compare_on_samples(one: RunDir, other: RunDir, split: str | None = None) -> dict[str, Any] | None:
    """Compare two runs on the samples of a split that both were evaluated on.

    Args:
        split: of the evaluations; None for test, or else the first that both have.

    Returns:
        ``split``, ``samples``, ``scores`` (the fields of each :class:`Difference` by metric, with ``value`` and
        ``is_evidence``), ``right`` (how many samples both, only one, only the other, or neither gets right),
        ``classes``, and ``changed``: the samples that only one of two gets right. None if there are no common
        evaluations with a row for each sample, unless a split is named.

    Raises:
        InputError: the tables are corrupt, or the samples are not the same.
    """
    found = _common_split(one, other, split)
    if found is None:
        return None
    paths = [run.evaluation(found) / "predictions.csv" for run in (one, other)]
    first, second = (_by_sample(path, read_csv(path)) for path in paths)
    common = [sample for sample in first if sample in second]
    columns = list(next(iter(first.values()))) if first else []
    of_targets = [Score(f"mae of {c.removeprefix('error_')}", c, _size) for c in columns if c.startswith("error_")]
    scores = [score for score in (*SCORES, *of_targets) if _have(score.column, first, second)]
    if not common or not scores:
        return None
    _check_truth(paths, first, second, common)
    is_word = "word" in next(iter(first.values()))
    groups = _numbers([sample[0] for sample in common]) if is_word else None
    values = {
        score: [_values(score, path, rows, common) for path, rows in zip(paths, (first, second), strict=True)]
        for score in scores
    }
    compared = {}
    for score, pair in values.items():
        both = ~(np.isnan(pair[0]) | np.isnan(pair[1]))
        if both.any():
            a, b = (of_run[both].astype(bool) if score.value is _is_true else of_run[both] for of_run in pair)
            compared[score.metric] = compare_samples(a, b, groups)
    result = {
        "split": found,
        "samples": len(common),
        "unmatched": [len(first) - len(common), len(second) - len(common)],
        "scores": {metric: facts(difference) for metric, difference in compared.items()},
    }
    if scores[0].value is _is_true:
        of_one, of_other = values[scores[0]]
        result |= _of_classes(of_one.astype(bool), of_other.astype(bool), first, second, common)
    return result


def _common_split(one: RunDir, other: RunDir, split: str | None) -> str | None:
    def has(run: RunDir, name: str) -> bool:
        return (run.evaluation(name) / "predictions.csv").is_file()

    if split is not None:
        for run in (one, other):
            if not has(run, split):
                known = [path.name for path in sorted(run.evaluation("test").parent.glob("*")) if has(run, path.name)]
                remedy = f"It has: {', '.join(known) or 'none'}."
                if split in SPLITS:
                    remedy = f"Evaluate it with: dlcli evaluate {run.path} --split {split}"
                raise InputError(
                    f"{run.path}: has no evaluation of '{shortened(split)}' with a row for each sample. {remedy}"
                )
        return split
    return next((name for name in ("test", "validation", "train") if has(one, name) and has(other, name)), None)


def _have(column: str, *tables: Mapping[Any, Row]) -> bool:
    return all(table and column in next(iter(table.values())) for table in tables)


def _by_sample(path: Path, rows: Sequence[Row]) -> dict[tuple[str, ...], Row]:
    """The rows of a table by what identifies their sample."""
    keys = [key for key in KEYS if rows and key in rows[0]]
    found: dict[tuple[str, ...], Row] = {}
    for number, row in enumerate(rows, start=2):
        sample = tuple(row[key] for key in keys)
        if sample in found:
            raise InputError(f"{path}:{number}: is corrupt: names a sample twice. Evaluate the run again.")
        found[sample] = row
    return found


def _check_truth(
    paths: Sequence[Path], first: Mapping[Any, Row], second: Mapping[Any, Row], common: Sequence[tuple[str, ...]]
) -> None:
    for column in TRUTHS:
        if _have(column, first, second):
            changed = [sample for sample in common if first[sample][column] != second[sample][column]]
            if changed:
                raise InputError(
                    f"{paths[0]} and {paths[1]}: must have the same samples, but {len(changed):,} of {len(common):,} "
                    f"differ in the column '{column}', such as '{changed[0][0]}'. Evaluate both runs on the same data."
                )


def _values(
    score: Score, path: Path, rows: Mapping[tuple[str, ...], Row], common: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """The score of each common sample, float64 ``[n]``; NaN where it has none."""

    def of(sample: tuple[str, ...]) -> float:
        cell = rows[sample][score.column]
        if not cell:
            return math.nan
        try:
            value = score.value(cell)
        except ValueError:
            value = math.inf
        if not math.isfinite(value):
            raise InputError(
                f"{path}: is corrupt: the column '{score.column}' must hold values of predictions. Received '{cell}' "
                f"for '{sample[0]}'. Evaluate the run again."
            )
        return value

    return np.array([of(sample) for sample in common])


def _numbers(names: Sequence[str]) -> np.ndarray:
    """The number of each name's first occurrence among the different names."""
    found: dict[str, int] = {}
    return np.array([found.setdefault(name, len(found)) for name in names])


def _of_classes(
    one: np.ndarray,
    other: np.ndarray,
    first: Mapping[Any, Row],
    second: Mapping[Any, Row],
    common: Sequence[tuple[str, ...]],
) -> dict[str, Any]:
    """What both runs get right of the common samples, by class, and the samples that only one does.

    Args:
        one, other: whether each run is right, bool ``[n]``.
        first, second: the rows of their tables.
    """
    result: dict[str, Any] = {
        "right": {
            "both": int((one & other).sum()),
            "only_one": int((one & ~other).sum()),
            "only_other": int((other & ~one).sum()),
            "neither": int((~one & ~other).sum()),
        },
        "changed": [
            {
                "sample": " ".join(sample),
                "one": first[sample].get("predicted"),
                "other": second[sample].get("predicted"),
                "right": "one" if a else "other",
            }
            for sample, a, b in zip(common, one, other, strict=True)
            if a != b
        ],
    }
    if _have("label", first, second):
        labels = np.array([first[sample]["label"] for sample in common])
        if len(np.unique(labels)) <= MAX_CLASSES:
            result["classes"] = compare_classes(labels, one, other)
    return result
