"""The samples of explanations of series, and what is written and shown of them: rows and arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.sequences.permutation import Series
from dlcli.tasks.sequences.explanation import note_of


@dataclass(frozen=True)
class ExplainedOutput:
    """An output to explain.

    Attributes:
        name: what it is called: a class, ``value``, or the step ahead of a forecast.
        choice: the number of the output's value.
        predicted: the probability of the class, or the number.
        true: the class, or the number to predict, as text; empty if it is not known.
    """

    name: str
    choice: int
    predicted: float
    true: str


@dataclass(frozen=True)
class SeriesSamples:
    """The series that are explained.

    Attributes:
        names: of the samples.
        values: ``[steps, columns]`` of each.
        outputs: of each sample, those that are explained.
        columns: their names.
        from_end: steps are counted backward from the end.
        source: what the samples are called.
        unit: what the values of an attribution add up to.
        ahead: the last steps of each series, which come after the end from which steps are counted; the first is 0.
    """

    names: Sequence[str]
    values: Sequence[Series]
    outputs: Sequence[Sequence[ExplainedOutput]]
    columns: Sequence[str]
    from_end: bool
    source: str
    unit: str
    ahead: int = 0

    def step_of_first(self, length: int) -> int:
        """The number of the first step of a series."""
        return self.ahead - length if self.from_end else 1


def row_of(
    samples: SeriesSamples,
    row: int,
    output: ExplainedOutput,
    method: str,
    shares: NDArray[np.float64],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """A row of explanations.csv."""
    step, column = np.unravel_index(int(np.abs(shares).argmax()), shares.shape)
    return {
        "file": samples.names[row],
        "true": output.true,
        "output": output.name,
        "predicted": output.predicted,
        "method": method,
        "steps": facts.get("steps"),
        "completeness_error": facts.get("completeness_error"),
        "sum": float(shares.sum()),
        "largest": float(shares[step, column]),
        "largest_step": int(step) + samples.step_of_first(len(shares)),
        "largest_column": samples.columns[int(column)],
        "note": note_of(shares, facts),
    }


def shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that are printed."""
    error = row["completeness_error"]
    return {
        **{key: row[key] for key in ("file", "output", "predicted", "true", "method")},
        "completeness error": "" if error is None else f"{error:.2%}",
        "largest": row["largest"],
        "at": place_of_largest(row),
        "note": row["note"],
    }


def place_of_largest(row: Mapping[str, Any]) -> str:
    """``pm2.5, step -1``."""
    return f"{row['largest_column']}, step {row['largest_step']}"


def writer_of(
    samples: SeriesSamples,
    pairs: Sequence[tuple[int, ExplainedOutput]],
    found: Mapping[str, Sequence[tuple[NDArray[np.float64], dict[str, Any]]]],
) -> Callable[[Path], None]:
    """Writes the attributions of each method, ``[pairs, steps, columns]``, NaN beyond the end of shorter series."""
    arrays = {name: _padded([shares for shares, _ in of_method]) for name, of_method in found.items()}
    arrays["values"] = _padded([samples.values[row] for row, _ in pairs])
    names = {
        "files": np.array([samples.names[row] for row, _ in pairs]),
        "outputs": np.array([output.name for _, output in pairs]),
        "columns": np.array(list(samples.columns)),
    }
    return lambda path: np.savez(path, allow_pickle=False, **names, **arrays)


def _padded(series: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    longest = max(len(values) for values in series)
    padded = np.full((len(series), longest, series[0].shape[1]), np.nan, np.float32)
    for row, values in zip(padded, series, strict=True):
        row[: len(values)] = values
    return padded
