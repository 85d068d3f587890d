"""Explains predictions from series: attributions of steps by columns, beside permutation importance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import hash_content
from dlcli.explanation.sequences.attribution import Attribution, Method
from dlcli.explanation.sequences.permutation import Series, block_parts, column_parts, permutation_importance
from dlcli.explanation.sequences.series import SeriesNetwork
from dlcli.explanation.sequences.tokens import of_equal_length
from dlcli.report.plots.lags import lag_maps
from dlcli.rundir.tables import rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import digest_of, statistic
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.sequences.explanation import described, note_of
from dlcli.tasks.task import Explained, ExplanationRequest

SERIES_AUTO = ("integrated",)
NUM_PERMUTED = 256  # series by which the importance of columns is measured
NUM_BLOCKS = 8
REPEATS = 3


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


@dataclass(frozen=True)
class Judged:
    """Series of a split with the errors of predictions from them.

    Attributes:
        values: ``[steps, columns]`` of each.
        errors: series -> the error of each prediction ``[n]``.
        noun: what the errors are called.
    """

    values: Sequence[Series]
    errors: Callable[[Sequence[Series]], NDArray[np.float64]]
    noun: str


def explain_series(
    best: BestModel,
    network: SeriesNetwork,
    methods: Mapping[str, Method],
    samples: SeriesSamples,
    judged: Judged | None,
    request: ExplanationRequest,
    console: Console,
) -> Explained:
    """What each value of series says for an output, or against it.

    Args:
        judged: series of a split, for permutation importance; None if the run's data are not available.
    """
    pairs = [(row, output) for row, outputs in enumerate(samples.outputs) for output in outputs]
    found = {name: _attributions(network, method, samples.values, pairs) for name, method in methods.items()}
    rows = [
        _row(samples, row, output, name, shares, facts)
        for number, (row, output) in enumerate(pairs)
        for name, of_method in found.items()
        for shares, facts in [of_method[number]]
    ]
    first = next(iter(methods))
    of_first = rows[:: len(methods)]
    importance = [] if judged is None else _importance(judged, samples, found[first], console)
    titles = [
        f"{row['file']}: {row['output']} {row['predicted']:.4g}"
        + (f" (true {row['true']})" if row["true"] else "")
        + f", {described(first, row, row['note'])}; largest {row['largest']:.3g} at {_place_of_largest(row)}"
        for row in of_first
    ]
    maps = [shares for shares, _ in found[first]]
    files: dict[str, Any] = {
        "maps.npz": _writer(samples, pairs, found),
        "maps.png": lag_maps(
            maps, titles, samples.columns, from_end=samples.from_end, ahead=samples.ahead, unit=samples.unit
        ),
    }
    if importance:
        files["importance.csv"] = rows_text(importance)
    return Explained(
        name="-".join(methods),
        rows=rows,
        files=files,
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": samples.source,
            "samples": len(samples.names),
            "digest": digest_of([hash_content(values.tobytes()) for values in samples.values]),
            "settings": {
                "methods": list(methods),
                "class": request.target,
                "baseline": "mean of each column",
                "steps": request.steps or "auto",
            },
        },
        tables={"explained": [_shown(row) for row in rows], **({judged.noun: importance} if judged else {})},
    )


def _attributions(
    network: SeriesNetwork,
    method: Method,
    series: Sequence[Series],
    pairs: Sequence[tuple[int, ExplainedOutput]],
) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
    """The shares ``[steps, columns]`` of each pair of a series and an output, and what is known of them."""

    def make(values: NDArray[Any], rows: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
        points = network.points(values)
        starts = network.starts(points)
        choices = np.array([[0, pairs[int(row)][1].choice] for row in rows], np.int32)
        found: Attribution = method(network.scores, points, starts, choices)
        facts = [{name: column[i].item() for name, column in found.facts.items()} for i in range(len(rows))]
        return list(zip(found.shares, facts, strict=True))

    return of_equal_length([series[row] for row, _ in pairs], make)


def _importance(
    judged: Judged,
    samples: SeriesSamples,
    found: Sequence[tuple[NDArray[np.float64], dict[str, Any]]],
    console: Console,
) -> list[dict[str, Any]]:
    """A row for each column and block of steps: permutation importance, and the share of the attributions there."""
    longest = max(len(values) for values in judged.values)
    num_blocks = min(NUM_BLOCKS, longest)
    parts = column_parts([f"column {name}" for name in samples.columns])
    for number, part in enumerate(block_parts(num_blocks)):
        parts[_name_of_block(number, num_blocks, judged.values, samples.ahead)] = part
    changes = permutation_importance(judged.errors, judged.values, parts, repeats=REPEATS, progress=console.evaluating)
    rows = []
    for name, values in changes.items():
        found_in = [(np.abs(shares[parts[name](shares)]).sum(), np.abs(shares).sum()) for shares, _ in found]
        shares = [inside / total for inside, total in found_in if total]
        change = statistic(values)
        rows.append(
            {
                "part": name,
                "share_of_attribution": float(np.mean(shares)) if shares else None,
                "error_increase": change["mean"],
                "standard_error": change["standard_error"],
                "n": change["n"],
            }
        )
    return rows


def _name_of_block(number: int, num_blocks: int, series: Sequence[Series], ahead: int) -> str:
    """``steps -24 to -13`` of series of one length; of others ``steps, 1/8 to 2/8 of the length``."""
    lengths = {len(values) for values in series}
    if len(lengths) > 1:
        return f"steps, {number}/{num_blocks} to {number + 1}/{num_blocks} of the length"
    (length,) = lengths
    inside = np.flatnonzero(np.arange(length) * num_blocks // length == number) - length + ahead
    return f"steps {inside[0]} to {inside[-1]}" if len(inside) > 1 else f"step {inside[0]}"


def _row(
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
        "largest_step": int(step) - len(shares) + samples.ahead if samples.from_end else int(step) + 1,
        "largest_column": samples.columns[int(column)],
        "note": note_of(shares, facts),
    }


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that are printed."""
    error = row["completeness_error"]
    return {
        **{key: row[key] for key in ("file", "output", "predicted", "true", "method")},
        "completeness error": "" if error is None else f"{error:.2%}",
        "largest": row["largest"],
        "at": _place_of_largest(row),
        "note": row["note"],
    }


def _place_of_largest(row: Mapping[str, Any]) -> str:
    """``pm2.5, step -1``."""
    return f"{row['largest_column']}, step {row['largest_step']}"


def _writer(
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
