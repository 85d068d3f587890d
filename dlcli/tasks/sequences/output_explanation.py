"""Explains outputs of several tokens: for each output token, which input tokens speak for it or against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import hash_content
from dlcli.explanation.sequences.attribution import Attribution, Method
from dlcli.explanation.sequences.scores import Scores
from dlcli.recipe.sections.text_data import Unit
from dlcli.report.page.page import MarkedText
from dlcli.report.plots.token_maps import token_maps
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import FAILED, digest_of, recorded_verdicts, verdicts
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.sequences.explanation import described, note_of, strongest
from dlcli.tasks.sequences.token_check import TokenSample, TokensToCheck, check_methods
from dlcli.tasks.task import Explained, ExplanationRequest

AUTO = ("integrated",)
MOST_PRINTED = 40  # outputs that are shown on the terminal
ATTENTION = "attention weights, not reasons"


@dataclass(frozen=True, kw_only=True)
class OutputTokens(TokenSample):
    """A sample whose output tokens are explained.

    Attributes:
        name: of the sample.
        inputs: its input tokens as text.
        outputs: the output tokens that are explained, as text.
        attention: the attention weights ``[outputs, inputs]``, where the network has some.
    """

    name: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attention: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class _Found:
    """The values of the input tokens for each output ``[outputs, inputs]`` by one method, and what is known of each."""

    values: NDArray[np.float64]
    facts: Sequence[Mapping[str, Any]]


def explain_outputs(
    run: RunDir,
    best: BestModel,
    scores: Scores,
    samples: Sequence[OutputTokens],
    methods: Mapping[str, Method],
    request: ExplanationRequest,
    *,
    source: str,
    unit: Unit,
    to_check: TokensToCheck | None,
    console: Console,
) -> Explained:
    """What the input tokens of each sample say for each of its output tokens.

    Args:
        samples: at least one.
        source: what the samples are called.
        unit: what the tokens are; there are spaces between words.
        to_check: samples by which the methods are checked; None if no check is asked for.
    """
    known = recorded_verdicts(run, best.digest, list(methods))
    check = None
    if to_check is not None:
        of_split = f"{len(to_check.samples):,} of {to_check.total:,} {to_check.noun} of {to_check.source}"
        console.say(f"checking {', '.join(methods)} on {of_split}")
        found_by = check_methods(scores, methods, to_check, steps=request.steps, progress=console.evaluating)
        check = {"sha256": best.digest, **found_by}
        known |= verdicts(check)
    for name in methods:
        if known.get(name) == FAILED:
            console.warn(f"{name} {FAILED}: its values hardly depend on what the network has learned")
    rows: list[dict[str, Any]] = []
    token_rows: list[dict[str, Any]] = []
    texts: list[MarkedText] = []
    maps, attention = [], []
    first = next(iter(methods))
    for done, sample in enumerate(samples, start=1):
        sample.prepare()
        points, starts = (_repeated(part, len(sample.choices)) for part in sample.vectors())
        found = {name: _explained(method(scores, points, starts, sample.choices)) for name, method in methods.items()}
        odds = scores.scores(points, sample.choices).astype(np.float64)
        for number in range(len(sample.outputs)):
            of_output = [
                _row(sample, number, name, some, odds) | {"check": known.get(name)} for name, some in found.items()
            ]
            rows += of_output
            token_rows += _token_rows(sample, number, found)
            pairs = list(zip(sample.inputs, found[first].values[number].tolist(), strict=True))
            failed = f" ({FAILED})" if known.get(first) == FAILED else ""
            note = f"{described(first, of_output[0], of_output[0]['note'])}{failed}: {strongest(pairs)}"
            title = f"{sample.name}: {sample.outputs[number]} {of_output[0]['probability']:.2f}"
            texts.append(MarkedText(title, pairs, " " if unit == "words" else "", note))
        maps.append((sample.name, sample.inputs, sample.outputs, found[first].values))
        if sample.attention is not None:
            attention.append((sample.name, sample.inputs, sample.outputs, sample.attention))
        console.evaluating(done, len(samples))
    failed = f" {FAILED}" if known.get(first) == FAILED else ""
    heading = f"{first}{failed}: red speaks for an output token, blue against it (log-odds)"
    files: dict[str, Any] = {
        "tokens.csv": rows_text(token_rows),
        "maps.png": token_maps(maps, heading=heading, is_signed=True),
    }
    if attention:
        files["attention.png"] = token_maps(attention, heading=ATTENTION, is_signed=False)
    return Explained(
        name="-".join(methods),
        rows=rows,
        files=files,
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": source,
            "samples": len(samples),
            "digest": digest_of([hash_content(repr((s.inputs, s.outputs)).encode()) for s in samples]),
            "settings": {
                "methods": list(methods),
                "class": request.target,
                "baseline": "unknown token",
                "steps": request.steps or "auto",
                "unit": unit,
                "check": request.check,
            },
        },
        check=check,
        texts=texts[:MOST_PRINTED],
    )


def _explained(found: Attribution) -> _Found:
    """The values by one method."""
    facts = [{name: column[i].item() for name, column in found.facts.items()} for i in range(len(found.shares))]
    return _Found(found.of_steps, facts)


def _repeated(points: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    return np.repeat(points[None], number, axis=0)


def _row(sample: OutputTokens, number: int, method: str, found: _Found, odds: NDArray[np.float64]) -> dict[str, Any]:
    """A row of explanations.csv: one for each output token and method."""
    values, facts = found.values[number], found.facts[number]
    largest = int(np.abs(values).argmax())
    return {
        "file": sample.name,
        "position": int(sample.choices[number, 0]) + 1,
        "class": sample.outputs[number],
        "probability": float(1 / (1 + np.exp(-odds[number]))),
        "method": method,
        "steps": facts.get("steps"),
        "completeness_error": facts.get("completeness_error"),
        "sum": float(values.sum()),
        "largest": float(values[largest]),
        "largest_token": sample.inputs[largest],
        "note": note_of(values, facts),
    }


def _token_rows(sample: OutputTokens, number: int, found: Mapping[str, _Found]) -> list[dict[str, Any]]:
    """The rows of tokens.csv: one for each output and input token."""
    weights = None if sample.attention is None else sample.attention[number]
    return [
        {
            "file": f"{sample.name}, output {int(sample.choices[number, 0]) + 1}: {sample.outputs[number]}",
            "position": step + 1,
            "token": token,
            **{name: f"{some.values[number, step]:.6g}" for name, some in found.items()},
            "attention_weight": None if weights is None else f"{weights[step]:.6g}",
        }
        for step, token in enumerate(sample.inputs)
    ]
