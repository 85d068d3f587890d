"""What a comparison says, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dlcli.evaluation.paired import Difference
from dlcli.training.direction import lower_is_better

PROPORTIONS = ("accuracy", "exact", "iou", "f1", "recall", "precision")
"""Endings of the names of metrics whose differences are given in percentage points."""
SMALLEST_P = 0.0001


def facts(difference: Difference) -> dict[str, Any]:
    """The fields of a difference, with its value and whether there is evidence of it."""
    return {**asdict(difference), "value": difference.value, "is_evidence": difference.is_evidence}


def behind(metric: str, found: Mapping[str, Any]) -> tuple[float, tuple[float, float] | None]:
    """How far the first of two is behind the second, and its interval: positive where the second is better."""
    is_negated = lower_is_better(metric)
    value, interval = found["value"], found["interval"]
    bounds = None if interval is None else _signed(interval, is_negated=is_negated)
    return -value if is_negated else value, bounds


def _signed(interval: Sequence[float], *, is_negated: bool) -> tuple[float, float]:
    """The interval of a value, or of its negative."""
    low, high = interval
    return (-high, -low) if is_negated else (low, high)


def sentences(comparison: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """What a comparison on samples says, one sentence for each score."""
    for metric, found in comparison["scores"].items():
        yield sentence(metric, found, names, f"on {comparison['samples']:,} {comparison['split']} samples")


def sentence(metric: str, found: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """A difference in words, with its interval, the p-value of its test, and what would not be seen.

    Args:
        found: the fields of a :class:`Difference`, as :func:`facts` gives them.
        names: of the two that are compared.
        where: such as ``on 200 test samples``.
    """
    value = found["value"]
    scale, unit = (100.0, " points") if metric.endswith(PROPORTIONS) else (1.0, "")

    def number(number: float) -> str:
        return f"{scale * number:.1f}" if unit else f"{number:.4g}"

    if found["interval"] is None:
        return f"{metric}: {number(abs(value))}{unit} apart; a single run says nothing about the spread over seeds"
    # where one is better, how much it is better is given as a positive number
    low, high = map(number, _signed(found["interval"], is_negated=found["is_evidence"] and value < 0))
    p = f"p = {found['p']:.2g}" if found["p"] >= SMALLEST_P else f"p < {SMALLEST_P:g}"
    proof = f"95% interval {low} to {high}; {found['test']}, {p}"
    if found["is_evidence"]:
        better = names[(value > 0) != lower_is_better(metric.partition(" ")[0])]
        return f"{metric}: {better} is better by {number(abs(value))}{unit} {where} ({proof})"
    if not any(found["interval"]):
        return f"{metric}: equal {where}"
    unseen = f"A difference below {number(found['detectable'])}{unit} would often not be seen"
    if found["needed"] is not None:
        unseen += f"; to see one of {number(abs(value))}{unit} takes about {found['needed']:,} seeds of each"
    return f"{metric}: no evidence of a difference {where}: {number(value)}{unit} ({proof}). {unseen}"
