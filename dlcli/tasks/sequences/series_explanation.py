"""Explains predictions from series: attributions of steps by columns, beside permutation importance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import hash_content
from dlcli.explanation.sequences.attribution import Attribution, Method, integrated_gradients
from dlcli.explanation.sequences.permutation import Series, block_parts, column_parts, permutation_importance
from dlcli.explanation.sequences.series import SeriesNetwork
from dlcli.explanation.sequences.tokens import of_equal_length
from dlcli.report.plots.lags import lag_maps
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import FAILED, digest_of, recorded_verdicts, statistic, verdicts
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.sequences.explanation import described
from dlcli.tasks.sequences.series_explanation_check import Shares, ToCheck, check_methods
from dlcli.tasks.sequences.series_explanation_files import (
    SeriesSamples,
    place_of_largest,
    row_of,
    shown_row,
    writer_of,
)
from dlcli.tasks.task import Explained, ExplanationRequest

SERIES_AUTO = ("integrated",)
STEPS_OF_RANDOM = 32  # of integrated gradients in a network with random weights, whose shares need not be complete
NUM_PERMUTED = 256  # series by which the importance of columns is measured
NUM_BLOCKS = 8
REPEATS = 3


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
    run: RunDir,
    best: BestModel,
    network: SeriesNetwork,
    methods: Mapping[str, Method],
    samples: SeriesSamples,
    judged: Judged | None,
    to_check: ToCheck | None,
    request: ExplanationRequest,
    console: Console,
) -> Explained:
    """What each value of series says for an output, or against it.

    Args:
        judged: series of a split, for permutation importance; None if the run's data are not available.
        to_check: series by which the methods are checked; None if no check is asked for.
    """
    pairs = [(row, output) for row, outputs in enumerate(samples.outputs) for output in outputs]
    series, outputs = [samples.values[row] for row, _ in pairs], [output.choice for _, output in pairs]
    found = {name: _attributions(network, method, series, outputs) for name, method in methods.items()}
    check = None if to_check is None else _check(best, network, methods, to_check, request, console)
    known = recorded_verdicts(run, best.digest, list(methods)) | (verdicts(check) if check else {})
    for name in methods:
        if known.get(name) == FAILED:
            console.warn(f"{name} {FAILED}: its shares hardly depend on what the network has learned")
    rows = [
        row_of(samples, row, output, name, shares, facts) | {"check": known.get(name)}
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
        + f", {described(first, row, row['note'])}; largest {row['largest']:.3g} at {place_of_largest(row)}"
        for row in of_first
    ]
    maps = [shares for shares, _ in found[first]]
    files: dict[str, Any] = {
        "maps.npz": writer_of(samples, pairs, found),
        "maps.png": lag_maps(
            maps,
            titles,
            samples.columns,
            from_end=samples.from_end,
            ahead=samples.ahead,
            unit=samples.unit,
            warning=f"{first} {FAILED}" if known.get(first) == FAILED else "",
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
                "check": request.check,
            },
        },
        check=check,
        tables={"explained": [shown_row(row) for row in rows], **({judged.noun: importance} if judged else {})},
    )


def _check(
    best: BestModel,
    network: SeriesNetwork,
    methods: Mapping[str, Method],
    to_check: ToCheck,
    request: ExplanationRequest,
    console: Console,
) -> dict[str, Any]:
    """The content of check.json."""
    of_all = f"{len(to_check.values):,} of {to_check.total:,} {to_check.noun} of {to_check.source}"
    console.say(f"checking {', '.join(methods)} on {of_all}")

    def shares_by(method: Method) -> Shares:
        return lambda series, outputs: [shares for shares, _ in _attributions(network, method, series, outputs)]

    of_random = dict(methods)
    if "integrated" in methods:
        of_random["integrated"] = integrated_gradients(steps=request.steps or STEPS_OF_RANDOM)
    of_methods = {name: (shares_by(method), shares_by(of_random[name])) for name, method in methods.items()}
    return {"sha256": best.digest, **check_methods(network, of_methods, to_check, progress=console.evaluating)}


def _attributions(
    network: SeriesNetwork, method: Method, series: Sequence[Series], outputs: Sequence[int]
) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
    """The shares ``[steps, columns]`` of one output of each series, and what is known of them."""

    def make(values: NDArray[Any], rows: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
        points = network.points(values)
        starts = network.starts(points)
        choices = np.array([[0, outputs[int(row)]] for row in rows], np.int32)
        found: Attribution = method(network.scores, points, starts, choices)
        facts = [{name: column[i].item() for name, column in found.facts.items()} for i in range(len(rows))]
        return list(zip(found.shares, facts, strict=True))

    return of_equal_length(series, make)


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
        parts[_name_of_block(number, num_blocks, judged.values, samples)] = part
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


def _name_of_block(number: int, num_blocks: int, series: Sequence[Series], samples: SeriesSamples) -> str:
    """``steps -24 to -13`` or ``steps 1 to 12`` of series of one length; else ``steps, 1/8 to 2/8 of the length``."""
    lengths = {len(values) for values in series}
    if len(lengths) > 1:
        return f"steps, {number}/{num_blocks} to {number + 1}/{num_blocks} of the length"
    (length,) = lengths
    inside = np.flatnonzero(np.arange(length) * num_blocks // length == number) + samples.step_of_first(length)
    return f"steps {inside[0]} to {inside[-1]}" if len(inside) > 1 else f"step {inside[0]}"
