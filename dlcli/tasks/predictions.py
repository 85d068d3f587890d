"""Ranks predicted classes, and writes predictions to files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES, NUM_TOP, RankedClasses, rank
from dlcli.printing import json_text
from dlcli.rundir.tables import write_csv
from dlcli.rundir.writing import replace_by, replace_file
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.probability_file import ProbabilityFile


def refuse_stdin(paths: Sequence[Path]) -> None:
    """Refuses ``-`` where tables are read.

    Raises:
        InputError: stdin is one of the paths.
    """
    if Path("-") in paths:
        raise InputError("-: tables are read from files, not from stdin. Give a CSV file.")


class Ranking:
    """The predictions of a classifier, collected batch by batch in any order.

    Args:
        num_top: number of classes that are listed for each sample.
        output: the file that the predictions will be written to; for an .npz, the probabilities of all classes are
            kept on its disk.
        calibration: replaces the model's probabilities; None if they are used as they are.
    """

    def __init__(
        self,
        num_samples: int,
        num_classes: int,
        *,
        num_top: int,
        output: Path | None,
        calibration: Calibration | None = None,
    ) -> None:
        self._calibration = calibration
        self._num_top = max(num_top, NUM_TOP)
        self._index: list[np.ndarray] = []
        self._parts: list[RankedClasses] = []
        self.kept = None
        if output is not None and output.suffix.lower() == ".npz":
            self.kept = ProbabilityFile(output.parent, num_samples=num_samples, num_classes=num_classes)

    def add(
        self,
        index: np.ndarray,
        logits: np.ndarray,
        probabilities: np.ndarray,
        predicted: np.ndarray | None = None,
    ) -> None:
        """Add the outputs ``[b, classes]`` of the model for the samples at ``index``.

        Args:
            predicted: as for :func:`dlcli.evaluation.class_predictions.rank`.
        """
        if self._calibration is not None:
            probabilities = self._calibration.probabilities(logits)
        self._index.append(index)
        self._parts.append(rank(probabilities, num_top=self._num_top, predicted=predicted))
        if self.kept is not None:
            self.kept.write(index, probabilities)

    def ranked(self) -> RankedClasses:
        """The most probable classes in the order of the samples."""
        return RankedClasses.join(self._parts).take(np.argsort(np.concatenate(self._index)))


def listed(ranked: RankedClasses, classes: Sequence[str], top: int) -> Iterator[dict[str, Any]]:
    """The most likely class of each sample, its probability, and the ``top`` most likely classes."""
    for of_sample, probabilities in zip(ranked.top[:, :top], ranked.top_probabilities[:, :top], strict=True):
        top_classes = [
            {"class": classes[i], "probability": float(p)} for i, p in zip(of_sample, probabilities, strict=True)
        ]
        yield {"predicted": top_classes[0]["class"], "confidence": top_classes[0]["probability"], "top": top_classes}


def write_values(
    output: Path, names: Mapping[str, Sequence[str]], values: np.ndarray, *, safe_csv: bool = False
) -> None:
    """Write a .csv or .json file with the number predicted for each sample.

    Args:
        names: the columns that identify a sample.
    """
    rows = ([*(column[i] for column in names.values()), float(value)] for i, value in enumerate(values))
    write_table(output, [*names, "predicted"], rows, safe_csv=safe_csv)


def write_probabilities(
    output: Path,
    names: Mapping[str, Sequence[str]],
    ranking: Ranking,
    classes: Sequence[str],
    more: Mapping[str, Sequence[Any]],
    *,
    safe_csv: bool = False,
) -> None:
    """Write a .csv or .json file with the most likely class of each sample and the probabilities of all classes.

    Of many classes, a table has the most probable ones; an .npz has the probabilities of all classes.

    Args:
        names: the columns that identify a sample.
        more: further columns, placed after the class and its probability.
    """
    ranked, kept = ranking.ranked(), ranking.kept
    if kept is not None:
        arrays = {name: np.array(values) for name, values in {**names, **more}.items()}
        replace_by(output, lambda path: kept.save(path, {**arrays, "classes": np.array(classes)}))
        return
    has_many = len(classes) > MANY_CLASSES
    of_classes = (
        [column for place in range(1, NUM_TOP + 1) for column in (f"top_{place}", f"p_{place}")]
        if has_many
        else [f"p_{name}" for name in classes]
    )

    def cells(i: int) -> list[Any]:
        if not has_many:
            return [float(p) for p in ranked.probabilities[i]]
        pairs = zip(ranked.top[i, :NUM_TOP], ranked.top_probabilities[i], strict=False)
        return [cell for label, p in pairs for cell in (classes[label], float(p))]

    rows = (
        [
            *(column[i] for column in names.values()),
            classes[ranked.predicted[i]],
            float(ranked.confidence[i]),
            *(column[i] for column in more.values()),
            *cells(i),
        ]
        for i in range(len(ranked))
    )
    write_table(output, [*names, "predicted", "confidence", *more, *of_classes], rows, safe_csv=safe_csv)


def write_table(output: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, safe_csv: bool = False) -> None:
    """Write a table as a .csv or .json file; the suffix may be in upper case."""
    if output.suffix.lower() == ".csv":
        replace_by(output, lambda path: write_csv(path, header, rows, safe=safe_csv))
    else:
        records = [dict(zip(header, row, strict=True)) for row in rows]
        replace_file(output, json_text(records, indent=1) + "\n")
